//! Hyperparameters of gradient boosting.

use serde::{Deserialize, Serialize};

/// Hyperparameters, named as in XGBoost and with its defaults.
///
/// What a tenant may not choose is fixed in [`train`](super::train()).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Rounds of boosting, one tree each: 1 to 10,000.
    pub n_estimators: u32,
    /// Greatest depth of a tree; a lone leaf has depth 0: 1 to 30.
    pub max_depth: u32,
    /// Shrinkage of each tree's leaf values: above 0, up to 1.
    pub learning_rate: f64,
    /// Fraction of rows drawn for each tree: above 0, up to 1.
    pub subsample: f64,
    /// Fraction of features drawn for each tree: above 0, up to 1.
    pub colsample_bytree: f64,
    /// Least hessian sum of a child; for squared error its number of rows: 0 or more.
    pub min_child_weight: f64,
    /// Least loss reduction of a split: 0 or more.
    pub gamma: f64,
    /// L1 penalty on leaf values: 0 or more.
    pub reg_alpha: f64,
    /// L2 penalty on leaf values: 0 or more.
    pub reg_lambda: f64,
    /// Histogram bins per feature: 2 to 65,536.
    pub max_bin: u32,
    /// Stop when the validation RMSE has not improved for so many rounds, and keep the best
    /// round: 1 or more; none trains all rounds.
    pub early_stopping_rounds: Option<u32>,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            n_estimators: 100,
            max_depth: 6,
            learning_rate: 0.3,
            subsample: 1.0,
            colsample_bytree: 1.0,
            min_child_weight: 1.0,
            gamma: 0.0,
            reg_alpha: 0.0,
            reg_lambda: 1.0,
            max_bin: 256,
            early_stopping_rounds: None,
        }
    }
}

impl Params {
    /// Checks every range.
    ///
    /// # Errors
    /// All fields that are out of range, in the order of the struct.
    pub fn check(&self) -> Result<(), Vec<OutOfRange>> {
        // libxgboost parses these as f32 and refuses what is not a normal one.
        let penalty = |x: f64| x == 0.0 || (f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(&x);
        let fraction = |x: f64| penalty(x) && x > 0.0 && x <= 1.0;
        const FRACTION: &str = "above 0 and at most 1";
        const PENALTY: &str = "from 0 to 3.4e38";
        let checks = [
            ("n_estimators", (1..=10_000).contains(&self.n_estimators), "from 1 to 10000"),
            ("max_depth", (1..=30).contains(&self.max_depth), "from 1 to 30"),
            ("learning_rate", fraction(self.learning_rate), FRACTION),
            ("subsample", fraction(self.subsample), FRACTION),
            ("colsample_bytree", fraction(self.colsample_bytree), FRACTION),
            ("min_child_weight", penalty(self.min_child_weight), PENALTY),
            ("gamma", penalty(self.gamma), PENALTY),
            ("reg_alpha", penalty(self.reg_alpha), PENALTY),
            ("reg_lambda", penalty(self.reg_lambda), PENALTY),
            ("max_bin", (2..=65_536).contains(&self.max_bin), "from 2 to 65536"),
            ("early_stopping_rounds", self.early_stopping_rounds != Some(0), "at least 1, or absent"),
        ];
        let wrong: Vec<_> = checks
            .into_iter()
            .filter(|&(_, ok, _)| !ok)
            .map(|(field, _, allowed)| OutOfRange { field, allowed })
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Names and values as libxgboost takes them. What the boosting loop itself does
    /// (`n_estimators`, `early_stopping_rounds`) is not among them.
    pub(super) fn settings(&self) -> [(&'static str, String); 9] {
        [
            ("max_depth", self.max_depth.to_string()),
            ("learning_rate", self.learning_rate.to_string()),
            ("subsample", self.subsample.to_string()),
            ("colsample_bytree", self.colsample_bytree.to_string()),
            ("min_child_weight", self.min_child_weight.to_string()),
            ("gamma", self.gamma.to_string()),
            ("reg_alpha", self.reg_alpha.to_string()),
            ("reg_lambda", self.reg_lambda.to_string()),
            ("max_bin", self.max_bin.to_string()),
        ]
    }
}

/// A hyperparameter that is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {allowed}")]
pub struct OutOfRange {
    /// Name of the hyperparameter.
    pub field: &'static str,
    /// The range, in words that follow "must be".
    pub allowed: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_in_range() {
        assert_eq!(Params::default().check(), Ok(()));
    }

    #[test]
    fn each_limit_itself_is_allowed_and_a_step_beyond_it_is_not() {
        let d = Params::default;
        let allowed = [
            Params { n_estimators: 10_000, max_depth: 30, learning_rate: 1.0, max_bin: 65_536, ..d() },
            Params {
                n_estimators: 1,
                max_depth: 1,
                learning_rate: f64::from(f32::MIN_POSITIVE),
                max_bin: 2,
                ..d()
            },
            Params { min_child_weight: 0.0, reg_lambda: 0.0, early_stopping_rounds: Some(1), ..d() },
        ];
        for params in allowed {
            assert_eq!(params.check(), Ok(()), "{params:?}");
        }
        let refused = [
            ("n_estimators", Params { n_estimators: 0, ..d() }),
            ("n_estimators", Params { n_estimators: 10_001, ..d() }),
            ("max_depth", Params { max_depth: 0, ..d() }),
            ("max_depth", Params { max_depth: 31, ..d() }),
            ("learning_rate", Params { learning_rate: 0.0, ..d() }),
            ("learning_rate", Params { learning_rate: f64::NAN, ..d() }),
            ("subsample", Params { subsample: 1.000_001, ..d() }),
            ("subsample", Params { subsample: 1e-40, ..d() }),
            ("colsample_bytree", Params { colsample_bytree: -0.5, ..d() }),
            ("min_child_weight", Params { min_child_weight: -1.0, ..d() }),
            ("gamma", Params { gamma: f64::INFINITY, ..d() }),
            ("reg_alpha", Params { reg_alpha: f64::NAN, ..d() }),
            ("reg_lambda", Params { reg_lambda: 1e39, ..d() }),
            ("max_bin", Params { max_bin: 1, ..d() }),
            ("max_bin", Params { max_bin: 65_537, ..d() }),
            ("early_stopping_rounds", Params { early_stopping_rounds: Some(0), ..d() }),
        ];
        for (field, params) in refused {
            let wrong = params.check().expect_err(field);
            assert_eq!(wrong.iter().map(|w| w.field).collect::<Vec<_>>(), [field]);
        }
    }

    #[test]
    fn all_mistakes_are_named_at_once() {
        let params = Params { max_depth: 0, subsample: 2.0, ..Params::default() };
        let wrong = params.check().expect_err("two mistakes");
        let text: Vec<_> = wrong.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["max_depth must be from 1 to 30", "subsample must be above 0 and at most 1"]);
    }

    #[test]
    fn json_takes_what_is_named_and_refuses_what_is_unknown() {
        let params: Params =
            serde_json::from_str(r#"{"max_depth": 5, "learning_rate": 0.1}"#).expect("valid");
        assert_eq!(params, Params { max_depth: 5, learning_rate: 0.1, ..Params::default() });
        let error = serde_json::from_str::<Params>(r#"{"depth": 5}"#).expect_err("unknown");
        assert!(error.to_string().contains("unknown field `depth`"), "{error}");
    }
}
