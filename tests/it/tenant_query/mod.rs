//! The tenant's own SELECT against a real Postgres: what it does, and what it cannot be made to do.

#![expect(clippy::print_stdout, reason = "the figures are part of what these tests are for")]

mod attacks;
mod fuzz;
mod grammar;
mod runner;
mod training;
mod wall;
pub(crate) mod world;
