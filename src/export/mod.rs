//! Fitted models in the formats of other libraries: bytes in memory, made from the trees alone.
//!
//! Nothing is trained again and no Python runs: an [`Ensemble`](crate::forest::Ensemble) is put
//! into the state that a library would have after a fit of its own, and predicts the same there.
//!
//! | format | models | equal to our evaluator |
//! |---|---|---|
//! | [`sklearn`]: pickle of a scikit-learn estimator, 1.3 to 1.9 | random and isolation forest | to 1e-12 |
//! | [`onnx`]: graph of ONNX operators, opset 13 | all three families | to 1e-6 |
//!
//! XGBoost's own JSON comes from libxgboost itself, see [`crate::xgboost`].
//!
//! Pure by promise, as [`forest`](crate::forest): no IO, no async, no clock. The same model gives
//! the same bytes.

pub mod onnx;
pub mod pickle;
pub mod sklearn;

/// Why a model has no such form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// The ensemble's combination or link belongs to another family.
    #[error("the ensemble is no {0}")]
    Family(&'static str),
    /// scikit-learn's trees split by thresholds alone.
    #[error("tree {tree} splits by a set of categories, which scikit-learn's trees cannot")]
    CategoricalSplit {
        /// Position of the tree.
        tree: usize,
    },
    /// As many names as features are needed.
    #[error("{names} names for {features} features")]
    Names {
        /// Names given.
        names: usize,
        /// Features of the ensemble.
        features: usize,
    },
}
