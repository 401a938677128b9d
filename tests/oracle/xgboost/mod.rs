//! Training through the FFI against Python's XGBoost, and the promises of `xgboost::train`.

mod checkpoints;
pub(crate) mod data;
mod exchange;
mod training;
mod walk;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use binah_ml::dev;
use binah_ml::forest::Ensemble;
use binah_ml::forest::codec::xgboost_json;
use binah_ml::xgboost::{Library, Params, Search, Trained, train};

use data::Table;
use walk::margins;

const SEED: u64 = 42;

fn library() -> Library {
    Library::open(&Search { library: None, deps: Some(dev::deps()) }).expect("libxgboost in DEPS")
}

fn threads(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).expect("at least one thread")
}

pub(crate) fn fit(
    training: &Table,
    validation: Option<&Table>,
    params: &Params,
    n_threads: usize,
) -> Trained {
    let go_on = &mut |_| ControlFlow::Continue(());
    let validation = validation.map(Table::dataset);
    train(&library(), training.dataset(), validation, params, SEED, threads(n_threads), go_on)
        .expect("good rows and parameters")
}

fn differing(ours: &[f32], theirs: &[f32]) -> usize {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).filter(|(a, b)| a.to_bits() != b.to_bits()).count()
}

/// Trains here and in Python on the same rows; our walk over our trees must be Python's
/// prediction of `unseen` from our files, and Python's own model must have the same trees.
fn compare(name: &str, training: &Table, validation: &Table, unseen: &Table, params: &Params) {
    let trained = fit(training, Some(validation), params, 2);
    let answer = exchange::check(&trained, training, validation, unseen, params, SEED);
    let ours = margins(&trained.ensemble, &unseen.features);
    assert_eq!(ours.len(), unseen.target.len());

    let json = differing(&ours, &answer.predictions_json);
    let ubj = differing(&ours, &answer.predictions_ubj);
    let python_model = xgboost_json::decode(&answer.model_json).expect("XGBoost wrote it");
    let same_trees = equal_trees(&trained.ensemble, &python_model.ensemble);
    let (rmse, python_rmse) = (last(&trained.validation_curve), last(&answer.validation_curve));
    eprintln!(
        "{name}: xgboost {}, {} trees, rows that differ: {json} (json) {ubj} (ubj) of {}; \
         equal trees in Python: {same_trees} of {}; best iteration {} / {}; validation RMSE {rmse} / {python_rmse}",
        answer.version,
        trained.ensemble.trees.len(),
        ours.len(),
        python_model.ensemble.trees.len(),
        trained.best_iteration,
        answer.best_iteration,
    );
    assert_eq!((json, ubj), (0, 0));
    assert_eq!(trained.ensemble, python_model.ensemble);
    assert_eq!(python_model.feature_names, training.names);
    assert_eq!(python_model.categorical, training.categorical);
    assert_eq!(trained.best_iteration, answer.best_iteration);
    close(&trained.train_curve, &answer.train_curve);
    close(&trained.validation_curve, &answer.validation_curve);
}

fn equal_trees(a: &Ensemble, b: &Ensemble) -> usize {
    a.trees.iter().zip(&b.trees).filter(|(a, b)| a == b).count()
}

fn last(curve: &[f64]) -> f64 {
    *curve.last().expect("at least one round")
}

/// Equal but for the order of summation.
fn close(ours: &[f64], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len());
    for (a, b) in ours.iter().zip(theirs) {
        assert!((a - b).abs() <= 1e-12 * b.abs(), "{a} {b}");
    }
}

#[test]
fn generated_rows_with_gaps_and_categories_are_bit_equal_in_python() {
    let (training, validation) = (data::generated(2_000, 1), data::generated(500, 2));
    let unseen = data::generated(4_000, 3);
    let plain = Params { n_estimators: 100, learning_rate: 0.1, ..Params::default() };
    compare("generated", &training, &validation, &unseen, &plain);
    let drawn = Params {
        n_estimators: 80,
        max_depth: 8,
        learning_rate: 0.07,
        subsample: 0.7,
        colsample_bytree: 0.6,
        min_child_weight: 3.0,
        gamma: 0.2,
        reg_alpha: 0.3,
        reg_lambda: 2.5,
        max_bin: 64,
        early_stopping_rounds: None,
    };
    compare("generated, rows and features drawn", &training, &validation, &unseen, &drawn);
}

#[test]
fn early_stopping_ends_at_python_s_best_iteration() {
    let (training, validation) = (data::generated(1_000, 4), data::generated(500, 5));
    let unseen = data::generated(2_000, 6);
    for (patience, learning_rate) in [(1, 0.5), (5, 0.3), (20, 0.2)] {
        let params = Params {
            n_estimators: 500,
            learning_rate,
            early_stopping_rounds: Some(patience),
            ..Params::default()
        };
        compare(&format!("patience {patience}"), &training, &validation, &unseen, &params);
    }
}

#[test]
fn real_house_sales_are_bit_equal_in_python() {
    let path = "/work/shared/data/ames.csv";
    let Some(ames) = data::ames(path.as_ref()) else {
        eprintln!("SKIPPED: {path} is not here");
        return;
    };
    let (validation, training): (Vec<usize>, Vec<usize>) =
        (0..ames.features.n_rows()).partition(|i| i % 5 == 0);
    let params = Params {
        n_estimators: 150,
        max_depth: 5,
        learning_rate: 0.1,
        early_stopping_rounds: Some(30),
        ..Params::default()
    };
    compare("ames", &ames.take(&training), &ames.take(&validation), &data::with_gaps(&ames, 4_000), &params);
}

#[test]
fn python_s_logistic_models_are_read_bit_equal() {
    let rows = data::generated(3_000, 7);
    let (model, theirs) = exchange::logistic(&rows);
    let model = xgboost_json::decode(&model).expect("XGBoost wrote it");
    assert_eq!(model.ensemble.link, binah_ml::forest::Link::Logistic);
    assert_eq!(differing(&margins(&model.ensemble, &rows.features), &theirs), 0);
}
