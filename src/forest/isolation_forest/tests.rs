use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn fit_quietly(rows: &Matrix, params: IsolationForestParams, seed: u64) -> Ensemble {
    let params = params.check().expect("parameters in range");
    let forest = fit(rows, &params, seed, &|_| ControlFlow::Continue(())).expect("a forest");
    forest.validate().expect("a valid ensemble");
    forest
}

fn offset(forest: &Ensemble) -> f64 {
    match forest.link {
        Link::AnomalyScore { offset, .. } => offset,
        other => panic!("an anomaly score, not {other:?}"),
    }
}

/// Two columns of uniform numbers and a constant one; the first row lies far outside.
fn sample(n: usize) -> Matrix {
    let mut rng = Rng::new(2);
    let mut column = || (0..n).map(|_| rng.unit() as f32).collect::<Vec<f32>>();
    let (mut a, mut b) = (column(), column());
    (a[0], b[0]) = (9.0, -9.0);
    Matrix::from_columns(vec![a, b, vec![1.0; n]])
}

#[test]
fn an_outlier_scores_lowest() {
    let rows = sample(1_000);
    let scores = Evaluator::new(&fit_quietly(&rows, IsolationForestParams::default(), 0))
        .expect("valid")
        .predict(&rows);
    assert!(scores.iter().all(|score| (-1.0..0.0).contains(score)));
    assert!(scores[1..].iter().all(|&score| score > scores[0] + 0.05));
    assert!(scores[0] < AUTO_OFFSET);
}

#[test]
fn trees_keep_to_their_sample_and_depth() {
    let rows = sample(1_000);
    let params =
        IsolationForestParams { max_samples: MaxSamples::Count(64), ..IsolationForestParams::default() };
    let forest = fit_quietly(&rows, params, 0);
    assert_eq!(
        forest.link,
        Link::AnomalyScore { average_path_length: average_path_length(64), offset: -0.5 }
    );
    for tree in &forest.trees {
        assert_eq!(tree.cover[0], 64.0);
        let mut pending = vec![(0, 0)];
        while let Some((node, depth)) = pending.pop() {
            if tree.is_leaf(node) {
                assert!(depth <= 6);
                assert_eq!(
                    tree.value[node],
                    f64::from(depth) + average_path_length(tree.cover[node] as usize)
                );
            } else {
                assert_ne!(tree.feature[node], 2, "a constant feature");
                let (left, right) = (tree.left[node] as usize, tree.right[node] as usize);
                assert_eq!(tree.cover[node], tree.cover[left] + tree.cover[right]);
                assert!(tree.cover[left] > 0.0 && tree.cover[right] > 0.0);
                pending.extend([(left, depth + 1), (right, depth + 1)]);
            }
        }
    }
}

#[test]
fn contamination_is_the_share_of_anomalies() {
    let rows = sample(1_000);
    let contamination = Contamination::Fraction(0.05);
    let forest =
        fit_quietly(&rows, IsolationForestParams { contamination, ..IsolationForestParams::default() }, 0);
    let scores = Evaluator::new(&forest).expect("valid").predict(&rows);
    assert_eq!(scores.iter().filter(|&&score| score - offset(&forest) < 0.0).count(), 50);
}

#[test]
fn the_number_of_threads_does_not_matter_but_the_seed_does() {
    let rows = sample(500);
    let contamination = Contamination::Fraction(0.1);
    let on_threads = |n, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("a pool");
        let params = IsolationForestParams { contamination, ..IsolationForestParams::default() };
        pool.install(|| fit_quietly(&rows, params, seed))
    };
    assert_eq!(on_threads(1, 5), on_threads(4, 5));
    assert_ne!(on_threads(1, 5), on_threads(1, 6));
}

#[test]
fn missing_values_can_isolate_a_row() {
    let mut column = vec![1.0; 100];
    column[3] = f32::NAN;
    let rows = Matrix::from_columns(vec![column]);
    let forest = fit_quietly(&rows, IsolationForestParams::default(), 0);
    let scores = Evaluator::new(&forest).expect("valid").predict(&rows);
    assert!(scores[3] < scores[0]);
}

#[test]
fn tables_without_structure_are_single_leaves() {
    for rows in [vec![1.0], vec![2.0; 50], vec![f32::NAN; 50]] {
        let rows = Matrix::from_columns(vec![rows]);
        let forest = fit_quietly(&rows, IsolationForestParams::default(), 0);
        assert!(forest.trees.iter().all(|tree| tree.len() == 1));
        assert!(Evaluator::new(&forest).expect("valid").predict_row(&[0.0]).is_finite());
    }
    let params = IsolationForestParams::default().check().expect("in range");
    assert_eq!(fit(&Matrix::default(), &params, 0, &|_| ControlFlow::Continue(())), Err(FitError::Empty));
}

#[test]
fn average_path_lengths_are_those_of_the_paper() {
    assert_eq!([0, 1, 2].map(average_path_length), [0.0, 0.0, 1.0]);
    // 2 (ln 255 + gamma) - 2 * 255 / 256 = 10.2447709...
    assert!((average_path_length(256) - 10.244_770_920_119_063).abs() < 1e-9);
}

#[test]
fn quantiles_are_linear_between_neighbours() {
    let values = vec![4.0, 1.0, 3.0, 2.0];
    assert_eq!(quantile(values.clone(), 0.5), 2.5);
    assert_eq!(quantile(values.clone(), 1.0 / 3.0), 2.0);
    assert!((quantile(values, 0.1) - 1.3).abs() < 1e-15);
    assert_eq!(quantile(vec![7.0], 0.3), 7.0);
}

#[test]
fn scoring_for_the_contamination_can_be_cancelled() {
    let rows = sample(20_000);
    let contamination = Contamination::Fraction(0.1);
    let params = IsolationForestParams { contamination, ..IsolationForestParams::default() };
    let params = params.check().expect("parameters in range");
    let after_the_last_tree = AtomicUsize::new(0);
    let result = fit(&rows, &params, 0, &|done| {
        let all_done = done == params.n_estimators as usize;
        if all_done && after_the_last_tree.fetch_add(1, Ordering::Relaxed) == 1 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!(result, Err(FitError::Cancelled));
}

#[test]
fn a_tree_of_all_rows_can_be_cancelled() {
    let rows = sample(300_000);
    let max_samples = MaxSamples::Fraction(1.0);
    let params = IsolationForestParams { n_estimators: 1, max_samples, ..IsolationForestParams::default() };
    let stop = |done| if done == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    assert_eq!(fit(&rows, &params.check().expect("in range"), 0, &stop), Err(FitError::Cancelled));
}
