//! The service and its rooms against real servers. One program, so that Postgres and MLflow start
//! once.

#![expect(unreachable_pub, reason = "a program, not a library")]

mod architecture;
mod canary;
mod contract;
mod importing;
mod predicting;
mod process;
#[path = "../python/mod.rs"]
mod python;
mod storage;
mod support;
mod tenant_query;
mod tracking;
mod training;
