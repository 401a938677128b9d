//! The login of tenants' queries: rows under the service's signature and no other way.

use sqlx::{AssertSqlSafe, PgConnection, query_as, query_scalar, raw_sql};
use uuid::Uuid;

use super::{Outcome, Probe, Strangers, rows, rows::Table};
use crate::storage::doctor::{
    check::{Context, Kind},
    report::Mend,
};

const UNSIGNED: Kind = Kind::error("unsigned_rows_read", Mend::Advice);
const BAD_SIGNATURE: Kind = Kind::error("bad_signature_accepted", Mend::Advice);
const WRITES: Kind = Kind::error("query_login_writes", Mend::Advice);

/// The settings of a transaction, with what they claim.
struct Claim {
    kind: Kind,
    what: &'static str,
    tenant: String,
    signature: String,
}

/// On the login's own connection, over the rows that really are there: none may show.
pub(super) async fn probe(
    connection: &mut PgConnection,
    service: &mut PgConnection,
    tables: &[Table],
    context: &Context,
    probe: &mut Probe,
) -> sqlx::Result<()> {
    let strangers = Strangers::new();
    let process: i32 = query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *connection).await?;
    let Some((_, claims)) = claims(service, strangers, process, probe).await? else { return Ok(()) };
    raw_sql("BEGIN READ WRITE").execute(&mut *connection).await?;
    try_claims(connection, &claims, tables, probe).await?;
    for table in tables {
        if probe.attempt(connection, &table.insert(strangers.a, strangers.a)).await?.wrote() {
            probe.found(WRITES, &table.name, "POSTGRES_QUERY_USER writes into it".to_owned());
        }
    }
    raw_sql("ROLLBACK").execute(&mut *connection).await?;
    let Some(login) = &context.query else { return Ok(()) };
    probe.try_other_roles(connection, login, &[context.owner.clone(), context.service.clone()]).await
}

/// With a row of tenant A in every table that the login reads. The row lives in one transaction only, therefore
/// the one who wrote it becomes the login: that takes a superuser.
pub(super) async fn probe_with_rows(
    owner: &mut PgConnection,
    tables: &[Table],
    login: &str,
    probe: &mut Probe,
) -> sqlx::Result<()> {
    let (superuser, process, quoted): (bool, i32, String) = query_as(
        "SELECT rolsuper, pg_backend_pid(), quote_ident($1) FROM pg_roles WHERE rolname = current_user",
    )
    .bind(login)
    .fetch_one(&mut *owner)
    .await?;
    if !superuser {
        probe.inconclusive("all tables", "only a superuser can write a row and read it as another login");
        return Ok(());
    }
    let strangers = Strangers::new();
    raw_sql("BEGIN READ WRITE").execute(&mut *owner).await?;
    let Some((good, claims)) = claims(owner, strangers, process, probe).await? else {
        return raw_sql("ROLLBACK").execute(owner).await.map(drop);
    };
    let readable = tables.iter().filter(|table| table.read_by_query);
    let written = rows::write(probe, owner, readable, strangers.a).await?;
    if let Outcome::Done(_) = probe.attempt(owner, &format!("SET LOCAL ROLE {quoted}")).await? {
        set(owner, &strangers.a.to_string(), &good).await?;
        for table in &written {
            // Without this every silence below would pass for a wall.
            if !probe.any_row(owner, &table.name, "true").await?.broke_through() {
                probe.inconclusive(&table.name, "it shows nothing under the right signature either");
            }
        }
        try_claims(owner, &claims, tables, probe).await?;
    }
    raw_sql("ROLLBACK").execute(owner).await.map(drop)
}

/// A good signature of tenant A for the server process, and what must not pass for one. `None` if the
/// database has nothing to sign with, which another check says.
async fn claims(
    signer: &mut PgConnection,
    Strangers { a, b }: Strangers,
    process: i32,
    probe: &mut Probe,
) -> sqlx::Result<Option<(String, Vec<Claim>)>> {
    let signatures: Result<(String, String, String, String), _> = query_as(
        "SELECT sec.sign_tenant($1, $3, 60), sec.sign_tenant($2, $3, 60), sec.sign_tenant($1, $3 + 1, 60),
                sec.sign_tenant($1, $3, -60)",
    )
    .bind(a)
    .bind(b)
    .bind(process)
    .fetch_one(signer)
    .await;
    let (good, of_b, of_another_process, expired) = match signatures {
        Ok(signatures) => signatures,
        Err(error) => {
            probe.inconclusive("all tables", format!("no signature could be had: {error}"));
            return Ok(None);
        }
    };
    let (expiry, _) = good.split_once('.').unwrap_or((good.as_str(), ""));
    let forged = format!("{expiry}.{}", "0".repeat(64));
    let claim = |what, tenant: Uuid, signature: &str| Claim {
        kind: BAD_SIGNATURE,
        what,
        tenant: tenant.to_string(),
        signature: signature.to_owned(),
    };
    let claims = vec![
        Claim {
            kind: UNSIGNED,
            what: "no tenant and no signature",
            tenant: String::new(),
            signature: String::new(),
        },
        Claim {
            kind: UNSIGNED,
            what: "a tenant without a signature",
            tenant: a.to_string(),
            signature: String::new(),
        },
        claim("a forged signature", a, &forged),
        claim("an expired signature", a, &expired),
        claim("another tenant's signature", a, &of_b),
        claim("another process' signature", a, &of_another_process),
    ];
    Ok(Some((good, claims)))
}

/// The setting app.tenant_id, which the service's own policy trusts, is set throughout: it must open nothing.
async fn try_claims(
    connection: &mut PgConnection,
    claims: &[Claim],
    tables: &[Table],
    probe: &mut Probe,
) -> sqlx::Result<()> {
    let mut seen = vec![];
    for claim in claims {
        set(connection, &claim.tenant, &claim.signature).await?;
        for table in tables {
            if probe.any_row(connection, &table.name, "true").await?.broke_through() {
                seen.push((table, claim));
            }
        }
    }
    for table in tables {
        for kind in [UNSIGNED, BAD_SIGNATURE] {
            let claims =
                seen.iter().filter(|(t, claim)| t.name == table.name && claim.kind.code == kind.code);
            let claims: Vec<_> = claims.map(|(_, claim)| claim.what).collect();
            if !claims.is_empty() {
                let problem = format!("shows rows to POSTGRES_QUERY_USER under {}", claims.join(", "));
                probe.found(kind, &table.name, problem);
            }
        }
    }
    Ok(())
}

async fn set(connection: &mut PgConnection, tenant: &str, signature: &str) -> sqlx::Result<()> {
    // Digits, hyphens and dots: uuids of ours and what sec.sign_tenant gave.
    let settings = format!(
        "SET LOCAL app.tenant = '{tenant}'; SET LOCAL app.sig = '{signature}'; SET LOCAL app.tenant_id = '{tenant}'"
    );
    raw_sql(AssertSqlSafe(settings)).execute(connection).await.map(drop)
}
