//! Names and literals, quoted by ourselves.

use sqlparser::{
    ast::{Ident, ObjectName, ObjectNamePart, Value, ValueWithSpan},
    tokenizer::Span,
};

use super::{
    super::Refusal,
    translator::{Translator, no},
};

/// Postgres cuts longer names off, and two of them could become one.
const MAX_NAME: usize = 63;
/// The word that stands for the caller's tenant.
const TENANT: &str = ":tenant_id";

/// The name as Postgres would understand it: unquoted in lower case.
pub(super) fn name(ident: &Ident) -> Result<String, Refusal> {
    let Ident { value, quote_style, span } = ident;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let (name, allowed) = match quote_style {
        None => {
            let begins = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            (value.to_ascii_lowercase(), begins && value.chars().all(plain))
        }
        Some('"') => {
            let odd = |c: char| c == '"' || c == '\\' || c.is_control();
            (value.clone(), !value.is_empty() && !value.contains(odd))
        }
        Some(_) => (value.clone(), false),
    };
    if !allowed || name.len() > MAX_NAME {
        return Err(Refusal::at("query_name", "A name may not be written like this", *span));
    }
    Ok(name)
}

/// The plain names of a name with dots.
pub(super) fn names(object: &ObjectName) -> Result<Vec<(String, Span)>, Refusal> {
    let ObjectName(parts) = object;
    parts
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Ok((name(ident)?, ident.span)),
            ObjectNamePart::Function(function) => no("A computed name", function.name.span),
        })
        .collect()
}

/// `"name"`; the name has neither quotes nor backslashes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// A literal that means the same whatever standard_conforming_strings says.
pub(super) fn string_literal(text: &str, span: Span) -> Result<String, Refusal> {
    if text.contains('\0') {
        return no("A NUL character", span);
    }
    let escaped = text.replace('\'', "''");
    Ok(if text.contains('\\') {
        format!("E'{}'", escaped.replace('\\', "\\\\"))
    } else {
        format!("'{escaped}'")
    })
}

impl Translator<'_> {
    pub(super) fn value(&mut self, value: &ValueWithSpan) -> Result<(), Refusal> {
        let ValueWithSpan { value, span } = value;
        match value {
            Value::Number(digits, false) => {
                let known = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
                if !digits.chars().all(known) {
                    return no("This way to write a number", *span);
                }
                self.put(digits);
            }
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => {
                self.put(&string_literal(text, *span)?);
            }
            Value::DollarQuotedString(text) => self.put(&string_literal(&text.value, *span)?),
            Value::Boolean(true) => self.put("TRUE"),
            Value::Boolean(false) => self.put("FALSE"),
            Value::Null => self.put("NULL"),
            Value::Placeholder(name) if name == TENANT => self.put_tenant(),
            Value::Placeholder(_) => {
                let message = "The only placeholder is :tenant_id";
                return Err(Refusal::at("query_placeholder", message, *span));
            }
            _ => return no("This kind of literal", *span),
        }
        Ok(())
    }
}
