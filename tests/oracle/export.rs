//! Exported models beside our own evaluator, read by the oldest and the newest Python libraries.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use binah_ml::export::{onnx, sklearn};
use binah_ml::forest::isolation_forest::{self, Contamination, IsolationForestParams, MaxSamples};
use binah_ml::forest::random_forest::{self, ClassWeight, MaxFeatures, RandomForestParams};
use binah_ml::forest::{Ensemble, Evaluator, Link, Matrix};
use binah_ml::xgboost::Params;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::python::{self, Stack};
use crate::xgboost::data::{Table, generated};

/// Rows that every exported model predicts: 8 % missing, two columns of category codes.
const N_ROWS: usize = 5_000;
const SEED: u64 = 7;

/// A model in the forms that Python reads.
struct Exported {
    family: &'static str,
    ensemble: Ensemble,
    /// `model.pkl` or `model.json`.
    file: (&'static str, Vec<u8>),
    /// What `get_params` must show.
    params: Value,
}

/// What Python found out about one model.
#[derive(Debug, Deserialize)]
struct Answer {
    /// Largest difference of the library's own estimator.
    library: f64,
    /// Largest difference through onnxruntime on one thread, as MLmodel asks for.
    onnx: f64,
    /// The same on all threads, where sums of floats come out in another order.
    onnx_threads: f64,
    /// Rows with another label there.
    onnx_labels: usize,
    /// Largest difference of a feature's importance; absent where the estimator has none.
    importance: Option<f64>,
}

fn training_rows() -> Table {
    generated(2_000, 1)
}

fn random_forest(params: RandomForestParams, shown: Value) -> Exported {
    let rows = training_rows();
    let labels: Vec<u8> = rows.target.iter().map(|&y| u8::from(y > 1.0)).collect();
    let checked = params.check().expect("parameters in range");
    let ensemble =
        random_forest::fit(&rows.features, &labels, &checked, SEED, &|_| ControlFlow::Continue(()))
            .expect("a forest");
    let pickle = sklearn::random_forest(&ensemble, &rows.names, &params, SEED).expect("a random forest");
    Exported { family: "random_forest", ensemble, file: ("model.pkl", pickle), params: shown }
}

fn isolation_forest(params: IsolationForestParams, shown: Value) -> Exported {
    let rows = training_rows();
    let checked = params.check().expect("parameters in range");
    let ensemble = isolation_forest::fit(&rows.features, &checked, SEED, &|_| ControlFlow::Continue(()))
        .expect("a forest");
    let pickle = sklearn::isolation_forest(&ensemble, &rows.names, &params, rows.features.n_rows(), SEED)
        .expect("an isolation forest");
    Exported { family: "isolation_forest", ensemble, file: ("model.pkl", pickle), params: shown }
}

fn boosted(params: &Params, shift: f32) -> Exported {
    let mut rows = training_rows();
    rows.target.iter_mut().for_each(|y| *y = *y * shift.max(1.0) + shift);
    let trained = crate::xgboost::fit(&rows, None, params, 2);
    let file = ("model.json", trained.model_json);
    Exported { family: "gradient_boosting", ensemble: trained.ensemble, file, params: json!({}) }
}

fn models() -> BTreeMap<&'static str, Exported> {
    let forest = RandomForestParams { n_estimators: 100, ..RandomForestParams::default() };
    let isolation = IsolationForestParams::default();
    BTreeMap::from([
        (
            "forest, depth 10",
            random_forest(
                RandomForestParams { max_depth: Some(10), ..forest },
                json!({"n_estimators": 100, "max_depth": 10, "max_features": "sqrt", "random_state": SEED}),
            ),
        ),
        (
            "forest, unlimited depth",
            random_forest(
                RandomForestParams { max_features: MaxFeatures::All, ..forest },
                json!({"max_depth": null, "max_features": null, "min_samples_leaf": 1}),
            ),
        ),
        (
            "forest, large leaves, balanced",
            random_forest(
                RandomForestParams {
                    n_estimators: 30,
                    min_samples_split: 40,
                    min_samples_leaf: 15,
                    max_features: MaxFeatures::Count(3),
                    class_weight: ClassWeight::Balanced,
                    ..forest
                },
                json!({"min_samples_split": 40, "min_samples_leaf": 15, "max_features": 3, "class_weight": "balanced"}),
            ),
        ),
        (
            "forest, one stump",
            random_forest(
                RandomForestParams {
                    n_estimators: 1,
                    max_depth: Some(1),
                    max_features: MaxFeatures::Log2,
                    ..forest
                },
                json!({"n_estimators": 1, "max_depth": 1, "max_features": "log2"}),
            ),
        ),
        (
            "isolation, automatic",
            isolation_forest(isolation, json!({"max_samples": "auto", "contamination": "auto"})),
        ),
        (
            "isolation, contamination 0.1, half of the rows",
            isolation_forest(
                IsolationForestParams {
                    n_estimators: 50,
                    max_samples: MaxSamples::Fraction(0.5),
                    contamination: Contamination::Fraction(0.1),
                },
                json!({"n_estimators": 50, "max_samples": 0.5, "contamination": 0.1}),
            ),
        ),
        (
            "isolation, 2 rows a tree",
            isolation_forest(
                IsolationForestParams { max_samples: MaxSamples::Count(2), ..isolation },
                json!({"max_samples": 2}),
            ),
        ),
        ("boosting", boosted(&Params::default(), 0.0)),
        (
            "boosting, deep, far from zero",
            boosted(&Params { n_estimators: 300, max_depth: 9, ..Params::default() }, 1e6),
        ),
    ])
}

