//! The whole service against real servers. One program, so that Postgres and MLflow start once.

mod architecture;
mod contract;
mod predicting;
mod support;
mod training;
