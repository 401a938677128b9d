//! binah-ml: tenant-safe training and prediction of tree ensembles over HTTP.
//!
//! The flow, and the rooms it passes through in the order a request meets them:
//! request -> who is asking ([`auth`]) -> train ([`training`]) | predict ([`inference`])
//! -> rows ([`features`]) -> model ([`forest`], [`xgboost`]) -> versions ([`registry`])
//! -> MLflow ([`outbox`], [`tracking`]) -> response ([`http`]); versions later change through [`lifecycle`], and
//! [`schedule`] trains them again. `ARCHITECTURE.md`
//! walks through both. Beside it stands
//! [`import`], which brings a tenant's files in.

pub mod app;
pub mod auth;
pub mod catalog;
pub mod chart;
pub mod config;
pub mod dev;
pub mod error;
pub mod export;
pub mod features;
pub mod forest;
pub mod http;
pub mod import;
pub mod inference;
pub mod jobs;
pub mod lifecycle;
pub mod outbox;
pub mod registry;
pub mod schedule;
pub mod storage;
pub mod telemetry;
pub mod tls;
pub mod tracking;
pub mod training;
pub mod xgboost;

pub use error::{Error, Result};
