//! Fitting: from checked hyperparameters and rows to an ensemble, by the model type's family.

use std::{
    cell::Cell,
    num::{NonZeroU32, NonZeroUsize},
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{control::Control, pool::give_way, split::Split};
use crate::{
    catalog::{Family, Hyperparameters},
    error::{Error, FieldError, Result},
    features::Dataset,
    forest::{
        Checked, Ensemble, FitError, IsolationForestParams, RandomForestParams,
        isolation_forest::{self, Contamination, MaxSamples},
        random_forest::{self, MaxFeatures},
    },
    xgboost::{self, Checkpoint, Checkpoints, Library, TrainError},
};

/// A fitted model.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// For the evaluator and the native file.
    pub ensemble: Ensemble,
    /// The same as XGBoost's own file; `None` for the forests.
    pub xgboost: Option<XgboostModel>,
    /// Learning curves by name, one value a round; empty for the forests.
    pub curves: Vec<(&'static str, Vec<f64>)>,
    /// Memory beside the trees.
    pub memory: FitMemory,
}

/// Memory that fitting took, in bytes, counted from the sizes of what this training held: how much the process
/// holds would tell one tenant when others train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FitMemory {
    /// The rows, which stay until the model is judged.
    pub rows: usize,
    /// What the trainer made of them: libxgboost's matrix, the bins of a forest.
    pub copies: usize,
}

impl FitMemory {
    fn of(family: Family, dataset: &Dataset, params: &Hyperparameters, threads: usize) -> Self {
        let (n_rows, n_train) = (dataset.n_rows(), dataset.features.fitting().n_rows());
        let n_cols = dataset.features.fitting().n_cols();
        let numbers = dataset.target.len() + dataset.observed_at.len();
        // A number a row: which rows are held out.
        let rows = dataset.features.memory_bytes() + numbers * size_of::<f64>() + n_rows * size_of::<usize>();
        let copies = match family {
            // libxgboost keeps each value with its column's number (8 bytes) and as a bin (1, or 2 beyond 256), by
            // rows and by columns; of each row where it begins (twice), target, margins, gradient and hessian.
            Family::BoostedRegression => {
                let bin = if params.number("max_bin").is_some_and(|bins| bins > 256.0) { 2 } else { 1 };
                n_rows * (n_cols * (8 + 2 * bin) + 36)
            }
            // The bin of each value; of each row its class, and on each thread how often it was drawn, twice.
            Family::RandomForest => n_train * (n_cols + 1 + threads * 20),
            // Which rows were drawn, a bit each; their scores.
            Family::IsolationForest => n_train * size_of::<f64>() + threads * n_train.div_ceil(8),
        };
        Self { rows, copies }
    }
}

/// XGBoost's own file.
#[derive(Debug, Clone)]
pub struct XgboostModel {
    /// Its JSON format.
    pub json: Bytes,
    /// Version of the library that wrote it, "3.2.0".
    pub version: String,
}

/// What fitting needs beside the rows.
#[derive(Debug, Clone, Copy)]
pub struct FitContext<'a> {
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Threads that libxgboost may use; the forests use the current rayon pool.
    pub threads: usize,
    /// libxgboost; needed for boosting alone.
    pub library: Option<&'a Library>,
    /// Told of every tree or round, and asked whether to go on.
    pub control: &'a Control,
    /// How a boosted training survives its process.
    pub resume: &'a Resume,
}

/// Where a boosted training is kept while it runs, and where it goes on from.
#[derive(Debug)]
pub struct Resume {
    /// Rounds from one checkpoint to the next, at least.
    pub every: NonZeroU32,
    /// The segments of the last checkpoint of this job; none if no other worker left one.
    pub last: Vec<Vec<u8>>,
    /// Whether the next one is to be made: who keeps them has done with the one before.
    pub wanted: Arc<AtomicBool>,
    /// Takes each; the training does not wait for it.
    pub keep: mpsc::Sender<MadeCheckpoint>,
}

/// A checkpoint that is to be kept.
#[derive(Debug)]
pub struct MadeCheckpoint {
    /// What it adds to the one before.
    pub segments: Vec<xgboost::Segment>,
    /// How long the training waited for it.
    pub made_in: Duration,
}

