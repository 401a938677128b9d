//! Asks `xgboost_check.py`; numbers travel as little-endian f32 files.

use std::fs;
use std::path::Path;

use binah_ml::xgboost::{Params, Trained};
use serde::Deserialize;
use serde_json::json;

use super::data::Table;
use crate::python;

/// What Python's XGBoost makes of the same rows.
pub(crate) struct Answer {
    pub(crate) version: String,
    /// Predictions of `unseen` from our JSON file.
    pub(crate) predictions_json: Vec<f32>,
    /// Predictions of `unseen` from our UBJSON file.
    pub(crate) predictions_ubj: Vec<f32>,
    /// The model that Python trained.
    pub(crate) model_json: Vec<u8>,
    pub(crate) best_iteration: u32,
    pub(crate) train_curve: Vec<f64>,
    pub(crate) validation_curve: Vec<f64>,
}

#[derive(Deserialize)]
struct Training {
    version: String,
    best_iteration: u32,
    train: Vec<f64>,
    validation: Vec<f64>,
}

pub(crate) fn check(
    trained: &Trained,
    training: &Table,
    validation: &Table,
    unseen: &Table,
    params: &Params,
    seed: u64,
) -> Answer {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let folder = scratch.path();
    write(folder, "training", training);
    write(folder, "validation", validation);
    write(folder, "unseen", unseen);
    fs::write(folder.join("model.json"), &trained.model_json).expect("writable");
    fs::write(folder.join("model.ubj"), &trained.model_ubj).expect("writable");
    run(folder, "regression", json!({ "params": params, "seed": seed }));
    let Training { version, best_iteration, train, validation } =
        serde_json::from_slice(&fs::read(folder.join("answer.json")).expect("an answer")).expect("its shape");
    Answer {
        version,
        predictions_json: read(&folder.join("predictions_json.f32")),
        predictions_ubj: read(&folder.join("predictions_ubj.f32")),
        model_json: fs::read(folder.join("python.json")).expect("a model"),
        best_iteration,
        train_curve: train,
        validation_curve: validation,
    }
}

/// A logistic model for whether the target is above its median, trained in Python, and its
/// margins of the same rows.
pub(crate) fn logistic(rows: &Table) -> (Vec<u8>, Vec<f32>) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let folder = scratch.path();
    write(folder, "training", rows);
    run(folder, "logistic", json!({}));
    (fs::read(folder.join("python.json")).expect("a model"), read(&folder.join("margins.f32")))
}

fn run(folder: &Path, command: &str, request: serde_json::Value) {
    fs::write(folder.join("request.json"), request.to_string()).expect("writable");
    python::run(python::script("oracle/xgboost_check.py").arg(command).arg(folder));
}

fn write(folder: &Path, name: &str, table: &Table) {
    let columns = (0..table.names.len()).flat_map(|j| table.features.column(j));
    let bytes =
        |values: &mut dyn Iterator<Item = &f32>| values.flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    fs::write(folder.join(format!("{name}.features")), bytes(&mut columns.into_iter())).expect("writable");
    fs::write(folder.join(format!("{name}.target")), bytes(&mut table.target.iter())).expect("writable");
    let columns = json!({ "names": table.names, "categorical": table.categorical });
    fs::write(folder.join("columns.json"), columns.to_string()).expect("writable");
}

fn read(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).expect("Python wrote it");
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect()
}
