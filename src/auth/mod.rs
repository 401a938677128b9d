//! Who is asking, and on whose behalf.

pub mod claims;
pub mod tenant;
pub mod token;

pub use claims::Caller;
pub use tenant::TenantId;
pub use token::{TokenConfig, Tokens};
