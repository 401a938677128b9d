//! The scalar form of `base_score`.
//!
//! XGBoost 3.1 and later write the base score of a model as a vector, `"[4.85E-1]"`. XGBoost 2.x
//! and 3.0 load such a file without an error and predict wrongly. All of them read `"4.85E-1"`
//! alike, so that is what we hand out: the same digits without the brackets.

/// A model has no single base score, or none where it is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the model does not hold one base score")]
pub struct BaseScoreError;

/// Rewrites a JSON model as libxgboost writes it (no spaces).
pub(super) fn scalar_in_json(model: Vec<u8>) -> Result<Vec<u8>, BaseScoreError> {
    // Never part of a feature name: in a string its quotes would have backslashes before them.
    const KEY: &[u8] = br#""base_score":""#;
    let start = only_occurrence(&model, KEY)? + KEY.len();
    let length = model[start..].iter().position(|&b| b == b'"').ok_or(BaseScoreError)?;
    let Some(digits) = digits_in_brackets(&model[start..start + length])? else { return Ok(model) };
    Ok([&model[..start], digits, &model[start + length..]].concat())
}

/// Rewrites a UBJSON model as libxgboost writes it: keys and strings have 64-bit big-endian
/// lengths, and no container has a length in bytes.
pub(super) fn scalar_in_ubj(model: Vec<u8>) -> Result<Vec<u8>, BaseScoreError> {
    // The first key of an object (`L` and its length), then the markers of a string and of its
    // length. A feature called `base_score` looks the same but for the `S` in place of the brace,
    // and no name holds the zero bytes, for it came as a C string.
    const KEY: &[u8] = b"{L\0\0\0\0\0\0\0\x0abase_scoreSL";
    let length_at = only_occurrence(&model, KEY)? + KEY.len();
    let start = length_at + size_of::<u64>();
    let length = model.get(length_at..start).ok_or(BaseScoreError)?;
    let length = u64::from_be_bytes(length.try_into().map_err(|_| BaseScoreError)?);
    let end =
        usize::try_from(length).ok().and_then(|length| start.checked_add(length)).ok_or(BaseScoreError)?;
    let text = model.get(start..end).ok_or(BaseScoreError)?;
    let Some(digits) = digits_in_brackets(text)? else { return Ok(model) };
    Ok([&model[..length_at], &(digits.len() as u64).to_be_bytes(), digits, &model[end..]].concat())
}

/// `[4.85E-1]` -> `4.85E-1`; none if there are no brackets; an error for several scores.
fn digits_in_brackets(text: &[u8]) -> Result<Option<&[u8]>, BaseScoreError> {
    if text.is_empty() || text.contains(&b',') {
        return Err(BaseScoreError);
    }
    Ok(text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")))
}

fn only_occurrence(haystack: &[u8], needle: &[u8]) -> Result<usize, BaseScoreError> {
    let mut found = haystack.windows(needle.len()).enumerate().filter(|(_, w)| *w == needle);
    match (found.next(), found.next()) {
        (Some((at, _)), None) => Ok(at),
        _ => Err(BaseScoreError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(model: &str) -> Result<String, BaseScoreError> {
        scalar_in_json(model.into()).map(|bytes| String::from_utf8(bytes).expect("text"))
    }

    fn ubj(score: &str) -> Vec<u8> {
        let mut bytes = b"{L\0\0\0\0\0\0\0\x0abase_scoreSL".to_vec();
        bytes.extend((score.len() as u64).to_be_bytes());
        bytes.extend(score.as_bytes());
        bytes.push(b'}');
        bytes
    }

    #[test]
    fn brackets_go_and_every_other_byte_stays() {
        let names = r#"{"feature_names":["\"base_score\":\"[1]\""],"#;
        let before = format!(r#"{names}"base_score":"[7.0450616E-1]","num_class":"0"}}"#);
        assert_eq!(json(&before), Ok(format!(r#"{names}"base_score":"7.0450616E-1","num_class":"0"}}"#)));
        assert_eq!(scalar_in_ubj(ubj("[7.0450616E-1]")), Ok(ubj("7.0450616E-1")));
    }

    #[test]
    fn a_feature_of_that_name_is_none_of_it() {
        let names = b"[SL\0\0\0\0\0\0\0\x0abase_scoreSL\0\0\0\0\0\0\0\x01a]";
        let with_names = |score| [&names[..], &ubj(score)].concat();
        assert_eq!(scalar_in_ubj(with_names("[1E0]")), Ok(with_names("1E0")));
        let names = r#"["base_score","a"],"#;
        assert_eq!(
            json(&format!(r#"{names}"base_score":"[1E0]""#)),
            Ok(format!(r#"{names}"base_score":"1E0""#))
        );
    }

    #[test]
    fn a_scalar_stays_as_it_is() {
        assert_eq!(json(r#"{"base_score":"5E-1"}"#), Ok(r#"{"base_score":"5E-1"}"#.to_owned()));
        assert_eq!(scalar_in_ubj(ubj("5E-1")), Ok(ubj("5E-1")));
    }

    #[test]
    fn several_scores_or_none_are_an_error() {
        for model in [r#"{"base_score":"[1E0,2E0]"}"#, r#"{"base_score":""}"#, r#"{"base_score":"1"#, "{}"] {
            assert_eq!(json(model), Err(BaseScoreError), "{model}");
        }
        assert_eq!(scalar_in_ubj(ubj("[1E0,2E0]")), Err(BaseScoreError));
        let mut cut = ubj("[1E0]");
        cut.truncate(cut.len() - 3);
        assert_eq!(scalar_in_ubj(cut), Err(BaseScoreError));
    }
}