/// Fits on the training rows, once the others are held out of `dataset`. Blocks; the forests use the current rayon pool.
///
/// # Errors
/// [`Error::Invalid`] for hyperparameters that do not fit these rows, [`Error::Unavailable`]
/// where boosting is asked for and libxgboost is not there.
pub fn fit(
    family: Family,
    params: &Hyperparameters,
    dataset: &Dataset,
    split: &Split,
    context: FitContext<'_>,
) -> Result<Fitted> {
    check_size(family, params, split.train.len())?;
    let train = dataset.features.fitting();
    let memory = FitMemory::of(family, dataset, params, context.threads);
    context.control.enter_fitting(0, params.integer("n_estimators").unwrap_or_default())?;
    let on_tree = |done: usize| {
        give_way();
        context.control.grown(u32::try_from(done).unwrap_or(u32::MAX), |_| ())
    };
    match family {
        Family::BoostedRegression => boost(params, dataset, split, context, memory),
        Family::RandomForest => {
            let labels: Vec<u8> =
                split.train.iter().map(|&row| u8::from(dataset.target[row] == 1.0)).collect();
            let params = random_forest_params(params, train.n_cols())?;
            let ensemble = random_forest::fit(train, &labels, &params, context.seed, &on_tree);
            Ok(forest(ensemble.map_err(fit_error)?, memory))
        }
        Family::IsolationForest => {
            let params = isolation_forest_params(params)?;
            let ensemble = isolation_forest::fit(train, &params, context.seed, &on_tree);
            Ok(forest(ensemble.map_err(fit_error)?, memory))
        }
    }
}

/// Most nodes that a model could come to, about half a gigabyte in memory: one request must not
/// take the memory of all tenants.
const MAX_NODES: u64 = 20_000_000;

/// Most nodes that the trees could come to on so many rows.
pub(super) fn most_nodes(family: Family, params: &Hyperparameters, n_rows: usize) -> f64 {
    let n_rows = n_rows as f64;
    let number = |name| params.number(name);
    // Leaves by the rows that each must hold.
    let by_rows = match family {
        Family::BoostedRegression => n_rows / number("min_child_weight").unwrap_or(1.0).max(1.0),
        Family::RandomForest => n_rows / number("min_samples_leaf").unwrap_or(1.0),
        Family::IsolationForest => match number("max_samples") {
            None => n_rows.min(256.0),
            Some(share) if share.fract() != 0.0 => share * n_rows,
            Some(count) => n_rows.min(count),
        },
    };
    let by_depth = number("max_depth").map_or(f64::INFINITY, f64::exp2);
    number("n_estimators").unwrap_or(1.0) * (2.0 * by_rows.min(by_depth)).max(1.0)
}

/// Refuses parameters under which the trees could grow beyond [`MAX_NODES`] on so many rows.
fn check_size(family: Family, params: &Hyperparameters, n_rows: usize) -> Result<()> {
    let nodes = most_nodes(family, params, n_rows);
    if nodes <= MAX_NODES as f64 {
        return Ok(());
    }
    let msg = format!(
        "The trees could grow to {nodes:.0} nodes on these rows, more than {MAX_NODES}; \
         ask for fewer, smaller or shallower trees"
    );
    let path = ["hyperparameters", "n_estimators"];
    let input = params.as_map().get("n_estimators").cloned().unwrap_or_default();
    Err(Error::invalid(FieldError::body("model_too_large", path, msg, input)))
}

fn forest(ensemble: Ensemble, memory: FitMemory) -> Fitted {
    Fitted { ensemble, xgboost: None, curves: vec![], memory }
}

