//! All pictures of each family for 100,000 held-out rows and 40 features, milliseconds and bytes.
//!
//! `cargo bench --bench pictures`; with `-- FOLDER [DATA]` also models of the public data sets are trained, and
//! their pictures and those of the generated rows lie in the folder afterwards, to be looked at.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a table on the terminal")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use binah_ml::{
    catalog::{Family, Hyperparameters, ModelType},
    dev::{
        self,
        real_data::{AMES, CREDIT, DEFAULT_FOLDER},
    },
    features::{Dataset, inline},
    forest::rng::Rng,
    inference::LoadedModel,
    tracking::ArtifactFile,
    training::{
        control::Control,
        evaluate::{Evaluation, Judged, evaluate},
        fit::{FitContext, Resume, fit},
        report::{Material, pictures},
        split::Split,
    },
    xgboost::{Library, Search},
};
use serde_json::{Map, json};

const N_ROWS: usize = 100_000;
const N_FEATURES: usize = 40;
const REPEATS: usize = 5;

fn main() {
    let mut folders = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let (folder, data) = (folders.next(), folders.next());
    for family in [Family::BoostedRegression, Family::RandomForest, Family::IsolationForest] {
        let drawn = generated(family);
        if let Some(folder) = &folder {
            write(&Path::new(folder).join("generated").join(family.name()), &drawn);
        }
    }
    let Some(folder) = folder else { return };
    let data = data.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(DEFAULT_FOLDER), PathBuf::from);
    let ames = json!({"n_estimators": 300, "early_stopping_rounds": 20});
    for (data_set, model_type, target, params) in [
        (AMES, "cost_forecasting", Some("total_cost"), ames),
        (CREDIT, "risk_assessment", Some("high_risk"), json!({})),
        (AMES, "anomaly_detection", None, json!({})),
    ] {
        let rows = data_set.rows(&data).unwrap();
        for (name, held_out, rows) in [("", 0.2, rows.as_slice()), ("-in-sample", 0.0, &rows[..60])] {
            let mut params = params.as_object().unwrap().clone();
            if held_out == 0.0 {
                params.remove("early_stopping_rounds");
            }
            let drawn = trained(rows, ModelType::parse(model_type).unwrap(), target, &params, held_out);
            write(&Path::new(&folder).join(format!("{model_type}{name}")), &drawn);
        }
    }
}

/// Times the pictures of predictions that no model made.
fn generated(family: Family) -> Vec<ArtifactFile> {
    let mut rng = Rng::new(1);
    let mut normal = || (0..6).map(|_| rng.unit()).sum::<f64>() - 3.0;
    let (actual, predicted) = match family {
        Family::BoostedRegression => (0..N_ROWS)
            .map(|_| {
                let cost = (normal() * 0.8 + 13.0).exp();
                (cost, cost * (0.2 * normal()).exp())
            })
            .unzip(),
        Family::RandomForest => (0..N_ROWS)
            .map(|_| {
                let logit = 2.0 * normal() - 1.0;
                let class = f64::from(u8::from(logit + 1.5 * normal() > 0.0));
                (class, 1.0 / (1.0 + (-logit).exp()))
            })
            .unzip(),
        Family::IsolationForest => (vec![], (0..N_ROWS).map(|_| -0.45 - 0.05 * normal().abs()).collect()),
    };
    let metrics = Map::from_iter([("rmse".to_owned(), json!(12.5)), ("auc_roc".to_owned(), json!(0.87))]);
    let judged = Judged { rows: (0..N_ROWS).collect(), actual, predicted, in_sample: false };
    let evaluation = Evaluation { metrics, warnings: vec![], judged };
    let importance: Vec<_> =
        (0..N_FEATURES).map(|i| (format!("feature_number_{i}"), 1.0 / (i + 2) as f64 / 3.3)).collect();
    let curve = |floor: f64| (0..500).map(|round| floor + 9.0 / f64::from(round + 1)).collect();
    let material = Material {
        family,
        target: "total_cost",
        evaluation: &evaluation,
        offset: -0.55,
        importance: &importance,
        curves: &[("train_rmse", curve(1.0)), ("validation_rmse", curve(2.0))],
        n_trees: 400,
    };
    let mut best = f64::INFINITY;
    let mut drawn = vec![];
    for _ in 0..REPEATS {
        let started = Instant::now();
        drawn = pictures(&material);
        best = best.min(started.elapsed().as_secs_f64());
    }
    let bytes: usize = drawn.iter().map(|file| file.bytes.len()).sum();
    println!("{}: {} pictures, {:.1} ms, {bytes} bytes", family.name(), drawn.len(), best * 1e3);
    drawn
}

/// The pictures of a model of real rows.
fn trained(
    rows: &[inline::Row],
    model_type: ModelType,
    target: Option<&str>,
    params: &Map<String, serde_json::Value>,
    held_out: f64,
) -> Vec<ArtifactFile> {
    let params = Hyperparameters::check(model_type, "hyperparameters", params).unwrap();
    let table = inline::table(rows, model_type, target).unwrap();
    let mut dataset = Dataset::new(table, model_type, Some("data"), target).unwrap();
    let split = Split::new(&dataset, None, held_out, 42).unwrap();
    dataset.features.hold_out(&split.validation);
    let library = Library::open(&Search { library: None, deps: Some(dev::deps()) }).unwrap();
    let context = FitContext {
        seed: 42,
        threads: 2,
        library: Some(&library),
        control: &Control::default(),
        resume: &Resume::never(),
    };
    let fitted = fit(model_type.family, &params, &dataset, &split, context).unwrap();
    let model = LoadedModel::new(dataset.schema.clone(), &fitted.ensemble).unwrap();
    let evaluation = evaluate(model_type.family, &model, &dataset, &split);
    let shares = fitted.ensemble.feature_importance();
    let importance: Vec<_> = dataset.schema.names().into_iter().zip(shares).collect();
    pictures(&Material {
        family: model_type.family,
        target: target.unwrap_or_default(),
        evaluation: &evaluation,
        offset: model.offset,
        importance: &importance,
        curves: &fitted.curves,
        n_trees: fitted.ensemble.trees.len(),
    })
}

fn write(folder: &Path, files: &[ArtifactFile]) {
    fs::create_dir_all(folder).unwrap();
    for file in files {
        fs::write(folder.join(file.path.replace('/', "-")), &file.bytes).unwrap();
    }
}
