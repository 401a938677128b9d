//! `binah-ml token`: tokens for tests and for trying the service out.

use std::io::Write;

use binah_ml::{
    auth::{Tokens, token::NewToken},
    config::Config,
    error::BoxError,
};
use clap::Args;

/// The two tenants of the sample data.
pub(crate) const TENANT_A: &str = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
pub(crate) const TENANT_B: &str = "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb";

/// Prints a signed token (JWT_SECRET, JWT_ISSUER and JWT_AUDIENCE as the service has them).
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// Tenant id, a UUID.
    #[arg(long, default_value = TENANT_A)]
    tenant: String,
    /// User id.
    #[arg(long, default_value = "user-a-001")]
    user: String,
    /// Role: admin or user.
    #[arg(long, default_value = "user")]
    role: String,
    /// E-mail address.
    #[arg(long, default_value = "user@example.com")]
    email: String,
    /// Lifetime such as 15m, 2h, 30d, or seconds; a negative one has already expired.
    #[arg(long, default_value = "1h", value_parser = lifetime, allow_hyphen_values = true)]
    expires_in: i64,
    /// Prints the four classic test tokens: admin of tenant A, tenant B, plain user, expired.
    #[arg(long)]
    samples: bool,
}

pub(crate) fn run(args: &TokenArgs, config: &Config) -> Result<(), BoxError> {
    let tokens = Tokens::new(config.token.clone());
    let mut out = std::io::stdout().lock();
    if !args.samples {
        let token = tokens.mint(&NewToken {
            user_id: &args.user,
            tenant_id: &args.tenant,
            email: &args.email,
            role: &args.role,
            expires_in: args.expires_in,
        })?;
        return Ok(writeln!(out, "{token}")?);
    }
    let samples = [
        ("admin of tenant A", "user-a-001", TENANT_A, "user.a@tenant-a.com", "admin", 24 * 3600),
        ("admin of tenant B", "user-b-001", TENANT_B, "user.b@tenant-b.com", "admin", 24 * 3600),
        ("user of tenant A", "user-a-002", TENANT_A, "user.a2@tenant-a.com", "user", 24 * 3600),
        ("expired", "user-a-001", TENANT_A, "user.a@tenant-a.com", "admin", -3600),
    ];
    for (what, user_id, tenant_id, email, role, expires_in) in samples {
        let token = tokens.mint(&NewToken { user_id, tenant_id, email, role, expires_in })?;
        writeln!(out, "# {what}\n{token}\n")?;
    }
    Ok(())
}

fn lifetime(text: &str) -> Result<i64, String> {
    let digits_end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits_end);
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(format!("'{unit}' is no unit; use s, m, h or d")),
    };
    let number: i64 = number.parse().map_err(|_| format!("'{number}' is no whole number"))?;
    number.checked_mul(seconds).ok_or_else(|| "too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_have_units() {
        for (text, seconds) in [("90", 90), ("15m", 900), ("2h", 7200), ("1d", 86_400), ("-60s", -60)] {
            assert_eq!(lifetime(text), Ok(seconds), "{text}");
        }
        for text in ["", "h", "2w", "99999999999999999d"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }
}
