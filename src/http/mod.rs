//! The only room that knows HTTP: routes on one page ([`routes`]), one handler a file, one file
//! that knows status codes ([`error`]).
//!
//! A request passes, from the outside in: the path's canonical form, the request id with its log
//! line and metrics, CORS, the panic barrier, the route's gate (method, then token, then the tenant
//! scope), the extractors, the handler.

pub mod caller;
pub mod cors;
pub mod error;
pub mod observe;
pub mod openapi;
pub mod routes;
pub mod server;
pub mod state;

mod body;
mod gate;
mod handlers;
mod parameters;
mod path;
mod streams;
mod timestamp;

pub use caller::{Admin, Member};
pub use cors::AllowedOrigins;
pub use routes::router;
pub use server::{Leave, serve};
pub use state::{AppState, HttpConfig, Readiness, Services};
pub use streams::Streams;

/// Version of the HTTP contract, which the platform's clients know; the crate's own is higher.
pub const API_VERSION: &str = "0.2.0";

/// Name of the service in answers and metrics.
pub const SERVICE: &str = "binah-ml";

#[cfg(test)]
mod tests;
