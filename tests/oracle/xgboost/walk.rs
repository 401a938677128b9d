//! The plainest possible prediction, to compare bits with.

use binah_ml::forest::{Ensemble, Matrix, Tree};

/// Base score plus leaf values in tree order, in f32; one number a row.
pub(crate) fn margins(ensemble: &Ensemble, rows: &Matrix) -> Vec<f32> {
    (0..rows.n_rows())
        .map(|i| {
            let row = rows.row(i);
            ensemble.trees.iter().fold(ensemble.base_score, |sum, tree| sum + leaf(tree, &row))
        })
        .collect()
}

fn leaf(tree: &Tree, row: &[f32]) -> f32 {
    let mut node = 0;
    while !tree.is_leaf(node) {
        let x = row[tree.feature[node] as usize];
        let codes = tree.categories.iter().find(|(at, _)| *at as usize == node).map(|(_, codes)| codes);
        let left = match codes {
            _ if x.is_nan() => tree.default_left[node],
            Some(codes) => x < 0.0 || !codes.contains(&(x as u32)),
            None => x < tree.threshold[node],
        };
        node = (if left { tree.left[node] } else { tree.right[node] }) as usize;
    }
    tree.value[node] as f32
}
