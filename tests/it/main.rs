//! The service and its rooms against real servers. One program, so that Postgres, MLflow
//! and Neo4j start once.

#![expect(unreachable_pub, reason = "a program, not a library")]

mod architecture;
mod canary;
mod chaos;
mod contract;
mod graph;
mod importing;
mod jobs;
mod memory;
mod models;
mod notebook;
mod predicting;
mod process;
#[path = "../python/mod.rs"]
mod python;
mod queue;
mod run_report;
mod schedule;
mod storage;
mod support;
mod tenant_query;
mod tracking;
mod training;
mod values;
