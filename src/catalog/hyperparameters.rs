//! The hyperparameters that each family takes: names, ranges, defaults, and the check that turns
//! a request's object into a set that is valid by construction.

use serde_json::{Map, Value, json};

use super::{Family, ModelType};
use crate::error::{Error, FieldError, MAX_FAULTS, Result, echo};

/// A hyperparameter that a family takes.
#[derive(Debug, Clone, Copy)]
pub struct ParamSpec {
    /// The field's standard name.
    pub name: &'static str,
    /// Other names under which libraries know it.
    pub aliases: &'static [&'static str],
    /// Allowed values.
    pub range: Range,
    /// Words that are allowed beside numbers, such as `"auto"`.
    pub words: &'static [&'static str],
    /// Whether null is allowed (no limit, not used).
    pub nullable: bool,
    /// The family's default; `Value::Null` for a nullable one that is off.
    pub default: Default,
    /// What it does, for the documentation.
    pub help: &'static str,
}

/// Allowed numbers of a hyperparameter, ends included unless said otherwise.
#[derive(Debug, Clone, Copy)]
pub enum Range {
    /// Whole numbers.
    Integer(i64, i64),
    /// Any finite number.
    Number(f64, f64),
    /// Any number above the first end.
    Above(f64, f64),
    /// A whole number in the first range, or a fraction above 0 and below 1.
    IntegerOrFraction(i64, i64),
}

/// Default of a hyperparameter.
#[derive(Debug, Clone, Copy)]
pub enum Default {
    /// A number.
    Number(f64),
    /// A word.
    Word(&'static str),
    /// None: not limited, not used.
    Null,
}

const fn param(name: &'static str, range: Range, default: f64, help: &'static str) -> ParamSpec {
    ParamSpec {
        name,
        aliases: &[],
        range,
        words: &[],
        nullable: false,
        default: Default::Number(default),
        help,
    }
}

const N_ESTIMATORS: ParamSpec =
    param("n_estimators", Range::Integer(1, 10_000), 100.0, "number of trees or boosting rounds");

static BOOSTED: &[ParamSpec] = &[
    ParamSpec { aliases: &["num_boost_round"], ..N_ESTIMATORS },
    param("max_depth", Range::Integer(1, 20), 6.0, "largest depth of a tree"),
    ParamSpec {
        aliases: &["eta"],
        ..param("learning_rate", Range::Above(0.0, 1.0), 0.1, "shrinkage of each round's step")
    },
    param("subsample", Range::Above(0.0, 1.0), 1.0, "share of the rows drawn for each tree"),
    param("colsample_bytree", Range::Above(0.0, 1.0), 1.0, "share of the features drawn for each tree"),
    param("min_child_weight", Range::Number(0.0, 1e9), 1.0, "smallest hessian sum of a child"),
    ParamSpec {
        aliases: &["min_split_loss"],
        ..param("gamma", Range::Number(0.0, 1e12), 0.0, "smallest loss reduction of a split")
    },
    ParamSpec {
        aliases: &["alpha"],
        ..param("reg_alpha", Range::Number(0.0, 1e9), 0.0, "L1 penalty of leaf weights")
    },
    ParamSpec {
        aliases: &["lambda"],
        ..param("reg_lambda", Range::Number(0.0, 1e9), 1.0, "L2 penalty of leaf weights")
    },
    param("max_bin", Range::Integer(2, 1024), 256.0, "histogram bins a feature"),
    ParamSpec {
        nullable: true,
        default: Default::Null,
        ..param(
            "early_stopping_rounds",
            Range::Integer(1, 1000),
            0.0,
            "stop when the validation RMSE has not improved for this many rounds",
        )
    },
];

static RANDOM_FOREST: &[ParamSpec] = &[
    N_ESTIMATORS,
    ParamSpec {
        nullable: true,
        ..param("max_depth", Range::Integer(1, 64), 10.0, "largest depth of a tree; null: unlimited")
    },
    param("min_samples_split", Range::Integer(2, 1_000_000), 2.0, "rows that a node needs to be split"),
    param("min_samples_leaf", Range::Integer(1, 1_000_000), 1.0, "rows that a leaf keeps at least"),
    ParamSpec {
        words: &["sqrt", "log2"],
        nullable: true,
        default: Default::Word("sqrt"),
        ..param(
            "max_features",
            Range::IntegerOrFraction(1, 10_000),
            0.0,
            "features tried at a split; null: all",
        )
    },
];

static ISOLATION_FOREST: &[ParamSpec] = &[
    N_ESTIMATORS,
    ParamSpec {
        words: &["auto"],
        ..param("contamination", Range::Above(0.0, 0.5), 0.05, "share of the training rows called anomalies")
    },
    ParamSpec {
        words: &["auto"],
        ..param(
            "max_samples",
            Range::IntegerOrFraction(2, 1_000_000),
            256.0,
            "rows drawn for each tree; auto: min(256, rows)",
        )
    },
];

impl Family {
    /// The hyperparameters that the family takes.
    #[must_use]
    pub fn params(self) -> &'static [ParamSpec] {
        match self {
            Self::BoostedRegression => BOOSTED,
            Self::RandomForest => RANDOM_FOREST,
            Self::IsolationForest => ISOLATION_FOREST,
        }
    }
}

