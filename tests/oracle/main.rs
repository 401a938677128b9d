//! Our trees beside scikit-learn's and XGBoost's own, our curves beside scikit-learn's, our profile beside
//! pandas', on the same rows.
//!
//! Figures are printed with `cargo test --test oracle -- --nocapture`.

#![expect(unreachable_pub, reason = "a program, not a library")]
#![expect(clippy::print_stdout, reason = "figures for whoever runs the oracle")]

mod curves;
mod export;
mod forest;
mod profile;
#[path = "../python/mod.rs"]
mod python;
mod xgboost;
