//! What MLflow 2.9 and 3.17 both take, and how a value is made to fit.

use super::super::TrackingError;

/// Entries of one kind, and of all kinds together, in one `log-batch`.
pub(super) const METRICS_PER_BATCH: usize = 1000;
/// Params, and likewise tags, in one `log-batch`.
pub(super) const PARAMS_PER_BATCH: usize = 100;
/// Longest param value; 3.x cuts silently here, 2.x refuses.
pub(super) const PARAM_CHARS: usize = 6000;
/// Longest run tag value that 2.x takes (3.x: 8000).
pub(super) const TAG_CHARS: usize = 5000;
/// Longest schema of a data set that 2.x takes (3.x: 1,048,575).
pub(super) const DATASET_SCHEMA_BYTES: usize = 65_535;
const KEY_CHARS: usize = 250;

/// The first `max` characters.
pub(super) fn cut(text: &str, max: usize) -> &str {
    text.char_indices().nth(max).map_or(text, |(end, _)| &text[..end])
}

/// A metric, param or tag key as near to `key` as MLflow allows: letters, digits and `_-. :/`,
/// no empty, `.` or `..` path segment, at most 250 characters.
pub(super) fn key(key: &str) -> String {
    let allowed = |c: char| c.is_alphanumeric() || "_-. :/".contains(c);
    let plain: String = key.chars().map(|c| if allowed(c) { c } else { '_' }).take(KEY_CHARS).collect();
    let segments: Vec<_> = plain
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| if segment == "." { "_".to_owned() } else { segment.replace("..", "_") })
        .collect();
    if segments.is_empty() { "_".to_owned() } else { segments.join("/") }
}

/// The entries under keys that fit; a key that collides with an earlier one gets `_2`, `_3`, ...:
/// MLflow refuses a whole batch over one param with two values.
pub(super) fn with_unique_keys(entries: &[(String, String)]) -> Vec<(String, &str)> {
    let mut taken = std::collections::HashSet::new();
    entries
        .iter()
        .map(|(name, value)| {
            let base = key(name);
            let unique = std::iter::once(base.clone())
                .chain((2..).map(|n| format!("{}_{n}", cut(&base, KEY_CHARS - 8))))
                .find(|candidate| taken.insert(candidate.clone()))
                .expect("the candidates are endless");
            (unique, value.as_str())
        })
        .collect()
}

/// A registered model's name. It is checked, not repaired: two tenants' names must never become one.
pub(super) fn model_name(name: &str) -> Result<&str, TrackingError> {
    let fits = (1..=250).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if fits {
        Ok(name)
    } else {
        let rule = "1 to 250 of A-Z a-z 0-9 _ . -";
        Err(TrackingError::Invalid { what: "model name", value: name.to_owned(), rule })
    }
}

/// A workspace's name, checked for the same reason.
pub(super) fn workspace_name(name: &str) -> Result<&str, TrackingError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let fits = (2..=63).contains(&name.len())
        && name.bytes().all(|b| plain(b) || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if fits {
        Ok(name)
    } else {
        let rule = "2 to 63 of a-z 0-9 -, no hyphen at the ends";
        Err(TrackingError::Invalid { what: "workspace name", value: name.to_owned(), rule })
    }
}

/// A path inside a run as a URL path, each segment percent-encoded.
pub(super) fn url_path(path: &str) -> Result<String, TrackingError> {
    let segments: Option<Vec<_>> = path
        .split('/')
        .map(|segment| (!matches!(segment, "" | "." | "..")).then(|| percent_encode(segment)))
        .collect();
    segments.map(|segments| segments.join("/")).ok_or_else(|| TrackingError::Invalid {
        what: "artifact path",
        value: path.to_owned(),
        rule: "no empty, `.` or `..` segment",
    })
}

/// RFC 3986 percent-encoding of all but the unreserved characters. Stricter than a URL needs
/// (`+` too), because the server decodes the path more than once.
fn percent_encode(segment: &str) -> String {
    use std::fmt::Write;
    segment.bytes().fold(String::with_capacity(segment.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a String takes every write");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fit_mlflows_alphabet() {
        assert_eq!(key("train/rmse (log) @3"), "train/rmse _log_ _3");
        assert_eq!(key("/a//b/./../c/"), "a/b/_/_/c");
        assert_eq!(key("größe m²"), "größe m²");
        assert_eq!(key(""), "_");
        assert_eq!(key(&"x".repeat(300)).len(), 250);
    }

    #[test]
    fn colliding_keys_are_kept_apart() {
        let entries = [("a#", "1"), ("a@", "2"), ("b", "3"), ("a(", "4")];
        let entries = entries.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let keys: Vec<_> = with_unique_keys(&entries).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["a_", "a__2", "b", "a__3"]);
    }

    #[test]
    fn values_are_cut_by_character() {
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(cut("äöü", 3), "äöü");
    }

    #[test]
    fn paths_are_encoded_by_segment_and_never_climb() {
        assert_eq!(url_path("plots/a+b c%.png").expect("fits"), "plots/a%2Bb%20c%25.png");
        for bad in ["../x", "a//b", "a/./b", "/a", "a/"] {
            assert!(url_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn workspace_names_are_refused_not_repaired() {
        for good in ["ab", "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa", "0--1"] {
            assert!(workspace_name(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a", "A1", "-a", "a-", "a_b", "a/b", "ab\n", "ä1", &"a".repeat(64)] {
            assert!(workspace_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn model_names_are_refused_not_repaired() {
        assert!(model_name("acme_cost.v-1").is_ok());
        for bad in ["", "a/b", "a:b", "a b", "ä", "a\n"] {
            assert!(model_name(bad).is_err(), "{bad:?}");
        }
    }
}
