use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::forest::ensemble::{LEAF, Tree};
use crate::forest::strategies;

/// The definition, word by word.
fn plain(ensemble: &Ensemble, row: &[f32]) -> f64 {
    let leaves = ensemble.trees.iter().map(|tree| tree.value[tree.leaf_of(row)]);
    match ensemble.combine {
        Combine::Sum => f64::from(leaves.fold(ensemble.base_score, |sum, value| sum + value as f32)),
        Combine::Mean => leaves.fold(0.0, |sum, value| sum + value) / ensemble.trees.len() as f64,
    }
}

fn matrix(n_features: usize, rows: &[Vec<f32>]) -> Matrix {
    let columns: Vec<Vec<f32>> = (0..n_features).map(|j| rows.iter().map(|row| row[j]).collect()).collect();
    Matrix::from_columns(columns)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn fast_plain_row_and_batch_agree_bit_for_bit(
        (ensemble, rows) in strategies::ensemble()
            .prop_flat_map(|e| { let n = e.n_features; (Just(e), strategies::rows(n)) })
    ) {
        let evaluator = Evaluator::new(&ensemble).expect("a valid ensemble");
        let batch = evaluator.predict(&matrix(ensemble.n_features, &rows));
        prop_assert_eq!(batch.len(), rows.len());
        for (row, batch) in rows.iter().zip(batch) {
            let raw = plain(&ensemble, row);
            prop_assert_eq!(evaluator.predict_raw_row(row).to_bits(), raw.to_bits());
            prop_assert_eq!(evaluator.predict_row(row).to_bits(), ensemble.link.apply(raw).to_bits());
            prop_assert_eq!(batch.to_bits(), ensemble.link.apply(raw).to_bits());
        }
    }
}

/// A tree in which row value `k` ends in the leaf of value `k`, `depth` splits down at most.
fn chain(depth: usize) -> Tree {
    let n = 2 * depth + 1;
    let inner = |i: usize| i.is_multiple_of(2) && i < 2 * depth;
    Tree {
        feature: vec![0; n],
        threshold: (0..n).map(|i| if inner(i) { (i / 2) as f32 + 0.5 } else { 0.0 }).collect(),
        left: (0..n).map(|i| if inner(i) { i as u32 + 1 } else { LEAF }).collect(),
        right: (0..n).map(|i| if inner(i) { i as u32 + 2 } else { LEAF }).collect(),
        default_left: vec![false; n],
        value: (0..n).map(|i| (i / 2) as f64).collect(),
        cover: vec![1.0; n],
        gain: vec![0.0; n],
        categories: vec![],
    }
}

fn sum_of(trees: Vec<Tree>) -> Ensemble {
    Ensemble { n_features: 1, combine: Combine::Sum, base_score: 0.0, link: Link::Identity, trees }
}

#[test]
fn deep_and_shallow_trees_mix() {
    let evaluator = Evaluator::new(&sum_of(vec![chain(0), chain(100), chain(9), chain(8)])).expect("valid");
    for k in 0..=100 {
        let expected = k + k.min(9) + k.min(8);
        assert_eq!(evaluator.predict_row(&[k as f32]), f64::from(expected), "row value {k}");
    }
}

#[test]
fn many_rows_on_several_threads_agree_with_single_rows() {
    let ensemble = sum_of(vec![chain(40); 50]);
    let evaluator = Evaluator::new(&ensemble).expect("valid");
    let column: Vec<f32> = (0..5_003).map(|i| (i % 43) as f32).collect();
    assert!(column.len() * evaluator.forest.steps_per_row() > 4 * PARALLEL_STEPS, "work for several threads");
    let batch = evaluator.predict(&Matrix::from_columns(vec![column.clone()]));
    for (x, prediction) in column.iter().zip(batch) {
        assert_eq!(prediction, evaluator.predict_row(&[*x]));
    }
}

#[test]
fn a_long_prediction_can_be_ended() {
    let evaluator = Evaluator::new(&sum_of(vec![chain(40); 50])).expect("valid");
    let rows = Matrix::from_columns(vec![vec![3.0; 5_003]]);
    let asked = AtomicUsize::new(0);
    let stop_at = |n: usize| {
        let asked = &asked;
        asked.store(0, Ordering::Relaxed);
        move || match asked.fetch_add(1, Ordering::Relaxed) + 1 {
            count if count >= n => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    };
    assert_eq!(evaluator.predict_while(&rows, &stop_at(usize::MAX)), Some(evaluator.predict(&rows)));
    let all = asked.load(Ordering::Relaxed);
    assert!(all > 4, "asked {all} times");
    for n in [1, all] {
        assert_eq!(evaluator.predict_while(&rows, &stop_at(n)), None, "a break at the {n}th time");
    }
}

#[test]
fn no_trees_give_the_base_score() {
    let ensemble = Ensemble { base_score: 0.5, ..sum_of(vec![]) };
    let evaluator = Evaluator::new(&ensemble).expect("valid");
    assert_eq!(evaluator.predict_row(&[1.0]), 0.5);
    assert_eq!(evaluator.predict(&Matrix::from_columns(vec![vec![1.0; 3]])), [0.5; 3]);
}

#[test]
fn a_broken_ensemble_is_refused() {
    let mut ensemble = sum_of(vec![chain(3)]);
    ensemble.trees[0].right[4] = 2;
    assert!(Evaluator::new(&ensemble).is_err());
}

#[test]
fn memory_counts_every_node() {
    let evaluator = Evaluator::new(&sum_of(vec![chain(100); 10])).expect("valid");
    let nodes = 10 * 201;
    assert!((nodes * 20..nodes * 20 + 2_000).contains(&evaluator.memory_bytes()));
}
