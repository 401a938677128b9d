//! x
/// x
pub struct QueryConfig; /// x
pub struct QueryStats; /// x
pub struct Request; /// x
pub struct TenantQuery;
