//! Verifying the platform's tokens, and minting them for tests and demos.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::claims::{Caller, Claims};
use crate::{Error, Result};

/// What a token must be signed with and name.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// HS256 key.
    pub secret: SecretString,
    /// Required `iss`.
    pub issuer: String,
    /// Required `aud`.
    pub audience: String,
}

/// Verifies and mints tokens with one key.
pub struct Tokens {
    config: TokenConfig,
    key: DecodingKey,
    validation: Validation,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What a minted token says.
#[derive(Debug, Clone)]
pub struct NewToken<'a> {
    /// `sub`.
    pub user_id: &'a str,
    /// `tenant_id`.
    pub tenant_id: &'a str,
    /// `email`.
    pub email: &'a str,
    /// `role`.
    pub role: &'a str,
    /// Lifetime in seconds from now; negative for a token that has already expired.
    pub expires_in: i64,
}

impl Tokens {
    /// Pins the algorithm to HS256 and requires `exp`, `iss` and `aud`.
    #[must_use]
    pub fn new(config: TokenConfig) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.set_issuer(&[&config.issuer]);
        validation.set_audience(&[&config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        let key = DecodingKey::from_secret(config.secret.expose_secret().as_bytes());
        Self { config, key, validation }
    }

    /// The caller that the value of an `Authorization` header names. About 2 us.
    ///
    /// # Errors
    /// [`Error::NotAuthenticated`] without a token, [`Error::NotBearer`] for another scheme,
    /// [`Error::InvalidToken`] for a token that does not verify.
    pub fn authenticate(&self, authorization: Option<&[u8]>) -> Result<Caller> {
        let header = authorization.unwrap_or_default();
        let space = header.iter().position(|&byte| byte == b' ').unwrap_or(header.len());
        let (scheme, token) = (&header[..space], header.get(space + 1..).unwrap_or_default());
        if scheme.is_empty() || token.is_empty() {
            return Err(Error::NotAuthenticated);
        }
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            return Err(Error::NotBearer);
        }
        self.verify(std::str::from_utf8(token).map_err(|_| Error::InvalidToken)?)
    }

    fn verify(&self, token: &str) -> Result<Caller> {
        // The platform's verifier decodes base64 with or without padding.
        let token = token.trim_end_matches('=');
        let verified =
            decode::<Claims>(token, &self.key, &self.validation).map_err(|_| Error::InvalidToken)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(Error::internal)?;
        verified.claims.into_caller(now.as_secs_f64())
    }

    /// A signed token.
    ///
    /// # Errors
    /// If the system clock stands before 1970 or signing fails.
    pub fn mint(&self, new: &NewToken<'_>) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(Error::internal)?;
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let claims = json!({
            "sub": new.user_id,
            "tenant_id": new.tenant_id,
            "email": new.email,
            "role": new.role,
            "iss": self.config.issuer,
            "aud": self.config.audience,
            "iat": seconds(now),
            "exp": seconds(now).saturating_add(new.expires_in),
        });
        let key = EncodingKey::from_secret(self.config.secret.expose_secret().as_bytes());
        encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests;
