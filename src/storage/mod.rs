//! Postgres: the pool, the schema, and the one door to tenant data.
//!
//! [`Database::tenant_transaction`] is that door. It takes the tenant from the open scope
//! ([`crate::auth::tenant`]), binds it for the transaction, and the row-level security of every
//! tenant table does the rest; there is no other way in this crate to run a statement on one, but for the
//! queues of background work ([`Worker`]).

mod config;
mod database;
pub mod doctor;
mod error;
pub mod imported_tables;
mod interval;
mod json;
pub mod login;
pub mod migrate;
mod patience;
pub mod prediction_log;
pub mod privileges;
pub mod query_login;
mod query_session;
pub mod records;
mod transaction;
mod worker;
mod worker_policies;

pub use config::{ConnectConfig, Login, PoolConfig, SslMode};
pub use database::Database;
pub(crate) use database::{ANSWER, in_time};
pub(crate) use error::exceeds_program_limit;
pub(crate) use interval::interval;
pub(crate) use json::{storable, storable_text};
pub use migrate::{MigrateReport, migrate};
pub use query_session::{QueryDatabase, QueryFailure, QueryLimits, QuerySession, ResultColumn};
pub use transaction::{TenantTransaction, WorkerTransaction};
pub use worker::Worker;
