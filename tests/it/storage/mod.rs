//! Storage, registry, jobs and the Postgres source of features, against a real Postgres and as the
//! service's unprivileged login: a superuser would pass every policy.

pub(crate) mod doctor;
mod grants;
mod isolation;
mod migrations;
mod outage;
mod platform;
mod registry;
mod rows;