/// Writes the model and what it must predict.
fn write(folder: &Path, model: &Exported, rows: &Table) {
    fs::create_dir(folder).expect("a folder");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("a writable folder");
    let onnx = onnx::onnx(&model.ensemble).expect("one of the families");
    write(model.file.0, &model.file.1);
    write("model.onnx", &onnx);
    let predictions = Evaluator::new(&model.ensemble).expect("valid").predict(&rows.features);
    write("expected.f64", &predictions.iter().flat_map(|p| p.to_le_bytes()).collect::<Vec<_>>());
    let offset = match model.ensemble.link {
        Link::AnomalyScore { offset, .. } => Some(offset),
        _ => None,
    };
    let about = json!({
        "family": model.family, "params": model.params, "offset": offset,
        "names": rows.names, "categorical": rows.categorical,
        "importance": model.ensemble.feature_importance(),
    });
    write("about.json", about.to_string().as_bytes());
}

fn write_rows(path: &Path, rows: &Matrix) {
    let bytes: Vec<u8> = (0..rows.n_rows()).flat_map(|i| rows.row(i)).flat_map(f32::to_le_bytes).collect();
    fs::write(path, bytes).expect("a writable folder");
}

#[test]
fn exported_models_predict_the_same_in_python() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let rows = generated(N_ROWS, 3);
    write_rows(&folder.path().join("rows.f32"), &rows.features);
    let models = models();
    for (name, model) in &models {
        write(&folder.path().join(name), model, &rows);
    }
    for stack in Stack::ALL {
        let mut command = python::script_under(stack, "oracle/load_exports.py");
        let answer = python::run(command.arg(folder.path()));
        let (versions, answers): (Value, BTreeMap<String, Answer>) =
            serde_json::from_str(&answer).expect("JSON");
        println!("{versions}");
        assert_eq!(answers.len(), models.len());
        for (name, answer) in answers {
            println!("  {name}: {answer:?}");
            // Our sum is libxgboost's in every bit, and onnxruntime's on one thread.
            let bounds = if name.starts_with("boosting") { [0.0, 0.0] } else { [1e-9, 1e-6] };
            assert!(answer.library <= bounds[0], "{name} under {versions}: {answer:?}");
            assert!(answer.onnx <= bounds[1], "{name} under {versions}: {answer:?}");
            let bound = if name.contains("far from zero") { 1e-5 } else { 1e-6 };
            assert!(answer.onnx_threads <= bound, "{name} under {versions}: {answer:?}");
            assert!(answer.onnx_labels == 0, "{name} under {versions}: {answer:?}");
            // scikit-learn gives each tree the same weight, we give each row the same.
            assert!(answer.importance.is_none_or(|difference| difference < 0.02), "{name}: {answer:?}");
        }
    }
}

#[test]
fn pickles_name_nothing_but_the_estimator() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    for (name, model) in models().into_iter().filter(|(_, model)| model.file.0 == "model.pkl") {
        fs::write(folder.path().join(name), model.file.1).expect("a writable folder");
    }
    let names = python::run(python::script("oracle/pickle_globals.py").arg(folder.path()));
    let names: Vec<&str> = names.lines().collect();
    let allowed = [
        "numpy array",
        "numpy ndarray",
        "sklearn __version__",
        "sklearn.ensemble._forest RandomForestClassifier",
        "sklearn.ensemble._iforest IsolationForest",
        "sklearn.tree._classes DecisionTreeClassifier",
        "sklearn.tree._classes ExtraTreeRegressor",
        "sklearn.tree._tree Tree",
    ];
    assert_eq!(names, allowed);
}

/// The size of a typical model, for the report: `--nocapture` shows it.
#[test]
fn the_same_model_has_the_same_bytes() {
    let model = || {
        let forest = RandomForestParams { max_depth: Some(10), ..RandomForestParams::default() };
        random_forest(forest, json!({}))
    };
    let (one, two) = (model(), model());
    assert!(one.file.1 == two.file.1, "two pickles of one model");
    let onnx = [&one, &two].map(|model| onnx::onnx(&model.ensemble).expect("a random forest"));
    assert!(onnx[0] == onnx[1], "two graphs of one model");
    let nodes: usize = one.ensemble.trees.iter().map(binah_ml::forest::Tree::len).sum();
    println!("{nodes} nodes: pickle {} bytes, ONNX {} bytes", one.file.1.len(), onnx[0].len());
}
