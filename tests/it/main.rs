//! The whole service against real servers. One program, so that Postgres and MLflow start once.

#![expect(unreachable_pub, missing_docs, reason = "a program, not a library")]

mod architecture;
mod contract;
mod predicting;
mod support;
mod training;
