//! From the user's text to the text that Postgres gets.
//!
//! The parser's tree is walked once, and every part that is known and allowed is written anew; the
//! tree's own printing is never used (its quoting of `\'` is open to injection). Each struct is taken
//! apart field by field without `..`, so that a field of a new sqlparser does not compile before
//! somebody has looked at it; each enum ends in a refusal. Names are always quoted and functions
//! always qualified, so that neither keyword nor search_path changes what they mean. Operators keep their
//! order and parentheses: Postgres sees the words of the user and applies its own precedence.

mod expression;
mod from;
mod function;
mod name;
mod select;
mod translator;
mod types;

use std::thread;

use sha2::{Digest, Sha256};
use sqlparser::{
    ast::Statement,
    dialect::PostgreSqlDialect,
    parser::{Parser, ParserError},
    tokenizer::{Token, TokenWithSpan, Tokenizer},
};
use uuid::Uuid;

use self::translator::Translator;
use super::{Policy, Refusal};

/// Levels of the parser's own recursion; it takes several for one pair of parentheses.
const PARSER_DEPTH: usize = 200;
/// A chain of operators is a tree as deep as it is long, and walking, then freeing it recurses.
const STACK: usize = 256 << 20;

/// A query that passed: one SELECT over allowed relations, written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedQuery {
    sql: String,
    /// Where in `sql` the tenant's id goes, ascending.
    tenant_at: Vec<usize>,
    hash: String,
}

impl CheckedQuery {
    /// Checks `text` against `policy`.
    ///
    /// # Errors
    /// What is not allowed, and where. Text of any shape is answered in bounded time and memory.
    pub fn parse(text: &str, policy: &Policy) -> Result<Self, Refusal> {
        let limits = policy.limits;
        if text.len() > limits.bytes {
            let message = format!("The query has {} bytes; at most {} are taken", text.len(), limits.bytes);
            return Err(Refusal::whole("query_too_large", message));
        }
        thread::scope(|scope| {
            let parse = || translate(text, policy);
            let builder = thread::Builder::new().name("query-check".into()).stack_size(STACK);
            let parsed = builder.spawn_scoped(scope, parse).map(thread::ScopedJoinHandle::join);
            match parsed {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) | Err(_) => Err(Refusal::whole("query_syntax", "The query cannot be read")),
            }
        })
    }

    /// The text for Postgres on behalf of `tenant`.
    #[must_use]
    pub fn sql(&self, tenant: Uuid) -> String {
        let mut sql = self.sql.clone();
        for &at in self.tenant_at.iter().rev() {
            // A Uuid prints as hexadecimal digits and hyphens only.
            sql.insert_str(at, &format!("CAST('{}' AS uuid)", tenant.hyphenated()));
        }
        sql
    }

    /// The first 16 hexadecimal digits of the SHA-256 of the user's text.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// The hash by which logs and runs know a text: 16 hexadecimal digits of its SHA-256.
#[must_use]
pub fn hash(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn translate(text: &str, policy: &Policy) -> Result<CheckedQuery, Refusal> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|error| Refusal::located("query_syntax", "The query cannot be read here", error.location))?;
    check_tokens(&tokens, policy)?;
    let mut parser =
        Parser::new(&dialect).with_recursion_limit(PARSER_DEPTH).with_tokens_with_locations(tokens);
    let mut statements = parser.parse_statements().map_err(syntax)?;
    let only = statements.pop().filter(|_| statements.is_empty());
    let Some(Statement::Query(query)) = only else {
        return Err(Refusal::whole("query_statement", "The query must be exactly one SELECT"));
    };
    let mut translator = Translator::new(policy);
    translator.query(&query)?;
    let (sql, tenant_at) = translator.finish()?;
    Ok(CheckedQuery { sql, tenant_at, hash: hash(text) })
}

/// What can be said before a tree is built. Depth must be: the parser tries some constructs twice a
/// level, which makes 2^depth attempts.
fn check_tokens(tokens: &[TokenWithSpan], policy: &Policy) -> Result<(), Refusal> {
    let limits = policy.limits;
    let (mut count, mut depth) = (0, 0_usize);
    for TokenWithSpan { token, span } in tokens {
        match token {
            Token::Whitespace(_) | Token::EOF => continue,
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            Token::Word(word) if word.quote_style.is_none() => {
                if word.value.eq_ignore_ascii_case("case") {
                    depth += 1;
                } else if word.value.eq_ignore_ascii_case("end") {
                    depth = depth.saturating_sub(1);
                }
            }
            _ => {}
        }
        count += 1;
        if depth > limits.depth {
            let message = format!("More than {} levels of parentheses", limits.depth);
            return Err(Refusal::at("query_too_large", message, *span));
        }
        if count > limits.tokens {
            let message = format!("More than {} words and signs", limits.tokens);
            return Err(Refusal::at("query_too_large", message, *span));
        }
    }
    Ok(())
}

/// The parser's message names a token of the user's text and its place.
fn syntax(error: ParserError) -> Refusal {
    let message = match error {
        ParserError::RecursionLimitExceeded => {
            return Refusal::whole("query_too_large", "The query is nested too deeply");
        }
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => message,
    };
    let (what, at) = match message.split_once(" at Line: ") {
        Some((what, at)) => (what, parse_place(at)),
        None => (message.as_str(), None),
    };
    Refusal { kind: "query_syntax", message: format!("Syntax error: {what}"), at }
}

fn parse_place(text: &str) -> Option<(u64, u64)> {
    let (line, column) = text.split_once(", Column: ")?;
    Some((line.trim().parse().ok()?, column.trim().parse().ok()?))
}

#[cfg(test)]
mod tests;
