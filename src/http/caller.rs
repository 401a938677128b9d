//! Who is asking, as a handler's argument: a handler that takes one can only stand behind a gate.

use axum::extract::FromRequestParts;
use http::request::Parts;
use uuid::Uuid;

use crate::{Error, Result, auth::Caller};

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    /// The caller that the gate verified.
    ///
    /// # Errors
    /// [`Error::NotAuthenticated`] on a public route.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        parts.extensions.get::<Self>().cloned().ok_or(Error::NotAuthenticated)
    }
}

/// A caller whose token names a tenant: the handler's tenant scope is open.
#[derive(Debug, Clone)]
pub struct Member(pub Caller);

impl<S: Sync> FromRequestParts<S> for Member {
    type Rejection = Error;

    /// # Errors
    /// [`Error::NoTenant`] for a platform user without one.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, state).await?;
        if caller.tenant.is_some() { Ok(Self(caller)) } else { Err(Error::NoTenant) }
    }
}

/// A [`Member`] with the administrator's role.
#[derive(Debug, Clone)]
pub struct Admin(pub Caller);

impl<S: Sync> FromRequestParts<S> for Admin {
    type Rejection = Error;

    /// # Errors
    /// [`Error::AdminRequired`] for a caller without that role, [`Error::NoTenant`] for one without a tenant.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let Member(caller) = Member::from_request_parts(parts, state).await?;
        if caller.is_admin() { Ok(Self(caller)) } else { Err(Error::AdminRequired) }
    }
}

/// Holds what a request names against the token. Tenants are compared as text: the claim in its
/// own spelling, the request's in the canonical one.
///
/// # Errors
/// [`Error::TenantMismatch`] for any other tenant, and for a caller whose claim names none.
pub(super) fn require_tenant(caller: &Caller, requested: Uuid) -> Result<()> {
    let same = caller.tenant.is_some() && requested.hyphenated().to_string() == caller.tenant_claim;
    if same { Ok(()) } else { Err(Error::TenantMismatch) }
}
