//! The tenant scope: the only way in which code below the HTTP layer learns on whose behalf it works.
//!
//! The middleware opens a scope from the verified token; background work opens one from the job
//! that it serves. Data access asks [`current`] and fails closed where no scope is open.

use uuid::Uuid;

use crate::{Error, Result};

tokio::task_local! {
    static TENANT: TenantId;
}

/// A tenant whose identity was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct TenantId(Uuid);

impl TenantId {
    /// From the `tenant_id` claim of a verified token. `None` unless the claim is a UUID in its
    /// canonical form (lower case, hyphens): the platform compares tenants as text.
    #[must_use]
    pub fn from_claim(claim: &str) -> Option<Self> {
        let id = Uuid::try_parse(claim).ok()?;
        (id.hyphenated().to_string() == claim).then_some(Self(id))
    }

    /// From a row or a command line that is trusted to name the tenant, such as a claimed job.
    #[must_use]
    pub fn trusted(id: Uuid) -> Self {
        Self(id)
    }

    /// The plain id, to be bound into a query or a path.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl std::fmt::Display for TenantId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Runs `work` on behalf of `tenant`. A task that `work` spawns needs a scope of its own.
pub async fn scope<F: Future>(tenant: TenantId, work: F) -> F::Output {
    TENANT.scope(tenant, work).await
}

/// The tenant of the scope that is open.
///
/// # Errors
/// [`Error::NoTenantScope`] outside a scope.
pub fn current() -> Result<TenantId> {
    TENANT.try_with(|tenant| *tenant).map_err(|_| Error::NoTenantScope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_a_tenant_only_in_canonical_form() {
        let canonical = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
        assert_eq!(TenantId::from_claim(canonical).map(|t| t.to_string()).as_deref(), Some(canonical));
        for other in ["AAAAAAAA-AAAA-AAAA-AAAA-AAAAAAAAAAAA", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "", "acme"]
        {
            assert_eq!(TenantId::from_claim(other), None, "{other:?}");
        }
    }

    #[tokio::test]
    async fn without_a_scope_there_is_no_tenant() {
        assert!(matches!(current(), Err(Error::NoTenantScope)));
        let tenant = TenantId::trusted(Uuid::nil());
        let (inside, spawned) = scope(tenant, async {
            (current().ok(), tokio::spawn(async { current().ok() }).await.ok().flatten())
        })
        .await;
        assert_eq!(inside, Some(tenant));
        assert_eq!(spawned, None, "a spawned task must not inherit a tenant by accident");
    }
}