/// A checked set: every hyperparameter of the family with an allowed value.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(transparent)]
pub struct Hyperparameters(Map<String, Value>);

impl Hyperparameters {
    /// Checks what a request sent under `field` and fills in the defaults.
    ///
    /// # Errors
    /// [`Error::Invalid`] with one entry for each unknown name, wrong type or value out of range, up
    /// to [`MAX_FAULTS`].
    pub fn check(model_type: ModelType, field: &str, requested: &Map<String, Value>) -> Result<Self> {
        let params = model_type.family.params();
        let mut values: Map<String, Value> =
            params.iter().map(|param| (param.name.to_owned(), default_of(model_type, param))).collect();
        let mut errors = vec![];
        for (name, value) in requested {
            if errors.len() == MAX_FAULTS {
                break;
            }
            let path = [field, name.as_str()];
            match params.iter().find(|param| param.name == name || param.aliases.contains(&name.as_str())) {
                None => errors.push(unknown(model_type, path, value)),
                Some(param) => match param.check(value) {
                    Ok(value) => {
                        values.insert(param.name.to_owned(), value);
                    }
                    Err((kind, msg)) => errors.push(FieldError::body(kind, path, msg, echo(value))),
                },
            }
        }
        if errors.is_empty() { Ok(Self(values)) } else { Err(Error::Invalid(errors)) }
    }

    /// All values by name.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A value as a number; `None` for null, a word, or a name that the family does not take.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.as_f64()
    }

    /// A value as a whole number; `None` for null, a word, a fraction, or an unknown name.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<u32> {
        u32::try_from(self.0.get(name)?.as_i64()?).ok()
    }

    /// A value as a word.
    #[must_use]
    pub fn word(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }
}

fn default_of(model_type: ModelType, param: &ParamSpec) -> Value {
    let own = model_type.defaults.iter().find(|(name, _)| *name == param.name).map(|&(_, value)| value);
    match (own, param.default) {
        (Some(value), _) | (None, Default::Number(value)) => param.canonical(value),
        (None, Default::Word(word)) => json!(word),
        (None, Default::Null) => Value::Null,
    }
}

fn unknown(model_type: ModelType, path: [&str; 2], value: &Value) -> FieldError {
    let known: Vec<_> = model_type.family.params().iter().map(|param| param.name).collect();
    let known = known.join(", ");
    let msg = format!("Unknown hyperparameter of {model_type}; it takes {known}");
    FieldError::body("extra_forbidden", path, msg, echo(value)).with_ctx(json!({ "known": known }))
}

impl ParamSpec {
    /// The value in its canonical JSON form, or pydantic's name of the broken rule with a message.
    fn check(&self, value: &Value) -> Result<Value, (&'static str, String)> {
        match value {
            Value::Null if self.nullable => return Ok(Value::Null),
            Value::String(word) if self.words.contains(&word.as_str()) => return Ok(value.clone()),
            _ => {}
        }
        let Some(number) = value.as_f64() else {
            let kind = if matches!(self.range, Range::Integer(..)) { "int_type" } else { "float_type" };
            return Err((kind, format!("Input should be {}", self.expectation())));
        };
        let kind = match self.range {
            Range::Integer(..) if number.fract() != 0.0 => Some("int_from_float"),
            Range::Integer(min, _) if number < min as f64 => Some("greater_than_equal"),
            Range::Integer(_, max) if number > max as f64 => Some("less_than_equal"),
            Range::Number(min, _) if number < min => Some("greater_than_equal"),
            Range::Above(min, _) if number <= min => Some("greater_than"),
            Range::Number(_, max) | Range::Above(_, max) if number > max => Some("less_than_equal"),
            Range::IntegerOrFraction(..) if number <= 0.0 => Some("greater_than"),
            Range::IntegerOrFraction(min, _) if number.fract() == 0.0 && number < min as f64 => {
                Some("greater_than_equal")
            }
            Range::IntegerOrFraction(_, max) if number > max as f64 => Some("less_than_equal"),
            Range::IntegerOrFraction(..) if number.fract() != 0.0 && number > 1.0 => Some("int_from_float"),
            _ => None,
        };
        match kind {
            Some(kind) => Err((kind, format!("Input should be {}", self.expectation()))),
            None => Ok(self.canonical(number)),
        }
    }

