use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::forest::ensemble::Tree;
use crate::forest::{Evaluator, metrics};

fn checked(params: RandomForestParams) -> Checked<RandomForestParams> {
    params.check().expect("parameters in range")
}

fn fit_quietly(rows: &Matrix, labels: &[u8], params: RandomForestParams, seed: u64) -> Ensemble {
    let forest = fit(rows, labels, &checked(params), seed, &|_| ControlFlow::Continue(())).expect("a forest");
    forest.validate().expect("a valid ensemble");
    forest
}

/// Three features, the last of them noise; class 1 where the first two agree in sign; every
/// seventh value of the first is missing.
fn sample(n: usize) -> (Matrix, Vec<u8>) {
    let mut rng = Rng::new(11);
    let mut column = || (0..n).map(|_| rng.unit() as f32 - 0.5).collect::<Vec<f32>>();
    let (mut a, b, c) = (column(), column(), column());
    let labels = a.iter().zip(&b).map(|(a, b)| u8::from((*a > 0.0) == (*b > 0.0))).collect();
    a.iter_mut().step_by(7).for_each(|x| *x = f32::NAN);
    (Matrix::from_columns(vec![a, b, c]), labels)
}

/// One tree over all rows and features.
fn single_tree() -> RandomForestParams {
    let max_features = MaxFeatures::All;
    RandomForestParams { n_estimators: 1, bootstrap: false, max_features, ..RandomForestParams::default() }
}

fn leaves(tree: &Tree) -> impl Iterator<Item = usize> {
    (0..tree.len()).filter(|&i| tree.is_leaf(i))
}

#[test]
fn it_learns_an_interaction_despite_missing_values() {
    let (rows, labels) = sample(3_000);
    let (test_rows, test_labels) = (rows.take_rows(&(2_000..3_000).collect::<Vec<_>>()), &labels[2_000..]);
    let train_rows = rows.take_rows(&(0..2_000).collect::<Vec<_>>());
    let forest = fit_quietly(&train_rows, &labels[..2_000], RandomForestParams::default(), 1);
    let scores = Evaluator::new(&forest).expect("valid").predict(&test_rows);
    let auc = metrics::auc_roc(test_labels, &scores).expect("both classes");
    assert!(auc > 0.9, "AUC {auc}");
}

#[test]
fn the_number_of_threads_does_not_matter_but_the_seed_does() {
    let (rows, labels) = sample(500);
    let params = RandomForestParams { n_estimators: 20, ..RandomForestParams::default() };
    let on_threads = |n, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("a pool");
        pool.install(|| fit_quietly(&rows, &labels, params, seed))
    };
    assert_eq!(on_threads(1, 5), on_threads(4, 5));
    assert_ne!(on_threads(1, 5), on_threads(1, 6));
}

#[test]
fn an_unlimited_tree_remembers_its_rows() {
    let (rows, labels) = sample(1_000);
    let forest = fit_quietly(&rows, &labels, single_tree(), 0);
    let predictions = Evaluator::new(&forest).expect("valid").predict(&rows);
    for (prediction, label) in predictions.iter().zip(labels) {
        assert_eq!(*prediction, f64::from(label));
    }
}

/// Covers and values of a node are those of the training rows that reach it, by the routing rule:
/// so partition by bins, partition by value and later prediction agree.
#[test]
fn statistics_are_those_of_the_rows_that_reach_a_node() {
    let (rows, labels) = sample(1_000);
    let params = RandomForestParams { max_depth: Some(6), min_samples_leaf: 3, ..single_tree() };
    let tree = &fit_quietly(&rows, &labels, params, 0).trees[0];
    let mut reached = vec![(0.0f32, 0.0f64); tree.len()];
    for (i, &label) in labels.iter().enumerate() {
        let row = rows.row(i);
        let mut node = 0;
        loop {
            reached[node] = (reached[node].0 + 1.0, reached[node].1 + f64::from(label));
            if tree.is_leaf(node) {
                break;
            }
            node = tree.child_of(node, &row);
        }
    }
    for (i, (count, positive)) in reached.into_iter().enumerate() {
        assert_eq!((tree.cover[i], tree.value[i]), (count, positive / f64::from(count)), "node {i}");
    }
    assert!(leaves(tree).all(|i| tree.cover[i] >= 3.0));
    assert!(leaves(tree).count() > 8);
}

