//! The memory that trainings may take together. A training reserves what it is expected to need before it reads a row, and
//! waits for its share; one that cannot fit at all fails with the number that it would take, instead of taking
//! the process, and everybody's trainings with it.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    catalog::{Family, Hyperparameters, ModelType},
    error::{Error, FieldError, Result},
};

/// What is counted: a mebibyte.
const UNIT: u64 = 1 << 20;

/// Of the smallest training: buffers, pictures, the run's files.
const BASE: u64 = 32 * UNIT;
/// Of a row, beside its values: target, time, entity, gradients, predictions.
const ROW: u64 = 96;
/// Of a value: in the table, in the matrix, among the training rows, among those held out; f32 each.
const VALUE: u64 = 16;
/// Of a value in libxgboost: an entry of the matrix (8) and its bin (up to 4).
const VALUE_BOOSTING: u64 = 12;
/// Of a value in our forests: its bin, and the sorted copy that binning makes.
const VALUE_FOREST: u64 = 8;
/// Of a value that came as JSON: its key and its place in a map.
const VALUE_INLINE: u64 = 160;
/// Of a node: in the ensemble, in the evaluator, and in the forms that MLflow keeps, most of them text.
const NODE: u64 = 250;

/// Rows and columns that a training reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Size {
    /// As far as it is known.
    pub(super) rows: u64,
    /// Features.
    pub(super) columns: u64,
    /// Whether the rows came with the request.
    pub(super) inline: bool,
}

/// About the most memory that a training of that size takes at once, in bytes. An estimate from the sizes
/// above, on the safe side.
pub(super) fn peak_bytes(family: Family, params: &Hyperparameters, size: Size) -> u64 {
    let of_fit = match family {
        Family::BoostedRegression => VALUE_BOOSTING,
        Family::RandomForest | Family::IsolationForest => VALUE_FOREST,
    };
    let of_value = VALUE + of_fit + if size.inline { VALUE_INLINE } else { 0 };
    let nodes = super::fit::most_nodes(family, params, size.rows as usize);
    let values = size.rows.saturating_mul(size.columns).saturating_mul(of_value);
    BASE.saturating_add(values)
        .saturating_add(size.rows.saturating_mul(ROW))
        .saturating_add((nodes * NODE as f64) as u64)
}

/// The budget of one process, given out in the order of asking: a large training is not passed by
/// small ones for ever.
#[derive(Debug, Clone)]
pub(super) struct MemoryBudget {
    units: Arc<Semaphore>,
    total: u32,
}

/// A share of the budget; given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: MemoryBudget,
    held: OwnedSemaphorePermit,
}

