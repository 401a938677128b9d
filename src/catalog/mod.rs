//! The model types that the service knows. To add a fifth, write one file beside
//! `cost_forecasting` and name it in [`ALL`]; nothing outside this folder changes but the
//! migration of its record table.

pub mod hyperparameters;

mod anomaly_detection;
mod cost_forecasting;
mod risk_assessment;
mod roi_prediction;

use serde_json::{Map, Value};

pub use hyperparameters::Hyperparameters;

/// Every model type, in the order in which messages list them.
pub static ALL: [&ModelSpec; 4] =
    [&cost_forecasting::SPEC, &risk_assessment::SPEC, &roi_prediction::SPEC, &anomaly_detection::SPEC];

/// One of the model types; as cheap to pass as a reference.
#[derive(Clone, Copy)]
pub struct ModelType(&'static ModelSpec);

/// What makes up a model type.
#[derive(Debug)]
pub struct ModelSpec {
    /// Name in requests, tables, MLflow and paths.
    pub name: &'static str,
    /// One sentence for the documentation.
    pub summary: &'static str,
    /// The algorithm.
    pub family: Family,
    /// Features of the default query, in model order.
    pub features: &'static [FeatureSpec],
    /// What is predicted; `None` for an unsupervised model.
    pub target: Option<TargetSpec>,
    /// Record table of the default query.
    pub table: &'static str,
    /// Where the type's defaults differ from its family's.
    pub defaults: &'static [(&'static str, f64)],
    /// The fields that the answer of a prediction carries beside `value`.
    pub present: fn(&Outcome<'_>) -> Map<String, Value>,
}

/// The algorithm of a model type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// XGBoost regression, squared error.
    BoostedRegression,
    /// Random forest, binary classification.
    RandomForest,
    /// Isolation forest, unsupervised.
    IsolationForest,
}

impl Family {
    /// The algorithm's name in MLflow and documentation.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BoostedRegression => "gradient_boosting",
            Self::RandomForest => "random_forest",
            Self::IsolationForest => "isolation_forest",
        }
    }
}

/// A feature of the default query.
#[derive(Debug, Clone, Copy)]
pub struct FeatureSpec {
    /// Column of the record table and key in requests.
    pub name: &'static str,
    /// Numeric, or a set of names.
    pub kind: FeatureKindSpec,
    /// Unit and meaning, for the documentation.
    pub meaning: &'static str,
    /// A typical value, for the documentation's examples.
    pub example: f64,
}

/// Kind of a feature in the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureKindSpec {
    /// A number.
    Numeric,
    /// A name, or the number that some clients send for it: number `i + 1` stands for `names[i]`.
    Categorical {
        /// The names that a number may stand for.
        names: &'static [&'static str],
    },
}

/// What a supervised model learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetSpec {
    /// Column of the record table and key in inline rows.
    pub name: &'static str,
    /// Whether it is a class (0 or 1) rather than a number.
    pub binary: bool,
}

/// A prediction before it is put into words.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// What the ensemble answers: cost, ROI in percent, probability of high risk, or
    /// scikit-learn's `score_samples` of an anomaly model.
    pub value: f64,
    /// Score at and above which a row is normal; NaN for other families.
    pub offset: f64,
    /// The features as the caller sent them.
    pub features: &'a Map<String, Value>,
}

impl Outcome<'_> {
    /// A numeric input, if it was sent.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<f64> {
        self.features.get(name).and_then(Value::as_f64)
    }
}

/// Property types by the number that the platform's older clients send.
const PROPERTY_TYPE: FeatureKindSpec =
    FeatureKindSpec::Categorical { names: &["residential", "commercial", "industrial", "mixed_use"] };

const fn numeric(name: &'static str, meaning: &'static str, example: f64) -> FeatureSpec {
    FeatureSpec { name, kind: FeatureKindSpec::Numeric, meaning, example }
}

impl ModelType {
    /// The type of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|model_type| model_type.name == name)
    }

    /// Every type, in the catalog's order.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.into_iter().map(Self)
    }
}

impl std::ops::Deref for ModelType {
    type Target = ModelSpec;

    fn deref(&self) -> &ModelSpec {
        self.0
    }
}

impl PartialEq for ModelType {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ModelType {}

impl std::hash::Hash for ModelType {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl std::fmt::Debug for ModelType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl std::fmt::Display for ModelType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
