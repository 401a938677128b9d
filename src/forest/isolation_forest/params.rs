//! Hyperparameters of the isolation forest, by scikit-learn's names and defaults.

use super::super::fit::{Checked, ParamError};

/// Hyperparameters; [`check`](Self::check) turns them into what [`fit`](super::fit) takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IsolationForestParams {
    /// Number of trees, 1 to 10,000.
    pub n_estimators: u32,
    /// Rows that each tree sees, drawn without replacement.
    pub max_samples: MaxSamples,
    /// Share of anomalies among the training rows; decides the offset, not the scores.
    pub contamination: Contamination,
}

/// Rows that each tree sees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxSamples {
    /// 256, or all rows when there are fewer.
    Auto,
    /// So many, at least 1, or all rows when there are fewer.
    Count(u32),
    /// A share of the rows in `(0, 1]`, rounded down, at least one row.
    Fraction(f64),
}

/// Where anomalies begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Contamination {
    /// Score -0.5, as in the paper.
    Auto,
    /// The score that this share of the training rows, in `(0, 0.5]`, lies below.
    Fraction(f64),
}

impl Default for IsolationForestParams {
    /// scikit-learn's defaults: 100 trees, both others automatic.
    fn default() -> Self {
        Self { n_estimators: 100, max_samples: MaxSamples::Auto, contamination: Contamination::Auto }
    }
}

impl IsolationForestParams {
    /// Vouches for the parameters.
    ///
    /// # Errors
    /// [`ParamError`] names the first one out of range.
    pub fn check(self) -> Result<Checked<Self>, ParamError> {
        let n = self.n_estimators;
        ParamError::require((1..=10_000).contains(&n), "n_estimators", "1 to 10000", n)?;
        let requirement = "a count of at least 1 or a fraction above 0 and at most 1";
        match self.max_samples {
            MaxSamples::Auto => {}
            MaxSamples::Count(count) => ParamError::require(count >= 1, "max_samples", requirement, count)?,
            MaxSamples::Fraction(share) => {
                ParamError::require(share > 0.0 && share <= 1.0, "max_samples", requirement, share)?;
            }
        }
        if let Contamination::Fraction(share) = self.contamination {
            ParamError::require(
                share > 0.0 && share <= 0.5,
                "contamination",
                "above 0 and at most 0.5",
                share,
            )?;
        }
        Ok(Checked::new(self))
    }
}

impl MaxSamples {
    /// The number for a table of `n_rows`, in `1..=n_rows`.
    #[must_use]
    pub fn resolve(self, n_rows: usize) -> usize {
        let wanted = match self {
            Self::Auto => 256,
            Self::Count(count) => count as usize,
            Self::Fraction(share) => (share * n_rows as f64) as usize,
        };
        wanted.clamp(1, n_rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_has_its_range() {
        let sound = IsolationForestParams::default();
        assert!(sound.check().is_ok());
        let refused = |params: IsolationForestParams| params.check().expect_err("out of range").parameter;
        assert_eq!(refused(IsolationForestParams { n_estimators: 0, ..sound }), "n_estimators");
        for max_samples in [MaxSamples::Count(0), MaxSamples::Fraction(0.0), MaxSamples::Fraction(f64::NAN)] {
            assert_eq!(refused(IsolationForestParams { max_samples, ..sound }), "max_samples");
        }
        let contamination = Contamination::Fraction(0.51);
        assert_eq!(refused(IsolationForestParams { contamination, ..sound }), "contamination");
    }

    #[test]
    fn sample_sizes_stay_in_range() {
        assert_eq!(MaxSamples::Auto.resolve(1_000), 256);
        assert_eq!(MaxSamples::Auto.resolve(100), 100);
        assert_eq!(MaxSamples::Fraction(0.25).resolve(1_000), 250);
        assert_eq!(MaxSamples::Fraction(0.001).resolve(10), 1);
        assert_eq!(MaxSamples::Count(500).resolve(10), 10);
    }
}