impl MemoryBudget {
    /// A budget of so many bytes, rounded down to whole mebibytes, at least one.
    pub(super) fn new(bytes: u64) -> Self {
        let total = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).max(1);
        Self { units: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits for `bytes`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the whole budget is smaller.
    pub(super) async fn reserve(&self, bytes: u64, model_type: ModelType) -> Result<Reservation> {
        let units = self.fits(bytes, model_type)?;
        tracing::debug!(megabytes = units, "memory to reserve");
        let held = Arc::clone(&self.units).acquire_many_owned(units).await.map_err(Error::internal)?;
        Ok(Reservation { budget: self.clone(), held })
    }

    /// Mebibytes, if the budget has as many.
    fn fits(&self, bytes: u64, model_type: ModelType) -> Result<u32> {
        match u32::try_from(bytes.div_ceil(UNIT)) {
            Ok(units) if units <= self.total => Ok(units),
            _ => {
                let needed = bytes.div_ceil(UNIT);
                let msg = format!(
                    "This training would take about {needed} MB of memory, more than the {} MB that trainings have \
                     here; send fewer rows or columns, or ask for fewer or shallower trees",
                    self.total
                );
                let error =
                    FieldError::body("training_too_large", ["model_type"], msg, json!(model_type.name));
                Err(Error::invalid(error.with_ctx(json!({"needed_mb": needed, "limit_mb": self.total}))))
            }
        }
    }
}

impl Reservation {
    /// Makes it `bytes` in all, now that the rows are there and are more than was expected. They are in memory already, so
    /// it does not wait: what is not free is overdrawn, and others wait the longer.
    ///
    /// # Errors
    /// As [`MemoryBudget::reserve`].
    pub(super) fn grow(&mut self, bytes: u64, model_type: ModelType) -> Result<()> {
        let units = self.budget.fits(bytes, model_type)?;
        tracing::debug!(megabytes = units, "memory to reserve");
        let more = (units as usize).saturating_sub(self.held.num_permits());
        let free = self.budget.units.available_permits().min(more);
        let free = u32::try_from(free).unwrap_or(u32::MAX);
        if let Ok(taken) = Arc::clone(&self.budget.units).try_acquire_many_owned(free) {
            self.held.merge(taken);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost() -> ModelType {
        ModelType::parse("cost_forecasting").expect("a type")
    }

    #[test]
    fn more_rows_columns_and_trees_take_more() {
        let params = |changes: serde_json::Value| {
            let changes = changes.as_object().expect("an object");
            Hyperparameters::check(cost(), "hyperparameters", changes).expect("valid")
        };
        let small = Size { rows: 1_000, columns: 5, inline: false };
        let bytes = |params: &Hyperparameters, size| peak_bytes(cost().family, params, size);
        let default = params(json!({}));
        let least = bytes(&default, small);
        assert!(least > BASE && least < 2 * BASE, "{least}");
        for more in [
            bytes(&default, Size { rows: 1_000_000, ..small }),
            bytes(&default, Size { columns: 500, ..small }),
            bytes(&default, Size { inline: true, ..small }),
            bytes(&params(json!({"n_estimators": 5_000})), small),
        ] {
            assert!(more > least, "{more}");
        }
        assert_eq!(bytes(&default, Size { rows: u64::MAX, columns: 5, inline: true }), u64::MAX);
    }

    #[tokio::test]
    async fn trainings_wait_for_their_share_in_the_order_of_asking() {
        let budget = MemoryBudget::new(10 * UNIT);
        let first = budget.reserve(6 * UNIT, cost()).await.expect("fits");
        let mut large = std::pin::pin!(budget.reserve(9 * UNIT, cost()));
        assert!(futures::poll!(&mut large).is_pending());
        let mut small = std::pin::pin!(budget.reserve(1, cost()));
        assert!(futures::poll!(&mut small).is_pending(), "it asked later, though it would fit");
        drop(first);
        let _large = large.await.expect("fits");
        small.await.expect("fits");
    }

    #[tokio::test]
    async fn what_can_never_fit_is_told_its_size() {
        let budget = MemoryBudget::new(10 * UNIT);
        let mut reserved = budget.reserve(UNIT, cost()).await.expect("fits");
        for refused in
            [budget.reserve(10 * UNIT + 1, cost()).await.map(|_| ()), reserved.grow(u64::MAX, cost())]
        {
            let Err(Error::Invalid(faults)) = refused else { panic!("must be refused") };
            assert_eq!(
                (&*faults[0].kind, &faults[0].ctx.as_ref().expect("numbers")["limit_mb"]),
                ("training_too_large", &json!(10))
            );
        }
    }

    #[tokio::test]
    async fn rows_that_are_more_than_expected_overdraw() {
        let budget = MemoryBudget::new(10 * UNIT);
        let other = budget.reserve(6 * UNIT, cost()).await.expect("fits");
        let mut grown = budget.reserve(2 * UNIT, cost()).await.expect("fits");
        grown.grow(8 * UNIT, cost()).expect("it is in memory already");
        assert_eq!(budget.units.available_permits(), 0);
        drop(other);
        assert_eq!(budget.units.available_permits(), 6, "the overdraft is not given back twice");
        drop(grown);
        assert_eq!(budget.units.available_permits(), 10);
    }
}
