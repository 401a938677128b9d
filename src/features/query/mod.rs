//! `training_data_query`: a SELECT that the tenant wrote, run so that it reaches that tenant's rows only.
//!
//! Two layers, each of which stops every foreign row by itself (`tests/tenant_query`, corpus `tests/attacks/sql.tsv`):
//!
//! 1. [`CheckedQuery`] parses the text and writes a *new* one from the parts that it knows and
//!    allows: one SELECT, relations from a list, functions from a list (`functions.rs`), types from a
//!    list. What it does not know it refuses, with the place. The user's text never reaches Postgres.
//! 2. The database ([`crate::storage::query_login`]) shows the login of these queries a row only if the
//!    transaction carries the tenant under a signature that the service alone can make.
//!
//! What the first layer alone leaves open: an error (never a row) may come from a foreign row, since Postgres may
//! compute the query's conditions before ours. What the second alone leaves open: the catalog (names, sources of
//! functions, planner estimates, EXPLAIN). Both together leave the time that a query takes.
//!
//! [`TenantQuery`] runs the checked text inside limits of time, rows and bytes, straight into columns.
//!
//! ## One more function
//! Add its name to the list of its kind in `functions.rs`. It must be immutable or stable, must not
//! execute text, read anything but its arguments, return a set, or blow up its argument.

mod audit;
mod check;
mod failure;
mod functions;
mod policy;
mod refusal;
mod result;
mod run;

pub use check::{CheckedQuery, hash};
pub use policy::{Limits, Policy, Relation};
pub use refusal::Refusal;
pub use run::{QueryConfig, QueryStats, Request, TenantQuery};
