//! UUIDs as pydantic 2.5 reads them, with the words of the uuid crate 1.6 that it was built with:
//! clients know these messages, and today's crate says it differently.

use uuid::Uuid;

/// Where each of the five groups starts in the hyphenated form.
const GROUP_START: [usize; 5] = [0, 9, 14, 19, 24];
const GROUP_LENGTH: [usize; 5] = [8, 4, 4, 4, 12];

/// Hyphenated, plain, in braces, or after `urn:uuid:`; digits in any case.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn parse(text: &str) -> Result<Uuid, String> {
    let inner = match text.len() {
        32 | 36 => Some(text),
        38 => text.strip_prefix('{').and_then(|text| text.strip_suffix('}')),
        45 => text.strip_prefix("urn:uuid:"),
        _ => None,
    };
    // The parser also knows braces and prefixes; a length of 32 or 36 leaves the bare forms.
    inner
        .filter(|inner| matches!(inner.len(), 32 | 36) && !inner.starts_with(['{', 'u', 'U']))
        .and_then(|inner| Uuid::try_parse(inner).ok())
        .ok_or_else(|| fault(text))
}

fn fault(text: &str) -> String {
    let braced = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).map(|inner| (inner, 1));
    let urn = text.strip_prefix("urn:uuid:").map(|inner| (inner, "urn:uuid:".len()));
    let (inner, offset) = braced.or(urn).unwrap_or((text, 0));
    if let Some((index, found)) = inner.char_indices().find(|(_, c)| !c.is_ascii_hexdigit() && *c != '-') {
        let position = offset + index + 1;
        return format!(
            "invalid character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], \
             found `{found}` at {position}"
        );
    }
    let hyphens: Vec<usize> = inner.match_indices('-').map(|(index, _)| index).collect();
    if hyphens.is_empty() && offset == 0 {
        return format!("invalid length: expected length 32 for simple format, found {}", text.len());
    }
    if hyphens.len() != 4 {
        return format!("invalid group count: expected 5, found {}", hyphens.len() + 1);
    }
    let wrong = (0..4).find(|&group| hyphens[group] + 1 != GROUP_START[group + 1]).unwrap_or(4);
    let end = hyphens.get(wrong).copied().unwrap_or(text.len());
    let (expected, found) = (GROUP_LENGTH[wrong], end - GROUP_START[wrong]);
    format!("invalid group length in group {wrong}: expected {expected}, found {found}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_spelling() {
        let id = Uuid::from_u128(0xaaaa_aaaa_aaaa_aaaa_aaaa_aaaa_aaaa_aaaa);
        let hyphenated = id.hyphenated().to_string();
        for text in [
            hyphenated.clone(),
            hyphenated.to_uppercase(),
            id.simple().to_string(),
            format!("{{{hyphenated}}}"),
            format!("urn:uuid:{hyphenated}"),
        ] {
            assert_eq!(parse(&text), Ok(id), "{text}");
        }
    }

    #[test]
    fn faults_in_the_old_words() {
        let character = |found: &str| {
            "invalid character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found "
                .to_owned()
                + found
        };
        for (text, words) in [
            ("test-tenant-456", character("`t` at 1")),
            (" aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa ", character("` ` at 1")),
            ("{aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaz}", character("`z` at 37")),
            ("URN:UUID:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa", character("`U` at 1")),
            ("{aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaa", character("`{` at 1")),
            ("é", character("`é` at 1")),
            ("", "invalid length: expected length 32 for simple format, found 0".to_owned()),
            ("aaaa", "invalid length: expected length 32 for simple format, found 4".to_owned()),
            ("aaaa-aaaa", "invalid group count: expected 5, found 2".to_owned()),
            ("{aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}", "invalid group count: expected 5, found 1".to_owned()),
            (
                "aaaaaaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaa",
                "invalid group length in group 0: expected 8, found 12".to_owned(),
            ),
            (
                "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaaa",
                "invalid group length in group 4: expected 12, found 13".to_owned(),
            ),
        ] {
            assert_eq!(parse(text), Err(words), "{text}");
        }
    }
}
