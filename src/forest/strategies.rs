//! Random ensembles and rows for property tests.

use proptest::prelude::*;

use super::ensemble::{Combine, Ensemble, Link, Tree};

/// Values that rows and thresholds share, so that ties are frequent; NaN last.
const VALUES: [f32; 11] =
    [0.0, -0.0, 1.0, -1.0, 2.5, 1e-45, f32::MIN, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];

/// One value of a row: a special one, a category code or any number.
fn value() -> impl Strategy<Value = f32> {
    prop_oneof![prop::sample::select(&VALUES[..]), (0u8..8).prop_map(f32::from), -3.0f32..3.0]
}

fn threshold() -> impl Strategy<Value = f32> {
    prop_oneof![prop::sample::select(&VALUES[..10]), -3.0f32..3.0]
}

/// Rows of `n_features` values.
pub(super) fn rows(n_features: usize) -> impl Strategy<Value = Vec<Vec<f32>>> {
    prop::collection::vec(prop::collection::vec(value(), n_features), 0..40)
}

/// What one growth step splits, and how.
type Growth = (prop::sample::Index, u32, f32, bool, Vec<u32>);

fn growth(n_features: usize) -> impl Strategy<Value = Growth> {
    let codes = prop_oneof![
        3 => Just(vec![]),
        1 => prop::collection::btree_set(0u32..8, 1..4).prop_map(|set| set.into_iter().collect()),
    ];
    (any::<prop::sample::Index>(), 0..n_features as u32, threshold(), any::<bool>(), codes)
}

/// A valid tree of up to 12 splits, also a single leaf, also a long chain; children may come in
/// either order.
fn tree(n_features: usize) -> impl Strategy<Value = Tree> {
    let values = prop::collection::vec((-10.0f64..10.0, 0.0f32..100.0, 0.0f32..9.0), 25);
    (prop::collection::vec(growth(n_features), 0..13), values).prop_map(|(growths, values)| {
        let mut tree = Tree::default();
        tree.push_leaf(0.0, 0.0);
        for (pick, feature, threshold, default_left, codes) in growths {
            let leaves: Vec<usize> = (0..tree.len()).filter(|&i| tree.is_leaf(i)).collect();
            let node = *pick.get(&leaves);
            let (first, second) = (tree.push_leaf(0.0, 0.0), tree.push_leaf(0.0, 0.0));
            (tree.left[node], tree.right[node]) =
                if first % 3 == 0 { (second, first) } else { (first, second) };
            tree.feature[node] = feature;
            tree.default_left[node] = default_left;
            if codes.is_empty() {
                tree.threshold[node] = threshold;
            } else {
                tree.categories.push((node as u32, codes));
            }
        }
        tree.categories.sort_unstable();
        for (i, (value, cover, gain)) in values.into_iter().take(tree.len()).enumerate() {
            (tree.value[i], tree.cover[i]) = (value, cover);
            tree.gain[i] = if tree.is_leaf(i) { 0.0 } else { gain };
        }
        tree
    })
}

/// A valid ensemble of any family.
pub(super) fn ensemble() -> impl Strategy<Value = Ensemble> {
    let family = prop::sample::select(vec![
        (Combine::Sum, 0.25, Link::Identity),
        (Combine::Sum, -1.5, Link::Logistic),
        (Combine::Mean, 0.0, Link::Identity),
        (Combine::Mean, 0.0, Link::AnomalyScore { average_path_length: 10.2, offset: -0.5 }),
    ]);
    (1usize..5, family).prop_flat_map(|(n_features, (combine, base_score, link))| {
        prop::collection::vec(tree(n_features), 1..20).prop_map(move |trees| Ensemble {
            n_features,
            combine,
            base_score,
            link,
            trees,
        })
    })
}