#[test]
fn gain_is_the_weighted_decrease_of_gini_impurity() {
    let (rows, labels) = sample(1_000);
    let tree =
        &fit_quietly(&rows, &labels, RandomForestParams { max_depth: Some(4), ..single_tree() }, 0).trees[0];
    let impurity = |i: usize| f64::from(tree.cover[i]) * 2.0 * tree.value[i] * (1.0 - tree.value[i]);
    for i in (0..tree.len()).filter(|&i| !tree.is_leaf(i)) {
        let decrease = impurity(i) - impurity(tree.left[i] as usize) - impurity(tree.right[i] as usize);
        assert!((f64::from(tree.gain[i]) - decrease).abs() < 1e-4, "node {i}");
    }
}

#[test]
fn limits_hold() {
    let (rows, labels) = sample(1_000);
    let limited = RandomForestParams { max_depth: Some(3), min_samples_split: 200, ..single_tree() };
    let tree = &fit_quietly(&rows, &labels, limited, 0).trees[0];
    assert!(leaves(tree).count() <= 8);
    assert!((0..tree.len()).all(|i| tree.is_leaf(i) || tree.cover[i] >= 200.0));
}

#[test]
fn missing_against_present_can_be_the_best_split() {
    let rows =
        Matrix::from_columns(vec![(0..200).map(|i| if i % 2 == 0 { f32::NAN } else { i as f32 }).collect()]);
    let labels: Vec<u8> = (0..200).map(|i| (i % 2) as u8).collect();
    for n in [40, 200] {
        let rows = rows.take_rows(&(0..n).collect::<Vec<_>>());
        let forest = fit_quietly(&rows, &labels[..n], single_tree(), 0);
        let evaluator = Evaluator::new(&forest).expect("valid");
        assert_eq!(forest.trees[0].len(), 3, "{n} rows");
        assert_eq!((evaluator.predict_row(&[f32::NAN]), evaluator.predict_row(&[5.0])), (0.0, 1.0));
    }
}

#[test]
fn an_unseen_missing_value_goes_to_the_larger_child() {
    for n in [30, 300] {
        let rows = Matrix::from_columns(vec![(0..n).map(|i| i as f32).collect()]);
        let labels: Vec<u8> = (0..n).map(|i| u8::from(i < n / 3)).collect();
        let forest = fit_quietly(&rows, &labels, single_tree(), 0);
        assert_eq!(Evaluator::new(&forest).expect("valid").predict_row(&[f32::NAN]), 0.0);
    }
}

#[test]
fn balanced_weights_make_both_classes_count_the_same() {
    let rows = Matrix::from_columns(vec![vec![1.0; 10]]);
    let labels = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let balanced = RandomForestParams { class_weight: ClassWeight::Balanced, ..single_tree() };
    assert_eq!(fit_quietly(&rows, &labels, balanced, 0).trees[0].value, [0.5]);
    assert_eq!(fit_quietly(&rows, &labels, single_tree(), 0).trees[0].value, [0.2]);
}

#[test]
fn progress_is_told_and_cancels() {
    let (rows, labels) = sample(100);
    let params = checked(RandomForestParams::default());
    let stop_at =
        |n| move |done: usize| if done < n { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    assert_eq!(fit(&rows, &labels, &params, 0, &stop_at(5)), Err(FitError::Cancelled));
    assert!(fit(&rows, &labels, &params, 0, &stop_at(101)).is_ok());
}

/// Before the first tree a break meets each column's binning, then the tree itself.
#[test]
fn a_single_large_tree_can_be_cancelled() {
    let (rows, labels) = sample(200_000);
    let params = checked(single_tree());
    let attempt = |stop_at: usize| {
        let asked = AtomicUsize::new(0);
        let result = fit(&rows, &labels, &params, 0, &|done| {
            let count = asked.fetch_add(1, Ordering::Relaxed) + 1;
            assert_eq!(done, 0, "cancelled before the tree was done");
            if count >= stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(result, Err(FitError::Cancelled));
    };
    let n_columns = rows.n_cols();
    attempt(1);
    attempt(n_columns + 1);
}

#[test]
fn tables_and_labels_must_fit() {
    let params = checked(RandomForestParams::default());
    let attempt =
        |rows: &Matrix, labels: &[u8]| fit(rows, labels, &params, 0, &|_| ControlFlow::Continue(()));
    let rows = Matrix::from_columns(vec![vec![1.0, 2.0]]);
    assert_eq!(attempt(&Matrix::default(), &[]), Err(FitError::Empty));
    assert_eq!(attempt(&rows, &[1]), Err(FitError::LabelCount { rows: 2, labels: 1 }));
    assert_eq!(attempt(&rows, &[1, 2]), Err(FitError::BadLabel(1)));
}
