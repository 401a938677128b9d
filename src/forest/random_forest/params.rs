//! Hyperparameters of the random forest, by scikit-learn's names and defaults.

use super::super::fit::{Checked, ParamError};

/// Hyperparameters; [`check`](Self::check) turns them into what [`fit`](super::fit) takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomForestParams {
    /// Number of trees, 1 to 10,000.
    pub n_estimators: u32,
    /// Greatest depth of a leaf (the root has depth 0), at least 1; none: no limit.
    pub max_depth: Option<u32>,
    /// Distinct in-bag rows that a node needs to be split, at least 2.
    pub min_samples_split: u32,
    /// Distinct in-bag rows that each child must keep, at least 1.
    pub min_samples_leaf: u32,
    /// Features drawn at each node.
    pub max_features: MaxFeatures,
    /// Whether each tree sees as many rows as there are, drawn with replacement; else all rows.
    pub bootstrap: bool,
    /// How much a row of each class counts.
    pub class_weight: ClassWeight,
}

/// Number of features drawn at each node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxFeatures {
    /// Square root of the number of features, rounded down.
    Sqrt,
    /// Binary logarithm of the number of features, rounded down.
    Log2,
    /// All features.
    All,
    /// So many, at least 1; more than there are means all.
    Count(u32),
}

/// Weight of the classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassWeight {
    /// Every row counts 1.
    Uniform,
    /// A row counts `n_rows / (2 * rows of its class)`, over the whole training table.
    Balanced,
}

impl Default for RandomForestParams {
    /// scikit-learn's defaults: 100 trees without depth limit, square root of the features.
    fn default() -> Self {
        Self {
            n_estimators: 100,
            max_depth: None,
            min_samples_split: 2,
            min_samples_leaf: 1,
            max_features: MaxFeatures::Sqrt,
            bootstrap: true,
            class_weight: ClassWeight::Uniform,
        }
    }
}

impl RandomForestParams {
    /// Vouches for the parameters.
    ///
    /// # Errors
    /// [`ParamError`] names the first one out of range.
    pub fn check(self) -> Result<Checked<Self>, ParamError> {
        let n = self.n_estimators;
        ParamError::require((1..=10_000).contains(&n), "n_estimators", "1 to 10000", n)?;
        let depth = self.max_depth.unwrap_or(1);
        ParamError::require(depth >= 1, "max_depth", "at least 1", depth)?;
        ParamError::require(
            self.min_samples_split >= 2,
            "min_samples_split",
            "at least 2",
            self.min_samples_split,
        )?;
        ParamError::require(
            self.min_samples_leaf >= 1,
            "min_samples_leaf",
            "at least 1",
            self.min_samples_leaf,
        )?;
        let count = if let MaxFeatures::Count(count) = self.max_features { count } else { 1 };
        ParamError::require(count >= 1, "max_features", "at least 1", count)?;
        Ok(Checked::new(self))
    }
}

impl MaxFeatures {
    /// The number for a table of `n_features`, in `1..=n_features`.
    #[must_use]
    pub fn resolve(self, n_features: usize) -> usize {
        let wanted = match self {
            Self::Sqrt => n_features.isqrt(),
            Self::Log2 => n_features.checked_ilog2().unwrap_or(0) as usize,
            Self::All => n_features,
            Self::Count(count) => count as usize,
        };
        wanted.clamp(1, n_features)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_has_its_range() {
        let sound = RandomForestParams::default();
        assert!(sound.check().is_ok());
        let refused = |params: RandomForestParams| params.check().expect_err("out of range").parameter;
        assert_eq!(refused(RandomForestParams { n_estimators: 0, ..sound }), "n_estimators");
        assert_eq!(refused(RandomForestParams { max_depth: Some(0), ..sound }), "max_depth");
        assert_eq!(refused(RandomForestParams { min_samples_split: 1, ..sound }), "min_samples_split");
        assert_eq!(refused(RandomForestParams { min_samples_leaf: 0, ..sound }), "min_samples_leaf");
        assert_eq!(
            refused(RandomForestParams { max_features: MaxFeatures::Count(0), ..sound }),
            "max_features"
        );
    }

    #[test]
    fn feature_counts_round_down_and_stay_in_range() {
        assert_eq!(MaxFeatures::Sqrt.resolve(5), 2);
        assert_eq!(MaxFeatures::Log2.resolve(9), 3);
        assert_eq!(MaxFeatures::Log2.resolve(1), 1);
        assert_eq!(MaxFeatures::All.resolve(7), 7);
        assert_eq!(MaxFeatures::Count(99).resolve(7), 7);
    }
}
