//! ONNX graphs: data only, and the same numbers in every runtime.
//!
//! One input `X`, float `[N, n_features]` in model order: NaN is missing, a category is its code.
//! Every output is `[N]`, because MLflow makes a data frame of them and flattens each:
//!
//! | family | outputs |
//! |---|---|
//! | gradient boosting | `prediction` float |
//! | random forest | `label` int64 (0, 1), `probability_0` and `probability_1` double |
//! | isolation forest | `label` int64 (-1: anomaly, 1), `score_samples`, `decision_function`, `anomaly_score` double |
//!
//! The trees are one `TreeEnsembleRegressor` (`TreeEnsembleClassifier` answers a wrong label for two
//! classes in onnxruntime); the rest is arithmetic in double. Trees are summed in float: for
//! boosting that is what libxgboost does, and the base score stands in the leaves of the first tree, where
//! libxgboost's sum starts. For the forests it costs about 1e-7 of the sum.
//!
//! Opset 13 with `ai.onnx.ml` 1, IR version 8: onnxruntime 1.14 and later read them. Reference:
//! `onnx.proto` and `docs/Operators-ml.md` of ONNX.

mod graph;
mod protobuf;
mod trees;

use super::ExportError;
use crate::forest::{Combine, Ensemble, Link};
use graph::{Graph, ML_DOMAIN, Tensor, Type};

/// Name of the graph's input.
pub const INPUT: &str = "X";

/// The bytes of a model file for any of the three families.
///
/// # Errors
/// [`ExportError::Family`] for a combination that no family has.
pub fn onnx(ensemble: &Ensemble) -> Result<Vec<u8>, ExportError> {
    let mut graph = Graph::new();
    graph.input(INPUT, Type::Float, &[None, Some(ensemble.n_features)]);
    graph.constant("all", &Tensor::Int64s(&[-1]));
    let attributes = trees::attributes(ensemble);
    graph.node_of(ML_DOMAIN, "TreeEnsembleRegressor", &[INPUT], "tree_sum", &attributes);
    match (ensemble.combine, ensemble.link) {
        (Combine::Sum, Link::Identity) => graph.node("Reshape", &["tree_sum", "all"], "prediction"),
        (Combine::Sum, Link::Logistic) => {
            graph.node("Sigmoid", &["tree_sum"], "probability");
            graph.node("Reshape", &["probability", "all"], "prediction");
        }
        (Combine::Mean, Link::Identity) => random_forest(&mut graph, ensemble.trees.len()),
        (Combine::Mean, Link::AnomalyScore { average_path_length, offset }) => {
            isolation_forest(&mut graph, ensemble.trees.len(), average_path_length, offset);
        }
        _ => return Err(ExportError::Family("gradient boosting, random forest or isolation forest")),
    }
    if ensemble.combine == Combine::Sum {
        graph.output("prediction", Type::Float);
    }
    Ok(graph.model())
}

/// `mean` in double from the sum over `n_trees`.
fn mean(graph: &mut Graph, n_trees: usize) {
    graph.node("Reshape", &["tree_sum", "all"], "tree_sum_by_row");
    graph.cast("tree_sum_by_row", "sum", Type::Double);
    graph.constant("n_trees", &Tensor::Double(n_trees as f64));
    graph.node("Div", &["sum", "n_trees"], "mean");
}

fn random_forest(graph: &mut Graph, n_trees: usize) {
    mean(graph, n_trees);
    graph.constant("one", &Tensor::Double(1.0));
    graph.constant("half", &Tensor::Double(0.5));
    graph.node("Identity", &["mean"], "probability_1");
    graph.node("Sub", &["one", "probability_1"], "probability_0");
    // Class 1 needs the majority: a tie is class 0, as in scikit-learn.
    graph.node("Greater", &["probability_1", "half"], "is_class_1");
    graph.cast("is_class_1", "label", Type::Int64);
    graph.output("label", Type::Int64);
    graph.output("probability_0", Type::Double);
    graph.output("probability_1", Type::Double);
}

/// `anomaly_score = 2^(-mean / c)`, Liu, Ting, Zhou (2008), eq. 2; scikit-learn's score is its negative.
fn isolation_forest(graph: &mut Graph, n_trees: usize, average_path_length: f64, offset: f64) {
    mean(graph, n_trees);
    graph.constant("minus_c", &Tensor::Double(-average_path_length));
    graph.constant("two", &Tensor::Double(2.0));
    graph.constant("offset", &Tensor::Double(offset));
    graph.constant("zero", &Tensor::Double(0.0));
    graph.constant("anomaly", &Tensor::Int64(-1));
    graph.constant("normal", &Tensor::Int64(1));
    graph.node("Div", &["mean", "minus_c"], "exponent");
    graph.node("Pow", &["two", "exponent"], "anomaly_score");
    graph.node("Neg", &["anomaly_score"], "score_samples");
    graph.node("Sub", &["score_samples", "offset"], "decision_function");
    graph.node("Less", &["decision_function", "zero"], "is_anomaly");
    graph.node("Where", &["is_anomaly", "anomaly", "normal"], "label");
    graph.output("label", Type::Int64);
    for score in ["score_samples", "decision_function", "anomaly_score"] {
        graph.output(score, Type::Double);
    }
}
