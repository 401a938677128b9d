//! XGBoost's JSON model format, read.
//!
//! The format is described by `doc/model.schema` and `src/tree/tree_model.cc` of XGBoost. Read are
//! single-output `gbtree` models of `reg:squarederror` and `binary:logistic`, written by XGBoost 2 and 3.
//! Numbers are parsed as f32 straight from their decimal text (serde_json's `float_roundtrip`
//! does so for f32 fields): the detour over f64 would round twice.
//!
//! The bytes may come from anywhere: whatever is wrong with them is an error, and a decoded tree
//! is a tree (each node but the root has one parent, children and features are in range).

use std::borrow::Cow;

use serde::Deserialize;

use crate::forest::ensemble::{Combine, Ensemble, LEAF, Link, Tree};

/// What a model file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The trees.
    pub ensemble: Ensemble,
    /// One name per feature; empty if the model was trained without names.
    pub feature_names: Vec<String>,
    /// Whether a feature holds category codes; empty if the model was trained without types.
    pub categorical: Vec<bool>,
}

/// Why bytes are not a model.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or not in the shape of an XGBoost model.
    #[error("not an XGBoost JSON model: {0}")]
    Json(#[from] serde_json::Error),
    /// A model of a kind that is not read.
    #[error("unsupported XGBoost model: {0}")]
    Unsupported(String),
    /// A contradiction in the model's head.
    #[error("invalid XGBoost model: {0}")]
    Invalid(&'static str),
    /// A contradiction in a tree.
    #[error("invalid XGBoost model, tree {tree}: {reason}")]
    InvalidTree {
        /// Position of the tree, from 0.
        tree: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Reads a model from the bytes of a `.json` file.
///
/// The value of an inner node is the mean of the leaf values below it, weighted by cover, as
/// libxgboost itself takes it for explanations: the file's `base_weights` of inner nodes lack the
/// factor of the learning rate, which the file does not hold.
///
/// # Errors
/// For anything but a well-formed model of a supported kind; never panics.
pub fn decode(bytes: &[u8]) -> Result<Model, DecodeError> {
    let bytes = nan_to_null(bytes);
    let RawModel { learner } = serde_json::from_slice(&bytes)?;
    let (link, base_score) = link_and_base_score(&learner)?;
    let n_features: u32 =
        learner.learner_model_param.num_feature.parse().map_err(|_| DecodeError::Invalid("num_feature"))?;
    for names in [&learner.feature_names, &learner.feature_types] {
        if !names.is_empty() && names.len() != n_features as usize {
            return Err(DecodeError::Invalid("as many feature names and types as features"));
        }
    }
    let Booster { name, model } = learner.gradient_booster;
    let model = match model {
        Some(model) if name == "gbtree" => model,
        _ => return Err(DecodeError::Unsupported(format!("booster {name}"))),
    };
    if model.gbtree_model_param.num_trees.parse() != Ok(model.trees.len()) {
        return Err(DecodeError::Invalid("num_trees"));
    }
    if model.tree_info.iter().any(|&group| group != 0) {
        return Err(DecodeError::Unsupported("more than one output".to_owned()));
    }
    let trees = model
        .trees
        .iter()
        .enumerate()
        .map(|(i, raw)| {
            if raw.id.is_some_and(|id| id != i as u64) {
                return Err(DecodeError::InvalidTree { tree: i, reason: "trees out of order" });
            }
            raw.decode(n_features).map_err(|reason| DecodeError::InvalidTree { tree: i, reason })
        })
        .collect::<Result<_, _>>()?;
    Ok(Model {
        ensemble: Ensemble {
            n_features: n_features as usize,
            combine: Combine::Sum,
            base_score,
            link,
            trees,
        },
        feature_names: learner.feature_names.into_iter().map(Cow::into_owned).collect(),
        categorical: learner.feature_types.iter().map(|t| t == "c").collect(),
    })
}

/// The answer's link, and where the sum starts in the link's space.
fn link_and_base_score(learner: &Learner<'_>) -> Result<(Link, f32), DecodeError> {
    let head = &learner.learner_model_param;
    if head.num_class.as_deref().is_some_and(|n| n != "0" && n != "1")
        || head.num_target.as_deref().is_some_and(|n| n != "1")
    {
        return Err(DecodeError::Unsupported("more than one output".to_owned()));
    }
    // XGBoost 3.1 and later write a vector of one.
    let text = head.base_score.as_ref();
    let text = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let base_score: f32 = text.parse().map_err(|_| DecodeError::Invalid("base_score"))?;
    match learner.objective.name.as_ref() {
        "reg:squarederror" if base_score.is_finite() => Ok((Link::Identity, base_score)),
        "binary:logistic" if base_score > 0.0 && base_score < 1.0 => {
            // `-log(1 / p - 1)` in f32, as `LogisticRegression::ProbToMargin` has it.
            Ok((Link::Logistic, -(1.0 / base_score - 1.0).ln()))
        }
        "reg:squarederror" | "binary:logistic" => Err(DecodeError::Invalid("base_score")),
        other => Err(DecodeError::Unsupported(format!("objective {other}"))),
    }
}

/// XGBoost 2.x writes a bare `NaN`, which is no JSON, for the threshold of a categorical split.
fn nan_to_null(bytes: &[u8]) -> Cow<'_, [u8]> {
    const NAN: &[u8] = b"NaN";
    if !bytes.windows(NAN.len()).any(|window| window == NAN) {
        return Cow::Borrowed(bytes);
    }
    let mut json = Vec::with_capacity(bytes.len() + bytes.len() / 8);
    let (mut at, mut in_string, mut escaped) = (0, false, false);
    while let Some(&byte) = bytes.get(at) {
        if !in_string && bytes[at..].starts_with(NAN) {
            json.extend_from_slice(b"null");
            at += NAN.len();
            continue;
        }
        in_string ^= byte == b'"' && !escaped;
        escaped = in_string && byte == b'\\' && !escaped;
        json.push(byte);
        at += 1;
    }
    Cow::Owned(json)
}

#[derive(Deserialize)]
struct RawModel<'a> {
    #[serde(borrow)]
    learner: Learner<'a>,
}

#[derive(Deserialize)]
struct Learner<'a> {
    #[serde(borrow, default)]
    feature_names: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    feature_types: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    gradient_booster: Booster<'a>,
    #[serde(borrow)]
    learner_model_param: Head<'a>,
    #[serde(borrow)]
    objective: Objective<'a>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    base_score: Cow<'a, str>,
    #[serde(borrow)]
    num_feature: Cow<'a, str>,
    #[serde(borrow)]
    num_class: Option<Cow<'a, str>>,
    #[serde(borrow)]
    num_target: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Objective<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Booster<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    model: Option<Gbtree<'a>>,
}