fn boost(
    params: &Hyperparameters,
    dataset: &Dataset,
    split: &Split,
    context: FitContext<'_>,
    memory: FitMemory,
) -> Result<Fitted> {
    let library = context.library.ok_or_else(|| Error::internal("libxgboost was not opened"))?;
    let params = boosting_params(params);
    if params.early_stopping_rounds.is_some() && split.validation.is_empty() {
        let msg = "Early stopping needs validation rows; set validation_split above 0";
        let path = ["hyperparameters", "early_stopping_rounds"];
        return Err(Error::invalid(FieldError::body("value_error", path, msg, Value::Null)));
    }
    let names = dataset.schema.names();
    let categorical = dataset.schema.categorical();
    let target = |rows: &[usize]| rows.iter().map(|&row| dataset.target[row] as f32).collect::<Vec<_>>();
    let (train_target, validation_target) = (target(&split.train), target(&split.validation));
    let rows = |features, target| xgboost::Dataset {
        features,
        target,
        feature_names: &names,
        categorical: &categorical,
    };
    let inputs = || xgboost::Inputs {
        training: rows(dataset.features.fitting(), &train_target),
        validation: (!split.validation.is_empty())
            .then(|| rows(dataset.features.held_out(), &validation_target)),
        params: &params,
        seed: context.seed,
    };
    let threads = NonZeroUsize::new(context.threads).unwrap_or(NonZeroUsize::MIN);
    let go = |last: Option<Checkpoint>| {
        let done = last.as_ref().map_or(0, Checkpoint::rounds);
        if done > 0 {
            tracing::info!(rounds = done, "the training goes on from its checkpoint");
        }
        context.control.enter_fitting(done, params.n_estimators)?;
        let asked_at = Cell::new(Instant::now());
        let mut is_wanted = || {
            asked_at.set(Instant::now());
            context.resume.wanted.swap(false, Ordering::Relaxed)
        };
        let mut keep = |segments| {
            let made = MadeCheckpoint { segments, made_in: asked_at.get().elapsed() };
            // Nobody takes it when the training was called off.
            let _ = context.resume.keep.try_send(made);
            ControlFlow::Continue(())
        };
        let mut go_on = || context.control.flow();
        let every = context.resume.every;
        let checkpoints =
            Checkpoints { every, is_wanted: &mut is_wanted, last, keep: &mut keep, go_on: &mut go_on };
        let mut on_round = |round| on_round(context.control, round);
        Ok::<_, Error>(xgboost::train_resumable(library, inputs(), threads, checkpoints, &mut on_round))
    };
    let trained = match go(context.resume.checkpoint())? {
        // The rows have changed since, or the library has: from the first round, then.
        Err(TrainError::ForeignCheckpoint) => go(None)??,
        other => other?,
    };
    let mut curves = vec![("train_rmse", trained.train_curve)];
    if !trained.validation_curve.is_empty() {
        curves.push(("validation_rmse", trained.validation_curve));
    }
    let xgboost = XgboostModel { json: trained.model_json.into(), version: library.version().to_string() };
    Ok(Fitted { ensemble: trained.ensemble, xgboost: Some(xgboost), curves, memory })
}

impl Resume {
    /// Of a training that nobody would take over.
    #[must_use]
    pub fn never() -> Self {
        Self { every: NonZeroU32::MAX, last: vec![], wanted: Arc::default(), keep: mpsc::channel(1).0 }
    }

    /// The last checkpoint, unless it is damaged: then the training starts over.
    fn checkpoint(&self) -> Option<Checkpoint> {
        if self.last.is_empty() {
            return None;
        }
        let decoded = Checkpoint::decode(&self.last);
        decoded.inspect_err(|error| tracing::warn!(%error, "the checkpoint is of no use")).ok()
    }
}

fn on_round(control: &Control, round: xgboost::Round) -> ControlFlow<()> {
    give_way();
    control.grown(round.index + 1, |metrics| {
        metrics.insert("train_rmse".to_owned(), json!(round.train_rmse));
        metrics.extend(round.validation_rmse.map(|rmse| ("validation_rmse".to_owned(), json!(rmse))));
    })
}

fn fit_error(error: FitError) -> Error {
    match error {
        FitError::Cancelled => Error::Cancelled,
        other => Error::internal(other),
    }
}

