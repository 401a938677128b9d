//! The scalar form of `base_score`.
//!
//! XGBoost 3.1 and later write the base score of a model as a vector, `"[4.85E-1]"`. XGBoost 2.x
//! and 3.0 load such a file without an error and predict wrongly. All of them read `"4.85E-1"`
//! alike, so that is what we hand out: the same digits without the brackets.

use super::ubjson::text_at;

/// Where a model in UBJSON holds it.
const UBJ_PATH: [&str; 3] = ["learner", "learner_model_param", "base_score"];

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

/// Rewrites a UBJSON model.
pub(super) fn scalar_in_ubj(model: Vec<u8>) -> Result<Vec<u8>, BaseScoreError> {
    let text = text_at(&model, &UBJ_PATH).map_err(|_| BaseScoreError)?;
    let Some(digits) = digits_in_brackets(&model[text.clone()])? else { return Ok(model) };
    let length = (digits.len() as u64).to_be_bytes();
    Ok([&model[..text.start - length.len()], &length, digits, &model[text.end..]].concat())
}

/// The base score of a UBJSON model in either form.
pub(super) fn of_ubj(model: &[u8]) -> Result<f32, BaseScoreError> {
    let text = &model[text_at(model, &UBJ_PATH).map_err(|_| BaseScoreError)?];
    let digits = digits_in_brackets(text)?.unwrap_or(text);
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(BaseScoreError)
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
    use super::super::ubjson::tests::{object, text};
    use super::*;

    fn json(model: &str) -> Result<String, BaseScoreError> {
        scalar_in_json(model.into()).map(|bytes| String::from_utf8(bytes).expect("text"))
    }

    fn ubj(score: &str) -> Vec<u8> {
        let head = object(&[("base_score", text(score)), ("num_class", text("0"))]);
        object(&[("learner", object(&[("learner_model_param", head)]))])
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
    fn the_score_is_read_in_either_form() {
        for score in ["[-7.0450616E-1]", "-7.0450616E-1"] {
            assert_eq!(of_ubj(&ubj(score)), Ok(-0.704_506_16));
        }
        assert_eq!(of_ubj(&ubj("[1E0,2E0]")), Err(BaseScoreError));
        assert_eq!(of_ubj(&ubj("one")), Err(BaseScoreError));
    }

    #[test]
    fn several_scores_or_none_are_an_error() {
        for model in [r#"{"base_score":"[1E0,2E0]"}"#, r#"{"base_score":""}"#, r#"{"base_score":"1"#, "{}"] {
            assert_eq!(json(model), Err(BaseScoreError), "{model}");
        }
        assert_eq!(scalar_in_ubj(ubj("[1E0,2E0]")), Err(BaseScoreError));
        let mut cut = ubj("[1E0]");
        cut.truncate(60);
        assert_eq!(scalar_in_ubj(cut), Err(BaseScoreError));
    }
}
