//! A training that dies and goes on ends as one that never stopped.

use std::num::NonZeroU32;
use std::ops::ControlFlow;

use binah_ml::dev;
use binah_ml::xgboost::{
    Checkpoint, Checkpoints, Inputs, Library, Params, Search, Segment, TrainError, Trained, train,
    train_resumable,
};

use super::data::{self, Table};
use super::{SEED, fit, library, threads};

/// What a training that died has left behind.
type Left = Vec<Vec<u8>>;

fn checkpoint(left: &Left) -> Option<Checkpoint> {
    (!left.is_empty()).then(|| Checkpoint::decode(left).expect("as it was written"))
}

/// Trains until `dies_after` rounds have ended in this life.
fn live(
    library: &Library,
    inputs: Inputs<'_>,
    every: u32,
    n_threads: usize,
    left: &mut Left,
    dies_after: u32,
) -> Option<Trained> {
    let last = checkpoint(left);
    let first_round = last.as_ref().map_or(0, Checkpoint::rounds);
    let mut kept = first_round;
    let mut keep = |segments: Vec<Segment>| {
        for segment in segments {
            assert_eq!(segment.first_round, kept);
            left.push(segment.bytes);
            kept = checkpoint(left).expect("one").rounds();
        }
        assert!(kept.is_multiple_of(every));
        ControlFlow::Continue(())
    };
    let mut next = first_round;
    let mut die = |round: binah_ml::xgboost::Round| {
        assert_eq!(round.index, next, "rounds are neither lost nor repeated");
        next += 1;
        if next - first_round > dies_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let every = NonZeroU32::new(every).expect("not 0");
    let mut go_on = || ControlFlow::Continue(());
    let checkpoints =
        Checkpoints { every, is_wanted: &mut || true, last, keep: &mut keep, go_on: &mut go_on };
    match train_resumable(library, inputs, threads(n_threads), checkpoints, &mut die) {
        Ok(trained) => Some(trained),
        Err(TrainError::Cancelled) => None,
        Err(error) => panic!("{error}"),
    }
}

/// The model of a training with a checkpoint every `every` rounds that dies after each of `lives`, at
/// another number of threads each time.
fn with_deaths(library: &Library, inputs: Inputs<'_>, every: u32, lives: &[u32]) -> Trained {
    let mut left = Left::new();
    for (i, &rounds) in lives.iter().enumerate() {
        let finished = live(library, inputs, every, 1 + i % 2, &mut left, rounds);
        assert!(finished.is_none(), "it was to die after {rounds} rounds");
    }
    live(library, inputs, every, 1 + lives.len() % 2, &mut left, u32::MAX).expect("lives on to the end")
}

fn assert_same(died: &Trained, whole: &Trained, what: &str) {
    assert_eq!(died.best_iteration, whole.best_iteration, "{what}");
    let bits = |curve: &[f64]| curve.iter().map(|rmse| rmse.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&died.train_curve), bits(&whole.train_curve), "{what}");
    assert_eq!(bits(&died.validation_curve), bits(&whole.validation_curve), "{what}");
    assert!(died.model_json == whole.model_json, "{what}: another JSON file");
    assert!(died.model_ubj == whole.model_ubj, "{what}: another UBJSON file");
    assert_eq!(died.ensemble, whole.ensemble, "{what}");
}

fn inputs<'a>(training: &'a Table, validation: Option<&'a Table>, params: &'a Params) -> Inputs<'a> {
    Inputs { training: training.dataset(), validation: validation.map(Table::dataset), params, seed: SEED }
}

