//! Ensembles as bytes.

pub mod native;
