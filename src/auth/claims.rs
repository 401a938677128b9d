//! The claims of a verified token, of both kinds that the platform issues.

use serde::Deserialize;
use serde_json::Value;

use crate::{Error, Result, auth::TenantId};

/// Who is asking: what a verified token says.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// `sub`, else `nameid`.
    pub user_id: String,
    /// The `tenant_id` claim as it stands in the token; empty for a platform user without tenant.
    pub tenant_claim: String,
    /// The tenant, if the claim names one; without it no tenant data can be reached.
    pub tenant: Option<TenantId>,
    /// `email`, or empty.
    pub email: String,
    /// All roles; `["user"]` if the token names none.
    pub roles: Vec<String>,
}

impl Caller {
    /// The main role: the first of the token.
    #[must_use]
    pub fn role(&self) -> &str {
        self.roles.first().map_or("user", String::as_str)
    }

    /// Whether the caller may change what other users of the tenant see (aliases, schedules).
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.roles.iter().any(|role| role.eq_ignore_ascii_case("admin"))
    }
}

/// The claims as they stand in a token. Signature, issuer, audience and times are checked before.
#[derive(Deserialize)]
pub(super) struct Claims {
    sub: Option<String>,
    nameid: Option<String>,
    tenant_id: Option<String>,
    email: Option<String>,
    role: Option<Value>,
    /// The hash of an access token that is not there to compare with.
    at_hash: Option<Value>,
    exp: Value,
    nbf: Option<Value>,
}

/// 9999-12-31T23:59:59Z; what lies behind it is no time.
const LATEST_TIME: f64 = 253_402_300_799.0;

impl Claims {
    pub(super) fn into_caller(self) -> Result<Caller> {
        let is_time = |value: &Value| value.as_f64().is_some_and(|seconds| seconds <= LATEST_TIME);
        if self.at_hash.is_some() || !is_time(&self.exp) || self.nbf.is_some_and(|nbf| !is_time(&nbf)) {
            return Err(Error::InvalidToken);
        }
        let user_id = self.sub.or(self.nameid).filter(|id| !id.is_empty()).ok_or(Error::InvalidToken)?;
        let tenant_claim = self.tenant_id.ok_or(Error::InvalidToken)?;
        Ok(Caller {
            user_id,
            tenant: TenantId::from_claim(&tenant_claim),
            tenant_claim,
            email: self.email.unwrap_or_default(),
            roles: roles(self.role)?,
        })
    }
}

/// A role is a string or, for several, an array of strings.
fn roles(claim: Option<Value>) -> Result<Vec<String>> {
    let roles = match claim {
        None | Some(Value::Null) => vec![],
        Some(Value::String(role)) => vec![role],
        Some(Value::Array(roles)) => roles
            .into_iter()
            .map(|role| if let Value::String(role) = role { Ok(role) } else { Err(Error::InvalidToken) })
            .collect::<Result<_>>()?,
        Some(_) => return Err(Error::InvalidToken),
    };
    Ok(if roles.is_empty() { vec!["user".to_owned()] } else { roles })
}
