//! The nodes of all trees in one array, in the order in which walks touch them.

use std::collections::{HashMap, VecDeque};

use super::super::ensemble::Tree;
use super::super::order::order_key;
use super::super::routing::Split;
use super::keys::{MISSING_RIGHT, Slot, UNREACHABLE};

/// Levels between two looks at whether every lane has arrived; trees that are no deeper are never
/// looked at.
const LEVELS_PER_LOOK: u32 = 8;

/// All trees, level by level, siblings adjacent.
#[derive(Debug, Clone)]
pub(super) struct Forest {
    /// Keys that a row must be turned into.
    pub(super) slots: Vec<Slot>,
    /// One a tree, in the ensemble's order.
    pub(super) roots: Vec<Root>,
    nodes: Vec<Node>,
    /// Leaf values by node; 0 at inner nodes.
    values: Vec<f64>,
    /// Ascending category codes that go right; empty when no split is categorical.
    categories: Vec<Box<[u32]>>,
}

/// Where a tree starts, and the number of steps to its deepest leaf.
#[derive(Debug, Clone, Copy)]
pub(super) struct Root {
    pub(super) node: u32,
    pub(super) depth: u32,
}

/// 12 bytes, five to a cache line.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// A row goes right when its key is not below. At a categorical node, where its slot says so,
    /// an index into [`Forest::categories`].
    key: i32,
    slot: u32,
    /// Left child, the right one is next to it; a leaf's is itself, and its key is unreachable.
    child: u32,
}

impl Forest {
    /// The trees must be valid.
    pub(super) fn new(trees: &[Tree]) -> Self {
        let n_nodes = trees.iter().map(Tree::len).sum();
        let mut forest = Self {
            slots: Vec::new(),
            roots: Vec::with_capacity(trees.len()),
            nodes: Vec::with_capacity(n_nodes),
            values: Vec::with_capacity(n_nodes),
            categories: Vec::new(),
        };
        let mut slot_index = HashMap::new();
        for tree in trees {
            forest.push_tree(tree, &mut slot_index);
        }
        forest
    }

    fn push_tree(&mut self, tree: &Tree, slot_index: &mut HashMap<Slot, u32>) {
        let root = self.push_leaf();
        let mut depth = 0;
        let mut pending = VecDeque::from([(0, root, 0)]);
        while let Some((source, target, level)) = pending.pop_front() {
            depth = level;
            if tree.is_leaf(source) {
                self.values[target as usize] = tree.value[source];
                continue;
            }
            let child = self.push_leaf();
            self.push_leaf();
            let split = tree.split(source);
            let slot = Slot {
                feature: tree.feature[source],
                default_left: tree.default_left[source],
                categorical: matches!(split, Split::Categories(_)),
            };
            let slots = &mut self.slots;
            let slot = *slot_index.entry(slot).or_insert_with(|| {
                slots.push(slot);
                slots.len() as u32 - 1
            });
            let key = match split {
                Split::Threshold(threshold) => order_key(threshold),
                Split::Categories(codes) => {
                    self.categories.push(codes.into());
                    self.categories.len() as i32 - 1
                }
            };
            self.nodes[target as usize] = Node { key, slot, child };
            pending.push_back((tree.left[source] as usize, child, level + 1));
            pending.push_back((tree.right[source] as usize, child + 1, level + 1));
        }
        self.roots.push(Root { node: root, depth });
    }

    fn push_leaf(&mut self) -> u32 {
        let index = self.nodes.len() as u32; // validation bounds the number of nodes
        self.nodes.push(Node { key: UNREACHABLE, slot: 0, child: index });
        self.values.push(0.0);
        index
    }

    pub(super) fn has_categories(&self) -> bool {
        !self.categories.is_empty()
    }

    /// Upper bound of the steps that one row costs.
    pub(super) fn steps_per_row(&self) -> usize {
        self.roots.iter().map(|root| root.depth as usize).sum()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
            + self.roots.capacity() * size_of::<Root>()
            + self.nodes.capacity() * size_of::<Node>()
            + self.values.capacity() * size_of::<f64>()
            + self.categories.capacity() * size_of::<Box<[u32]>>()
            + self.categories.iter().map(|codes| size_of_val(&**codes)).sum::<usize>()
    }

    pub(super) fn value(&self, leaf: u32) -> f64 {
        self.values[leaf as usize]
    }

    /// Moves every lane from its root to its leaf, at most `depth` steps down.
    ///
    /// `key_of(slot, lane)` is the row's key that a lane compares.
    #[inline(always)]
    pub(super) fn descend<const LANES: usize, const CATEGORIES: bool>(
        &self,
        at: &mut [u32; LANES],
        depth: u32,
        key_of: impl Fn(usize, usize) -> i32,
    ) {
        let mut remaining = depth;
        loop {
            for _ in 0..remaining.min(LEVELS_PER_LOOK) {
                for (lane, at) in at.iter_mut().enumerate() {
                    let node = self.nodes[*at as usize];
                    let key = key_of(node.slot as usize, lane);
                    let right = if CATEGORIES { self.goes_right(node, key) } else { key >= node.key };
                    *at = node.child + u32::from(right);
                }
            }
            remaining = remaining.saturating_sub(LEVELS_PER_LOOK);
            if remaining == 0 || at.iter().all(|&i| self.nodes[i as usize].child == i) {
                return;
            }
        }
    }

    fn goes_right(&self, node: Node, key: i32) -> bool {
        let categorical = self.slots[node.slot as usize].categorical && node.key != UNREACHABLE;
        if !categorical {
            return key >= node.key;
        }
        let codes = &self.categories[node.key as usize];
        key == MISSING_RIGHT || u32::try_from(key).is_ok_and(|code| codes.binary_search(&code).is_ok())
    }
}
