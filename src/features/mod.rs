//! Rows as typed columns: where training data and a prediction's input become numbers.

pub mod inline;
pub mod join;
pub mod neo4j;
mod numbers;
pub mod pipeline;
pub mod postgres;
pub mod query;
pub mod schema;
pub mod table;

pub use pipeline::Dataset;
pub use schema::{Feature, FeatureKind, FeatureSchema};
pub use table::{Column, ColumnValues, FeatureTable};
