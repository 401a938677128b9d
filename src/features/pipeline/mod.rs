//! From a source's table to the columns that a model takes: one place, one order. What a later row must
//! go through as well is kept with the model as its [`FeatureSchema`], whose `encode` is this pipeline
//! for one row; what is infinite is missing here, and refused there.
//!
//! 1. Names of categories lose the spaces around them, as a request's do; an empty one is missing.
//! 2. Infinite features become missing; rows without a target or any feature are left out (`rows`). What
//!    reading lost (`super::numbers`) is told with it.
//! 3. What nothing can be learnt from is refused (`checks`).
//! 4. The rows get their fingerprint ([`digest`]): all columns of the source, usable rows, in order.
//! 5. Columns that say nothing are left out with a note ([`redundant`]): no value, one value, a copy.
//! 6. [`FeatureSchema::of`] numbers the categories, and the columns become the matrix: no value is in memory
//!    twice ([`Examples`]).
//! 7. The matrix is summarised for drift later ([`profile`]) and searched for features that give the
//!    target away ([`leakage`]).

mod checks;
pub mod digest;
mod examples;
pub mod leakage;
mod moments;
pub mod profile;
pub mod redundant;
mod rows;

use super::{Column, FeatureSchema, FeatureTable};
use crate::{catalog::ModelType, error::MAX_FAULTS, error::Result};
pub use checks::MIN_ROWS;
use checks::Refuse;
pub use digest::RowsDigest;
pub use examples::Examples;
pub use profile::DataProfile;
pub use redundant::{Dropped, Redundancy};

/// Rows that can be learnt from.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The features, kept with the model.
    pub schema: FeatureSchema,
    /// The usable rows.
    pub features: Examples,
    /// Columns of the source that the model does without: an earlier model may need them to predict the same
    /// rows.
    pub left_out: Vec<Column>,
    /// One value a row; empty for an unsupervised model.
    pub target: Vec<f64>,
    /// Seconds since 1970, NaN where unknown; empty if the source has no times.
    pub observed_at: Vec<f64>,
    /// Rows of the source that were left out: no target, or no feature at all.
    pub dropped_rows: usize,
    /// What was changed or is suspicious, for the caller.
    pub warnings: Vec<String>,
    /// Fingerprint of the usable rows: all columns of the source, the target, the times.
    pub digest: RowsDigest,
    /// Summary of the features and the target, the reference for drift.
    pub profile: DataProfile,
}

impl Dataset {
    /// Checks the table and keeps its usable rows and columns. `source` is the request's field that the
    /// rows came from, for error locations; `target` is the column that is predicted. Works in parallel
    /// over columns on the current rayon pool; the result does not depend on its size.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for fewer than [`MIN_ROWS`] usable rows, for features none of
    /// which varies, a non-finite target, a target that does not vary or is too large to be fitted, or
    /// classes other than 0 and 1.
    pub fn new(
        mut table: FeatureTable,
        model_type: ModelType,
        source: Option<&str>,
        target: Option<&str>,
    ) -> Result<Self> {
        let refuse = Refuse::at(source);
        let target_name = target.unwrap_or_default();
        checks::refuse_names(&table, model_type.family, refuse)?;
        checks::refuse_infinite_target(&table.target, target_name, refuse)?;
        rows::clean_categories(&mut table, model_type);
        let mut warnings = std::mem::take(&mut table.warnings);
        warnings.extend(rows::blank_infinite(&mut table));
        let n_rows = table.n_rows;
        rows::retain_usable(&mut table);
        checks::refuse_too_few(&table, refuse)?;
        if let Some(spec) = model_type.target {
            checks::refuse_target(&table.target, target_name, spec.binary, refuse)?;
        }
        let (digest, fingerprints) = digest::of(&table);
        let (dropped, left_out) = redundant::drop_columns(&mut table, &fingerprints);
        if table.columns.is_empty() {
            return Err(checks::nothing_varies(&dropped, refuse));
        }
        warnings.extend(redundant::notes(&dropped));
        let mut schema = FeatureSchema::of(&table, model_type, target.map(str::to_owned));
        schema.dropped = dropped;
        let features = schema.matrix(table.columns);
        warnings.extend(leakage::warnings(&schema, &features, &table.target));
        let dropped_rows = n_rows - table.n_rows;
        Ok(Self {
            left_out,
            profile: DataProfile::of(&schema, &features, &table.target),
            features: Examples::new(features),
            schema,
            dropped_rows,
            warnings,
            digest,
            target: table.target,
            observed_at: table.observed_at,
        })
    }

    /// Number of usable rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.features.n_rows()
    }
}

/// `'a', 'b' and 3 more`: a wide table must not swell the answer.
fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(MAX_FAULTS);
    let named: Vec<_> = names.take(MAX_FAULTS).map(|name| format!("'{name}'")).collect();
    let named = named.join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

#[cfg(test)]
mod tests;
