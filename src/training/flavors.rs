//! A fitted model in all the forms that MLflow keeps of it.

use bytes::Bytes;

use super::fit::{Fitted, isolation_forest_params, random_forest_params};
use crate::{
    catalog::{Family, Hyperparameters},
    error::{Error, Result},
    export::{onnx, sklearn},
    forest::Tree,
    tracking::Flavor,
};

/// Beyond so many nodes a pickle (80 to 100 bytes a node) takes more time to upload than a training
/// should wait for.
const MAX_EXPORTED_NODES: usize = 1_000_000;

/// What a training fitted a model with and on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Provenance<'a> {
    pub(super) family: Family,
    /// Features in model order.
    pub(super) names: &'a [String],
    pub(super) params: &'a Hyperparameters,
    pub(super) n_train: usize,
    pub(super) seed: u64,
}

/// The flavors, the one for `mlflow.pyfunc` first and `native` last; and a warning for the caller
/// if the model is too large for some of them.
///
/// # Errors
/// None that a model of our own trainers could cause.
pub(super) fn flavors(
    fitted: &Fitted,
    native: &Bytes,
    provenance: Provenance<'_>,
) -> Result<(Vec<Flavor>, Option<String>)> {
    let xgboost = fitted
        .xgboost
        .as_ref()
        .map(|model| Flavor::Xgboost { model_json: model.json.clone(), version: model.version.clone() });
    let mut flavors: Vec<_> = xgboost.into_iter().collect();
    let n_nodes: usize = fitted.ensemble.trees.iter().map(Tree::len).sum();
    let warning = if n_nodes <= MAX_EXPORTED_NODES {
        let model = onnx::onnx(&fitted.ensemble).map_err(Error::internal)?;
        flavors.push(Flavor::Onnx { model: model.into(), outputs: onnx_outputs(provenance.family) });
        flavors.extend(sklearn_flavor(fitted, provenance)?);
        None
    } else {
        Some(format!(
            "The model has {n_nodes} nodes: above {MAX_EXPORTED_NODES} MLflow gets no ONNX and scikit-learn files"
        ))
    };
    flavors.push(Flavor::Native { model: native.clone(), family: provenance.family.name() });
    Ok((flavors, warning))
}

fn sklearn_flavor(fitted: &Fitted, provenance: Provenance<'_>) -> Result<Option<Flavor>> {
    let Provenance { family, names, params, n_train, seed } = provenance;
    let pickle = match family {
        Family::BoostedRegression => return Ok(None),
        Family::RandomForest => {
            let params = random_forest_params(params, names.len())?;
            sklearn::random_forest(&fitted.ensemble, names, &params, seed)
        }
        Family::IsolationForest => {
            let params = isolation_forest_params(params)?;
            sklearn::isolation_forest(&fitted.ensemble, names, &params, n_train, seed)
        }
    };
    Ok(Some(Flavor::Sklearn { pickle: pickle.map_err(Error::internal)?.into() }))
}

/// Outputs of [`onnx::onnx`], in MLflow's types.
fn onnx_outputs(family: Family) -> &'static [(&'static str, &'static str)] {
    match family {
        Family::BoostedRegression => &[("prediction", "float")],
        Family::RandomForest => {
            &[("label", "long"), ("probability_0", "double"), ("probability_1", "double")]
        }
        Family::IsolationForest => &[
            ("label", "long"),
            ("score_samples", "double"),
            ("decision_function", "double"),
            ("anomaly_score", "double"),
        ],
    }
}