    /// Whole numbers without a fraction part, so that 6 and 6.0 are the same parameter.
    fn canonical(&self, number: f64) -> Value {
        let whole = matches!(self.range, Range::Integer(..) | Range::IntegerOrFraction(..));
        if whole && number.fract() == 0.0 { json!(number as i64) } else { json!(number) }
    }

    /// The allowed values in words: "an integer from 1 to 20".
    #[must_use]
    pub fn expectation(&self) -> String {
        let mut text = match self.range {
            Range::Integer(min, max) => format!("an integer from {min} to {max}"),
            Range::Number(min, max) => format!("a number from {min} to {max}"),
            Range::Above(min, max) => format!("a number greater than {min}, at most {max}"),
            Range::IntegerOrFraction(min, max) => {
                format!("an integer from {min} to {max} or a fraction between 0 and 1")
            }
        };
        for word in self.words {
            text.push_str(&format!(" or '{word}'"));
        }
        if self.nullable {
            text.push_str(" or null");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(model_type: &str, requested: Value) -> Result<Hyperparameters> {
        let model_type = ModelType::parse(model_type).expect("a catalog type");
        Hyperparameters::check(model_type, "hyperparameters", requested.as_object().expect("an object"))
    }

    fn kinds(result: Result<Hyperparameters>) -> Vec<String> {
        match result {
            Err(Error::Invalid(errors)) => errors.iter().map(|error| error.kind.to_string()).collect(),
            other => panic!("expected field errors, got {other:?}"),
        }
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let cost = check("cost_forecasting", json!({})).expect("defaults");
        assert_eq!((cost.integer("n_estimators"), cost.integer("max_depth")), (Some(100), Some(6)));
        assert_eq!(cost.number("learning_rate"), Some(0.1));
        let roi = check("roi_prediction", json!({})).expect("defaults");
        assert_eq!(roi.integer("max_depth"), Some(5));
        let risk = check("risk_assessment", json!({})).expect("defaults");
        assert_eq!((risk.integer("max_depth"), risk.integer("min_samples_leaf")), (Some(10), Some(1)));
        let anomaly = check("anomaly_detection", json!({})).expect("defaults");
        assert_eq!(
            (anomaly.number("contamination"), anomaly.integer("max_samples")),
            (Some(0.05), Some(256))
        );
    }

    #[test]
    fn aliases_and_whole_floats_are_the_same_parameter() {
        let a = check("cost_forecasting", json!({"eta": 0.3, "lambda": 2, "max_depth": 4.0})).expect("valid");
        let b = check("cost_forecasting", json!({"learning_rate": 0.3, "reg_lambda": 2.0, "max_depth": 4}));
        assert_eq!(a, b.expect("valid"));
    }

    #[test]
    fn each_broken_rule_has_its_name() {
        for (value, kind) in [
            (json!(-5), "greater_than_equal"),
            (json!(0), "greater_than_equal"),
            (json!(10.5), "int_from_float"),
            (json!("100"), "int_type"),
            (json!(true), "int_type"),
            (json!(null), "int_type"),
            (json!(1_000_000), "less_than_equal"),
        ] {
            assert_eq!(kinds(check("risk_assessment", json!({"n_estimators": value}))), [kind], "{value}");
        }
        assert_eq!(
            kinds(check("cost_forecasting", json!({"learning_rate": 0, "foo": 1}))),
            ["greater_than", "extra_forbidden"]
        );
    }

    #[test]
    fn words_and_null_where_they_mean_something() {
        let forest =
            check("risk_assessment", json!({"max_depth": null, "max_features": "log2"})).expect("valid");
        assert_eq!((forest.integer("max_depth"), forest.word("max_features")), (None, Some("log2")));
        let isolation = check("anomaly_detection", json!({"contamination": "auto", "max_samples": 0.5}));
        assert_eq!(isolation.expect("valid").number("max_samples"), Some(0.5));
        assert_eq!(kinds(check("anomaly_detection", json!({"contamination": 0.6}))), ["less_than_equal"]);
    }

    #[test]
    fn thousands_of_unknown_names_do_not_swell_the_answer() {
        let unknown: Map<String, Value> = (0..10_000).map(|i| (format!("h{i}"), json!(1))).collect();
        assert_eq!(kinds(check("cost_forecasting", json!(unknown))).len(), MAX_FAULTS);
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let Err(Error::Invalid(errors)) = check("anomaly_detection", json!({"foo": 1})) else {
            panic!("must be refused")
        };
        assert!(errors[0].msg.contains("n_estimators, contamination, max_samples"), "{}", errors[0].msg);
    }
}