/// Nothing drawn, rows, features, both; all on categories, missing values and validation rows.
fn drawings() -> [(&'static str, Params); 4] {
    let plain = Params { n_estimators: 60, max_depth: 5, learning_rate: 0.2, ..Params::default() };
    [
        ("plain", plain.clone()),
        ("rows drawn", Params { subsample: 0.7, ..plain.clone() }),
        ("features drawn", Params { colsample_bytree: 0.5, ..plain.clone() }),
        (
            "both drawn",
            Params {
                subsample: 0.6,
                colsample_bytree: 0.3,
                gamma: 0.1,
                reg_alpha: 0.2,
                min_child_weight: 4.0,
                max_bin: 40,
                ..plain
            },
        ),
    ]
}

#[test]
fn neither_checkpoints_nor_deaths_change_a_byte() {
    let library = library();
    let (training, validation) = (data::generated(1_500, 1), data::generated(500, 2));
    for (name, params) in drawings() {
        let whole = fit(&training, Some(&validation), &params, 2);
        let inputs = inputs(&training, Some(&validation), &params);
        let deaths: [(u32, &[u32]); 5] =
            [(7, &[]), (1, &[0, 1, 5]), (7, &[6, 7, 20, 3]), (20, &[45, 1, 2]), (30, &[59])];
        for (every, lives) in deaths {
            let died = with_deaths(&library, inputs, every, lives);
            assert_same(&died, &whole, &format!("{name}, every {every} rounds, deaths after {lives:?}"));
        }
    }
}

#[test]
fn early_stopping_ends_at_the_same_round() {
    let library = library();
    let (training, validation) = (data::generated(1_000, 1), data::generated(500, 2));
    for (name, params) in drawings() {
        let params =
            Params { n_estimators: 400, early_stopping_rounds: Some(25), learning_rate: 0.3, ..params };
        let whole = fit(&training, Some(&validation), &params, 1);
        let rounds = whole.train_curve.len() as u32;
        assert!(rounds < 400, "{name}: {rounds} rounds");
        let inputs = inputs(&training, Some(&validation), &params);
        // The second death leaves a checkpoint of more rounds than the model will have.
        let lives = [10, rounds - 14, 0];
        let died = with_deaths(&library, inputs, 5, &lives);
        assert_same(&died, &whole, &format!("{name}, deaths after {lives:?} of {rounds} rounds"));
    }
}

#[test]
fn rows_without_validation_and_a_constant_target_go_on_as_well() {
    let library = library();
    let training = data::generated(800, 3);
    let params = Params { n_estimators: 30, colsample_bytree: 0.5, ..Params::default() };
    for target in [None, Some(0.0), Some(-3.25)] {
        let mut training = training.take(&(0..800).collect::<Vec<_>>());
        if let Some(target) = target {
            training.target.fill(target);
        }
        let whole = fit(&training, None, &params, 1);
        let died = with_deaths(&library, inputs(&training, None, &params), 4, &[9, 11]);
        assert_same(&died, &whole, &format!("target {target:?}"));
    }
}

#[test]
fn a_checkpoint_goes_on_with_its_own_training_alone() {
    let library = library();
    let (rows, params) = (data::generated(300, 1), drawings()[0].1.clone());
    let inputs = inputs(&rows, None, &params);
    let mut left = Left::new();
    assert!(live(&library, inputs, 5, 1, &mut left, 12).is_none());
    let checkpoint = checkpoint(&left).expect("two checkpoints");
    assert_eq!(checkpoint.rounds(), 10);
    let other_rows = data::generated(300, 2);
    let other_params = Params { max_depth: 4, ..params.clone() };
    let others = [
        Inputs { seed: SEED + 1, ..inputs },
        Inputs { training: other_rows.dataset(), ..inputs },
        Inputs { validation: Some(other_rows.dataset()), ..inputs },
        Inputs { params: &other_params, ..inputs },
    ];
    for other in others {
        let checkpoints = Checkpoints {
            every: NonZeroU32::MIN,
            is_wanted: &mut || true,
            last: Some(checkpoint.clone()),
            keep: &mut |_| panic!("a round was trained"),
            go_on: &mut || panic!("rows were predicted"),
        };
        let never = &mut |_| panic!("a round was trained");
        let result = train_resumable(&library, other, threads(1), checkpoints, never);
        assert!(matches!(result, Err(TrainError::ForeignCheckpoint)));
    }
}

#[test]
fn whoever_keeps_checkpoints_may_end_the_training() {
    let (rows, params) = (data::generated(300, 1), drawings()[0].1.clone());
    let mut kept = Vec::new();
    let mut keep = |segments: Vec<Segment>| {
        kept.extend(segments.iter().map(|segment| segment.first_round));
        if kept.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let every = NonZeroU32::new(4).expect("not 0");
    let checkpoints = Checkpoints {
        every,
        is_wanted: &mut || true,
        last: None,
        keep: &mut keep,
        go_on: &mut || panic!("nothing to catch up with"),
    };
    let mut rounds = 0;
    let mut count = |_| {
        rounds += 1;
        ControlFlow::Continue(())
    };
    let result =
        train_resumable(&library(), inputs(&rows, None, &params), threads(1), checkpoints, &mut count);
    assert!(matches!(result, Err(TrainError::Cancelled)));
    assert_eq!((kept, rounds), (vec![0, 4], 8));
}

#[test]
fn a_training_may_be_ended_while_it_catches_up() {
    let library = library();
    let (rows, params) = (data::generated(300, 1), Params { n_estimators: 200, ..Params::default() });
    let inputs = inputs(&rows, None, &params);
    let mut left = Left::new();
    assert!(live(&library, inputs, 150, 1, &mut left, 160).is_none());
    let last = checkpoint(&left).expect("a checkpoint");
    // Counted from the margins of the first rounds to the last replayed round.
    let mut stop_at = 1;
    loop {
        let mut asked = 0;
        let mut ask = || {
            asked += 1;
            if asked == stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let checkpoints = Checkpoints {
            every: NonZeroU32::MIN,
            is_wanted: &mut || true,
            last: Some(last.clone()),
            keep: &mut |_| panic!("a round was trained"),
            go_on: &mut ask,
        };
        let mut reached = false;
        let mut reach = |_| {
            reached = true;
            ControlFlow::Break(())
        };
        let result = train_resumable(&library, inputs, threads(1), checkpoints, &mut reach);
        assert!(matches!(result, Err(TrainError::Cancelled)));
        if reached {
            break;
        }
        assert_eq!(asked, stop_at, "it went on");
        stop_at += 1;
    }
    let steps = left.len() + 5;
    assert_eq!(stop_at, steps + 1, "the margins by segments, the rounds by 32");
}

#[test]
fn the_oldest_library_goes_on_as_well() {
    let search = Search { library: None, deps: Some(dev::deps_old()) };
    let library = Library::open(&search).expect("libxgboost 2.0 in DEPS_OLD");
    let (training, validation) = (data::generated(600, 1), data::generated(200, 2));
    for (name, params) in drawings() {
        let inputs = inputs(&training, Some(&validation), &params);
        let go_on = &mut |_| ControlFlow::Continue(());
        let whole = train(&library, inputs.training, inputs.validation, &params, SEED, threads(1), go_on);
        let died = with_deaths(&library, inputs, 7, &[10, 9]);
        assert_same(&died, &whole.expect("good rows"), &format!("{name}, {}", library.version()));
    }
}
