//! What a prediction is asked for, and what it answers.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{catalog::ModelType, registry::CHAMPION};

/// A prediction that a caller asks for; the tenant is that of the open scope.
#[derive(Debug, Clone)]
pub struct PredictRequest {
    /// Which model.
    pub model_type: ModelType,
    /// Which version of it.
    pub version: VersionSelector,
    /// Feature values by name.
    pub features: Map<String, Value>,
}

/// Which version of a model a request means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionSelector {
    /// The one that is served: the alias `champion`, or the newest ready version where no alias says otherwise.
    Champion,
    /// The newest that is ready, champion or not.
    Latest,
    /// A number: "1", "v1", "1.0" and "v1.0" are version 1.
    Number(u32),
    /// Anything else that a request named: an alias, or nothing of ours.
    Alias(String),
}

impl VersionSelector {
    /// From a request's `model_version`; absent, empty and "champion" are the champion.
    #[must_use]
    pub fn parse(text: Option<&str>) -> Self {
        let text = match text.map(str::trim) {
            None | Some("" | CHAMPION) => return Self::Champion,
            Some("latest") => return Self::Latest,
            Some(text) => text,
        };
        let number = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let number = number.strip_suffix(".0").unwrap_or(number);
        match number.parse() {
            Ok(number) if number > 0 && !text.contains(['+', '-']) => Self::Number(number),
            _ => Self::Alias(text.to_owned()),
        }
    }
}

/// The version as the API writes it: 1 is "v1.0".
#[must_use]
pub fn version_label(version: i32) -> String {
    format!("v{version}.0")
}

/// An answered prediction.
#[derive(Debug, Clone)]
pub struct PredictOutcome {
    /// Row in `predictions`.
    pub prediction_id: Uuid,
    /// `value` and the type's own fields.
    pub prediction: Map<String, Value>,
    /// Probability of the predicted class, 0.5 to 1; `None` where the model gives none.
    pub confidence: Option<f64>,
    /// "v1.0".
    pub model_version: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Features that were sent but that the model does not know.
    pub ignored_features: Vec<String>,
    /// Features whose category was not seen in training.
    pub unseen_categories: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_every_spelling() {
        for text in [None, Some(""), Some("champion"), Some(" ")] {
            assert_eq!(VersionSelector::parse(text), VersionSelector::Champion);
        }
        assert_eq!(VersionSelector::parse(Some("latest ")), VersionSelector::Latest);
        for text in ["1", "v1", "V1", "1.0", "v1.0", " v1.0 "] {
            assert_eq!(VersionSelector::parse(Some(text)), VersionSelector::Number(1), "{text}");
        }
        for text in ["challenger", "0", "v0.0", "+1", "-1", "1.5", "99999999999"] {
            assert!(matches!(VersionSelector::parse(Some(text)), VersionSelector::Alias(_)), "{text}");
        }
    }
}
