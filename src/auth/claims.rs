//! The claims of a verified token, of both kinds that the platform issues.

use serde::{Deserialize, Deserializer};
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
    /// `email` as it stands in the token; an empty text without one.
    pub email: Value,
    /// `role` as it stands in the token, a text or a list of them; `"user"` without one.
    pub role: Value,
    /// The texts in `role`; `["user"]` if there is none.
    pub roles: Vec<String>,
    /// `exp`: until when the token holds, in seconds since 1970.
    pub expires_at: f64,
}

impl Caller {
    /// Whether the caller may change what other users of the tenant see (aliases, schedules).
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.roles.iter().any(|role| role.eq_ignore_ascii_case("admin"))
    }
}

/// The claims as they stand in a token. Signature, issuer, audience and `exp` are checked before.
#[derive(Deserialize)]
pub(super) struct Claims {
    sub: Option<String>,
    nameid: Option<Value>,
    tenant_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    email: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    role: Option<Value>,
    /// The hash of an access token that is not there to compare with.
    #[serde(default, deserialize_with = "present")]
    at_hash: Option<Value>,
    exp: Value,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    iat: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    jti: Option<Value>,
    /// One issuer: the check before would find ours in a list too.
    #[serde(rename = "iss")]
    _issuer: String,
}

/// A claim that is there, be it null.
fn present<'de, D: Deserializer<'de>>(claim: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(claim).map(Some)
}

/// 9999-12-31T23:59:59Z; what lies behind it is no time.
const LATEST_TIME: f64 = 253_402_300_799.0;

/// Clock difference in seconds, between us and who issued a token, that is forgiven.
const CLOCK_DIFFERENCE: f64 = 5.0;

impl Claims {
    /// The rest of the platform's rules. `now`: seconds since 1970.
    pub(super) fn into_caller(self, now: f64) -> Result<Caller> {
        let expires_at = self.exp.as_f64().filter(|&exp| exp <= LATEST_TIME).ok_or(Error::InvalidToken)?;
        let times_hold =
            self.nbf.is_none_or(|nbf| seconds(&nbf).is_some_and(|nbf| nbf <= now + CLOCK_DIFFERENCE))
                && self.iat.is_none_or(|iat| seconds(&iat).is_some());
        if !times_hold || self.at_hash.is_some() || self.jti.is_some_and(|jti| !jti.is_string()) {
            return Err(Error::InvalidToken);
        }
        let nameid = self.nameid.as_ref().and_then(Value::as_str).map(str::to_owned);
        let user_id = self.sub.or(nameid).ok_or(Error::InvalidToken)?;
        let tenant_claim = self.tenant_id.ok_or(Error::InvalidToken)?;
        let role = self.role.unwrap_or_else(|| "user".into());
        Ok(Caller {
            user_id,
            tenant: TenantId::from_claim(&tenant_claim),
            tenant_claim,
            email: self.email.unwrap_or_else(|| "".into()),
            roles: roles(&role),
            role,
            expires_at,
        })
    }
}

/// A time as the platform's verifier reads it: a number, or the text of a whole one.
fn seconds(claim: &Value) -> Option<f64> {
    match claim {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse::<i64>().ok().and_then(|_| text.trim().parse().ok()),
        _ => None,
    }
}

/// A role is a string or, for several, an array of strings; what is no string gives no rights.
fn roles(claim: &Value) -> Vec<String> {
    let claims = claim.as_array().map_or(std::slice::from_ref(claim), Vec::as_slice);
    let roles: Vec<_> = claims.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if roles.is_empty() { vec!["user".to_owned()] } else { roles }
}
