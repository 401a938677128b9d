//! What `train` promises, whatever Python says.

use std::ops::ControlFlow;

use binah_ml::xgboost::dataset::DatasetError;
use binah_ml::xgboost::library::OLDEST_VERSION;
use binah_ml::xgboost::{Params, TrainError, train};

use super::{SEED, data, fit, library, threads};

fn drawn() -> Params {
    Params { n_estimators: 60, max_depth: 8, subsample: 0.8, colsample_bytree: 0.7, ..Params::default() }
}

#[test]
fn the_model_does_not_depend_on_the_number_of_threads() {
    let (training, validation) = (data::generated(30_000, 1), data::generated(5_000, 2));
    let params = Params { early_stopping_rounds: Some(10), ..drawn() };
    let one = fit(&training, Some(&validation), &params, 1);
    for n_threads in [2, 4] {
        let other = fit(&training, Some(&validation), &params, n_threads);
        assert!(one == other, "{n_threads} threads: other bytes, trees or curves");
    }
}

#[test]
fn the_seed_decides_what_is_drawn() {
    let (library, rows) = (library(), data::generated(1_000, 1));
    let go_on = &mut |_| ControlFlow::Continue(());
    let mut model = |seed| {
        let trained = train(&library, rows.dataset(), None, &drawn(), seed, threads(1), go_on);
        trained.expect("good rows").model_json
    };
    assert_eq!(model(7), model(7));
    assert_ne!(model(7), model(8));
    assert_eq!(model(u64::MAX), model(i64::MAX as u64), "the lower 63 bits count");
}

#[test]
fn trainings_side_by_side_do_not_touch_each_other() {
    let rows = [data::generated(3_000, 1), data::generated(3_000, 2)];
    let alone = rows.each_ref().map(|rows| fit(rows, None, &drawn(), 1));
    let library = library();
    let together = std::thread::scope(|scope| {
        let start = |rows: &'_ data::Table| {
            let go_on = &mut |_| ControlFlow::Continue(());
            train(&library, rows.dataset(), None, &drawn(), SEED, threads(1), go_on).expect("good rows")
        };
        let running = rows.each_ref().map(|rows| scope.spawn(move || start(rows)));
        running.map(|training| training.join().expect("no panic"))
    });
    assert!(alone == together, "two at once gave other models than one after the other");
}

#[test]
fn every_round_is_reported_and_a_break_ends_the_training() {
    let (training, validation) = (data::generated(500, 1), data::generated(200, 2));
    let mut rounds = Vec::new();
    let mut stop_after_three = |round| {
        rounds.push(round);
        if rounds.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let (params, validation) = (Params::default(), Some(validation.dataset()));
    let result =
        train(&library(), training.dataset(), validation, &params, SEED, threads(1), &mut stop_after_three);
    assert!(matches!(result, Err(TrainError::Cancelled)));
    assert_eq!(rounds.iter().map(|r| r.index).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(rounds.windows(2).all(|w| w[1].train_rmse < w[0].train_rmse), "{rounds:?}");
    assert!(rounds.iter().all(|r| r.validation_rmse.is_some()));
}

#[test]
fn early_stopping_keeps_the_best_round_and_the_whole_curve() {
    let (training, validation) = (data::generated(1_000, 1), data::generated(500, 2));
    let patience = 7;
    let params = Params { n_estimators: 400, early_stopping_rounds: Some(patience), ..Params::default() };
    let trained = fit(&training, Some(&validation), &params, 2);
    let best = trained.best_iteration as usize;
    assert_eq!(trained.ensemble.trees.len(), best + 1);
    assert_eq!(trained.validation_curve.len(), best + 1 + patience as usize);
    assert!(trained.validation_curve.iter().all(|&rmse| rmse >= trained.validation_curve[best]));
    assert_eq!(trained.train_curve.len(), trained.validation_curve.len());
    // The same rounds without early stopping are the same trees.
    let params = Params { n_estimators: best as u32 + 1, ..Params::default() };
    let plain = fit(&training, None, &params, 2);
    assert_eq!((plain.model_json, plain.best_iteration), (trained.model_json, trained.best_iteration));
    assert!(plain.validation_curve.is_empty());
}

#[test]
fn unusable_parameters_and_rows_are_refused_before_any_training() {
    let (library, rows) = (library(), data::generated(50, 1));
    let mut other = data::generated(50, 2);
    other.names[0] = "z".to_owned();
    let refuse = |validation: Option<&data::Table>, params: Params| {
        let never = &mut |_| panic!("a round was trained");
        let validation = validation.map(data::Table::dataset);
        train(&library, rows.dataset(), validation, &params, SEED, threads(1), never).expect_err("unusable")
    };
    let error = refuse(None, Params { max_depth: 0, ..Params::default() });
    assert!(matches!(error, TrainError::Params(_)), "{error}");
    let error = refuse(None, Params { early_stopping_rounds: Some(3), ..Params::default() });
    assert!(matches!(error, TrainError::EarlyStoppingWithoutValidation), "{error}");
    let error = refuse(Some(&other), Params::default());
    assert!(
        matches!(error, TrainError::Dataset { set: "validation", error: DatasetError::Columns }),
        "{error}"
    );
}

#[test]
fn one_row_and_constant_columns_still_make_a_model() {
    let rows = data::generated(1, 1);
    let trained = fit(&rows, None, &Params { n_estimators: 3, ..Params::default() }, 1);
    assert_eq!(trained.ensemble.trees.len(), 3);
    assert_eq!(trained.ensemble.base_score, rows.target[0]);
}

#[test]
fn the_library_takes_what_the_ranges_allow() {
    let rows = data::generated(200, 1);
    let (least, d) = (f64::from(f32::MIN_POSITIVE), || Params { n_estimators: 3, ..Params::default() });
    let limits = [
        Params { max_depth: 30, max_bin: 65_536, min_child_weight: 0.0, reg_lambda: 0.0, ..d() },
        Params { max_depth: 1, max_bin: 2, learning_rate: 1.0, ..d() },
        Params { learning_rate: least, ..d() },
        Params { subsample: least, ..d() },
        Params { colsample_bytree: least, ..d() },
        Params { min_child_weight: f64::from(f32::MAX), ..d() },
        Params { gamma: f64::from(f32::MAX), ..d() },
        Params { reg_alpha: f64::from(f32::MAX), reg_lambda: f64::from(f32::MAX), ..d() },
    ];
    for params in limits {
        assert_eq!(params.check(), Ok(()));
        let trained = fit(&rows, None, &params, 1);
        assert_eq!(trained.ensemble.trees.len(), 3, "{params:?}");
    }
}

#[test]
fn the_library_says_its_version_and_file() {
    let library = library();
    assert!(library.version() >= OLDEST_VERSION);
    assert!(library.path().ends_with("xgboost/lib/libxgboost.so"), "{:?}", library.path());
}
