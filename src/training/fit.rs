//! Fitting: from checked hyperparameters and rows to an ensemble, by the model type's family.

use std::{num::NonZeroUsize, ops::ControlFlow};

use bytes::Bytes;
use serde_json::Value;

use super::{dataset::Dataset, split::Split};
use crate::{
    catalog::{Family, Hyperparameters},
    error::{Error, FieldError, Result},
    forest::{
        Checked, Ensemble, FitError, IsolationForestParams, Matrix, RandomForestParams,
        isolation_forest::{self, Contamination, MaxSamples},
        random_forest::{self, MaxFeatures},
    },
    xgboost::{self, Library},
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
}

/// Fits on the training rows. Blocks; the forests use the current rayon pool.
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
    let train = dataset.features.take_rows(&split.train);
    match family {
        Family::BoostedRegression => boost(params, dataset, split, &train, context),
        Family::RandomForest => {
            let labels: Vec<u8> =
                split.train.iter().map(|&row| u8::from(dataset.target[row] == 1.0)).collect();
            let params = random_forest_params(params, train.n_cols())?;
            let ensemble =
                random_forest::fit(&train, &labels, &params, context.seed, &|_| ControlFlow::Continue(()));
            Ok(forest(ensemble.map_err(fit_error)?))
        }
        Family::IsolationForest => {
            let params = isolation_forest_params(params)?;
            let ensemble =
                isolation_forest::fit(&train, &params, context.seed, &|_| ControlFlow::Continue(()));
            Ok(forest(ensemble.map_err(fit_error)?))
        }
    }
}

fn forest(ensemble: Ensemble) -> Fitted {
    Fitted { ensemble, xgboost: None, curves: vec![] }
}

fn boost(
    params: &Hyperparameters,
    dataset: &Dataset,
    split: &Split,
    train: &Matrix,
    context: FitContext<'_>,
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
    let validation = dataset.features.take_rows(&split.validation);
    let rows = |features, target| xgboost::Dataset {
        features,
        target,
        feature_names: &names,
        categorical: &categorical,
    };
    let trained = xgboost::train(
        library,
        rows(train, &train_target),
        (!split.validation.is_empty()).then(|| rows(&validation, &validation_target)),
        &params,
        context.seed,
        NonZeroUsize::new(context.threads).unwrap_or(NonZeroUsize::MIN),
        &mut |_| ControlFlow::Continue(()),
    )?;
    let mut curves = vec![("train_rmse", trained.train_curve)];
    if !trained.validation_curve.is_empty() {
        curves.push(("validation_rmse", trained.validation_curve));
    }
    let xgboost = XgboostModel { json: trained.model_json.into(), version: library.version().to_string() };
    Ok(Fitted { ensemble: trained.ensemble, xgboost: Some(xgboost), curves })
}

fn fit_error(error: FitError) -> Error {
    match error {
        FitError::Cancelled => Error::Cancelled,
        other => Error::internal(other),
    }
}

fn random_forest_params(params: &Hyperparameters, n_features: usize) -> Result<Checked<RandomForestParams>> {
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

fn isolation_forest_params(params: &Hyperparameters) -> Result<Checked<IsolationForestParams>> {
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
