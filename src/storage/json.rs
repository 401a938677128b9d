//! What Postgres cannot store: the character U+0000, in a text as well as inside jsonb.

use std::borrow::Cow;

use serde_json::Value;

const NUL: char = '\0';
const REPLACEMENT: &str = "\u{fffd}";

/// The value with U+0000 replaced by U+FFFD in every text and key; borrowed if there is none.
pub(crate) fn storable(value: &Value) -> Cow<'_, Value> {
    if has_nul(value) { Cow::Owned(replaced(value)) } else { Cow::Borrowed(value) }
}

/// The text with U+0000 replaced by U+FFFD.
pub(crate) fn storable_text(text: &str) -> Cow<'_, str> {
    if text.contains(NUL) { Cow::Owned(text.replace(NUL, REPLACEMENT)) } else { Cow::Borrowed(text) }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(NUL),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(key, value)| key.contains(NUL) || has_nul(value)),
        _ => false,
    }
}

fn replaced(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(storable_text(text).into_owned()),
        Value::Array(items) => items.iter().map(replaced).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| (storable_text(key).into_owned(), replaced(value))).collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nul_is_replaced_wherever_it_hides() {
        let value = json!({"a\u{0}": ["\u{0}", {"b": "c\u{0}d"}], "n": 1});
        let clean = json!({"a\u{fffd}": ["\u{fffd}", {"b": "c\u{fffd}d"}], "n": 1});
        assert_eq!(*storable(&value), clean);
        assert!(matches!(storable(&clean), Cow::Borrowed(_)));
    }
}