#[derive(Deserialize)]
struct Gbtree<'a> {
    #[serde(borrow)]
    gbtree_model_param: GbtreeParam<'a>,
    tree_info: Vec<i32>,
    trees: Vec<RawTree>,
}

#[derive(Deserialize)]
struct GbtreeParam<'a> {
    #[serde(borrow)]
    num_trees: Cow<'a, str>,
}

/// A tree as it stands in the file: one entry a node in every list but the `categories` ones.
#[derive(Deserialize)]
struct RawTree {
    id: Option<u64>,
    left_children: Vec<i32>,
    right_children: Vec<i32>,
    split_indices: Vec<u32>,
    /// Threshold of a numeric split, value of a leaf; without meaning at a categorical split.
    split_conditions: Vec<Option<f32>>,
    default_left: Vec<u8>,
    sum_hessian: Vec<f32>,
    loss_changes: Vec<f32>,
    /// 1 at a categorical split; absent in models without any.
    #[serde(default)]
    split_type: Vec<u8>,
    /// All category sets, one after the other; the other three lists have an entry per
    /// categorical split and cut this one into sets.
    #[serde(default)]
    categories: Vec<u32>,
    #[serde(default)]
    categories_nodes: Vec<u32>,
    #[serde(default)]
    categories_segments: Vec<usize>,
    #[serde(default)]
    categories_sizes: Vec<usize>,
}

/// Category codes of libxgboost are below this: above it not every integer is an f32.
const CATEGORY_LIMIT: u32 = 1 << 24;

impl RawTree {
    fn decode(&self, n_features: u32) -> Result<Tree, &'static str> {
        let n = self.left_children.len();
        let lengths = [
            self.right_children.len(),
            self.split_indices.len(),
            self.split_conditions.len(),
            self.default_left.len(),
            self.sum_hessian.len(),
            self.loss_changes.len(),
            if self.split_type.is_empty() { n } else { self.split_type.len() },
        ];
        if lengths.iter().any(|&length| length != n) {
            return Err("lists of different lengths");
        }
        let from_root = self.nodes_from_root()?;
        // Pruning leaves deleted nodes behind: the others move up, in their old order.
        let mut kept: Vec<usize> = from_root.clone();
        kept.sort_unstable();
        let mut position = vec![LEAF; n];
        for (new, &old) in kept.iter().enumerate() {
            position[old] = u32::try_from(new).map_err(|_| "too many nodes")?;
        }