/// The checked set as the forest takes it.
pub(super) fn random_forest_params(
    params: &Hyperparameters,
    n_features: usize,
) -> Result<Checked<RandomForestParams>> {
    let default = RandomForestParams::default();
    let max_features = match (params.word("max_features"), params.number("max_features")) {
        (Some("log2"), _) => MaxFeatures::Log2,
        (Some(_), _) => MaxFeatures::Sqrt,
        (None, None) => MaxFeatures::All,
        // A fraction counts features as scikit-learn does: rounded down, at least one.
        (None, Some(share)) if share.fract() != 0.0 => {
            MaxFeatures::Count(((share * n_features as f64) as u32).max(1))
        }
        (None, Some(count)) => MaxFeatures::Count(count as u32),
    };
    let params = RandomForestParams {
        n_estimators: params.integer("n_estimators").unwrap_or(default.n_estimators),
        max_depth: params.integer("max_depth"),
        min_samples_split: params.integer("min_samples_split").unwrap_or(default.min_samples_split),
        min_samples_leaf: params.integer("min_samples_leaf").unwrap_or(default.min_samples_leaf),
        max_features,
        ..default
    };
    params.check().map_err(Error::internal)
}

/// The checked set as the forest takes it.
pub(super) fn isolation_forest_params(params: &Hyperparameters) -> Result<Checked<IsolationForestParams>> {
    let default = IsolationForestParams::default();
    let params = IsolationForestParams {
        n_estimators: params.integer("n_estimators").unwrap_or(default.n_estimators),
        max_samples: match params.number("max_samples") {
            None => MaxSamples::Auto,
            Some(share) if share.fract() != 0.0 => MaxSamples::Fraction(share),
            Some(count) => MaxSamples::Count(count as u32),
        },
        contamination: params.number("contamination").map_or(Contamination::Auto, Contamination::Fraction),
    };
    params.check().map_err(Error::internal)
}

fn boosting_params(params: &Hyperparameters) -> xgboost::Params {
    let default = xgboost::Params::default();
    xgboost::Params {
        n_estimators: params.integer("n_estimators").unwrap_or(default.n_estimators),
        max_depth: params.integer("max_depth").unwrap_or(default.max_depth),
        learning_rate: params.number("learning_rate").unwrap_or(default.learning_rate),
        subsample: params.number("subsample").unwrap_or(default.subsample),
        colsample_bytree: params.number("colsample_bytree").unwrap_or(default.colsample_bytree),
        min_child_weight: params.number("min_child_weight").unwrap_or(default.min_child_weight),
        gamma: params.number("gamma").unwrap_or(default.gamma),
        reg_alpha: params.number("reg_alpha").unwrap_or(default.reg_alpha),
        reg_lambda: params.number("reg_lambda").unwrap_or(default.reg_lambda),
        max_bin: params.integer("max_bin").unwrap_or(default.max_bin),
        early_stopping_rounds: params.integer("early_stopping_rounds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::ModelType;

    fn fits(model_type: &str, params: Value, n_rows: usize) -> bool {
        let model_type = ModelType::parse(model_type).expect("a catalog type");
        let params = params.as_object().expect("an object");
        let params = Hyperparameters::check(model_type, "hyperparameters", params).expect("valid");
        check_size(model_type.family, &params, n_rows).is_ok()
    }

    #[test]
    fn a_model_that_could_fill_the_memory_is_refused() {
        let unlimited = json!({"n_estimators": 10_000, "max_depth": null});
        assert!(fits("risk_assessment", unlimited.clone(), 1_000));
        assert!(!fits("risk_assessment", unlimited, 100_000));
        let coarse = json!({"n_estimators": 10_000, "max_depth": null, "min_samples_leaf": 1_000});
        assert!(fits("risk_assessment", coarse, 100_000));
        let deep = |n: u32| json!({"n_estimators": n, "max_depth": 20});
        assert!(
            fits("cost_forecasting", deep(100), 100_000) && !fits("cost_forecasting", deep(1_000), 100_000)
        );
        assert!(fits("cost_forecasting", json!({"n_estimators": 10_000}), 5_000_000));
        assert!(fits("anomaly_detection", json!({"n_estimators": 10_000}), 5_000_000));
        let large = json!({"n_estimators": 10_000, "max_samples": 1_000_000});
        assert!(!fits("anomaly_detection", large, 5_000_000));
    }
}