        let mut categories = self.category_sets(&position)?;
        categories.sort_unstable_by_key(|&(node, _)| node);
        if categories.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err("two category sets for a node");
        }

        let mut tree = Tree { categories, ..Tree::default() };
        for &i in &kept {
            let is_leaf = self.left_children[i] == -1;
            if !is_leaf && self.split_indices[i] >= n_features {
                return Err("a feature that the model does not have");
            }
            let is_split_by_set = !is_leaf && self.is_categorical(i);
            let condition = if is_split_by_set { Some(0.0) } else { self.split_conditions[i] };
            let condition = condition.ok_or("a threshold or leaf value that is not a number")?;
            tree.feature.push(if is_leaf { 0 } else { self.split_indices[i] });
            tree.threshold.push(if is_leaf { 0.0 } else { condition });
            tree.left.push(child_position(self.left_children[i], &position));
            tree.right.push(child_position(self.right_children[i], &position));
            tree.default_left.push(!is_leaf && self.default_left[i] != 0);
            tree.value.push(if is_leaf { f64::from(condition) } else { 0.0 });
            tree.cover.push(self.sum_hessian[i]);
            tree.gain.push(if is_leaf { 0.0 } else { self.loss_changes[i] });
        }
        if tree.cover.iter().any(|&cover| cover < 0.0) {
            return Err("a negative cover");
        }
        // A parent comes before its children in `from_root`.
        for &i in from_root.iter().rev() {
            fill_mean_value(&mut tree, position[i] as usize);
        }
        Ok(tree)
    }

    fn is_categorical(&self, node: usize) -> bool {
        self.split_type.get(node) == Some(&1)
    }

    /// All nodes that the root leads to, a parent before its children.
    fn nodes_from_root(&self) -> Result<Vec<usize>, &'static str> {
        let n = self.left_children.len();
        if n == 0 {
            return Err("no nodes");
        }
        let (mut order, mut pending, mut seen) = (Vec::with_capacity(n), vec![0], vec![false; n]);
        while let Some(i) = pending.pop() {
            if std::mem::replace(&mut seen[i], true) {
                return Err("a node with two parents");
            }
            order.push(i);
            let children = (self.left_children[i], self.right_children[i]);
            if children == (-1, -1) {
                continue;
            }
            for child in [children.1, children.0] {
                let child = usize::try_from(child).ok().filter(|&child| child < n);
                pending.push(child.ok_or("a child that does not exist")?);
            }
        }
        Ok(order)
    }

    /// `(new position, ascending codes)` of every categorical split that is kept.
    fn category_sets(&self, position: &[u32]) -> Result<Vec<(u32, Vec<u32>)>, &'static str> {
        let n_sets = self.categories_nodes.len();
        if self.categories_segments.len() != n_sets || self.categories_sizes.len() != n_sets {
            return Err("lists of category sets of different lengths");
        }
        let mut sets = Vec::new();
        for (k, &node) in self.categories_nodes.iter().enumerate() {
            let node = node as usize;
            let start = self.categories_segments[k];
            let codes =
                start.checked_add(self.categories_sizes[k]).and_then(|end| self.categories.get(start..end));
            let mut codes = codes.ok_or("a category set out of bounds")?.to_vec();
            codes.sort_unstable();
            codes.dedup();
            if codes.last().is_none_or(|&largest| largest >= CATEGORY_LIMIT) {
                return Err("an empty category set or a code that is too large");
            }
            if !self.is_categorical(node) {
                return Err("a category set at a node that is no categorical split");
            }
            if position[node] != LEAF && self.left_children[node] != -1 {
                sets.push((position[node], codes));
            }
        }
        let n_splits = (0..position.len())
            .filter(|&i| position[i] != LEAF && self.is_categorical(i) && self.left_children[i] != -1);
        if n_splits.count() != sets.len() {
            return Err("a categorical split without a category set");
        }
        Ok(sets)
    }
}

fn child_position(child: i32, position: &[u32]) -> u32 {
    usize::try_from(child).map_or(LEAF, |child| position[child])
}

/// Sets the value of an inner node from those of its children.
fn fill_mean_value(tree: &mut Tree, node: usize) {
    if tree.is_leaf(node) {
        return;
    }
    let (left, right) = (tree.left[node] as usize, tree.right[node] as usize);
    let (left_cover, right_cover) = (f64::from(tree.cover[left]), f64::from(tree.cover[right]));
    let cover = left_cover + right_cover;
    let left_share = if cover > 0.0 { left_cover / cover } else { 0.5 };
    tree.value[node] = tree.value[left] * left_share + tree.value[right] * (1.0 - left_share);
}

#[cfg(test)]
mod tests;
