//! The login that the service connects as, and what it may do.

use secrecy::ExposeSecret;
use sqlx::{AssertSqlSafe, FromRow, PgConnection, query_as, query_scalar, raw_sql};

use super::{config::Login, error::sqlstate, migrate::ALREADY_THERE, patience::Patience, worker_policies};
use crate::{Error, Result, catalog};

/// What the login may do on which table; the catalog's record tables come on top. Nothing else.
const GRANTS: &[(&str, &str)] = &[
    ("ml_models", "SELECT, INSERT, UPDATE"),
    ("training_jobs", "SELECT, INSERT, UPDATE"),
    ("predictions", "SELECT, INSERT"),
    ("model_metadata", "SELECT, INSERT"),
    ("imported_tables", "SELECT"),
    ("model_aliases", "SELECT, INSERT, UPDATE"),
    ("model_promotions", "SELECT, INSERT"),
    ("tracking_outbox", "SELECT, INSERT, UPDATE, DELETE"),
    ("training_job_files", "SELECT, INSERT, UPDATE, DELETE"),
    ("training_schedules", "SELECT, INSERT, UPDATE"),
];
/// Records are loaded and replaced, never edited.
const RECORD_GRANTS: &str = "SELECT, INSERT, DELETE";

/// Table of `public` and privileges.
fn all_grants() -> impl Iterator<Item = (&'static str, &'static str)> {
    GRANTS.iter().copied().chain(catalog::ALL.iter().map(|spec| (spec.table, RECORD_GRANTS)))
}

/// What the login may do, one `"table PRIVILEGE"` each.
pub(super) fn service_grants() -> Vec<String> {
    all_grants()
        .flat_map(|(table, privileges)| {
            privileges.split(", ").map(move |privilege| format!("{table} {privilege}"))
        })
        .collect()
}

/// SQLSTATE insufficient_privilege.
const NOT_ALLOWED: &str = "42501";
/// SQLSTATE internal_error: "tuple concurrently updated", when a migration of another database of
/// the same server changes the same role.
pub(super) const CONCURRENT_UPDATE: &str = "XX000";

/// What happened to the service's login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginChange {
    /// It was created.
    Created,
    /// It was there; its password is now the configured one.
    PasswordSet,
    /// It was there, and the owner may not change its password.
    Kept,
}

impl std::fmt::Display for LoginChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::PasswordSet => "password set",
            Self::Kept => "kept as it was",
        })
    }
}

/// Why a role cannot be the service's login.
#[derive(Debug, thiserror::Error)]
pub enum UnsuitableLogin {
    /// The migrations run as this very role.
    #[error("the service's login '{0}' is the owner of the tables; name another role")]
    IsOwner(String),
    /// The role exists and is more than a login. It is not stripped: it may be somebody's.
    #[error("the role '{name}' exists and is {attribute}; name another role for the service, or drop it")]
    Privileged {
        /// The role.
        name: String,
        /// Its attribute that row-level security does not survive.
        attribute: &'static str,
    },
}

#[derive(FromRow)]
struct RoleAttributes {
    rolsuper: bool,
    rolbypassrls: bool,
    rolcreaterole: bool,
    rolcreatedb: bool,
    is_member: bool,
    is_current: bool,
}

/// Creates the login, or sets its password, grants it exactly what [`GRANTS`] says, and opens the workers' queues to
/// it. Where all of that stands already, no table is locked.
pub(super) async fn ensure(connection: &mut PgConnection, login: &Login) -> Result<LoginChange> {
    let change = ensure_role(connection, login).await?;
    grant(connection, &login.name).await?;
    worker_policies::ensure(connection, &login.name).await?;
    Ok(change)
}

/// Creates an unprivileged login that may do nothing yet, or sets its password.
pub(super) async fn ensure_role(connection: &mut PgConnection, login: &Login) -> Result<LoginChange> {
    match attributes(connection, &login.name).await? {
        None => create(connection, login).await,
        Some(role) => {
            role.check(&login.name).map_err(Error::internal)?;
            set_password(connection, login).await
        }
    }
}

impl RoleAttributes {
    fn check(&self, name: &str) -> Result<(), UnsuitableLogin> {
        if self.is_current {
            return Err(UnsuitableLogin::IsOwner(name.to_owned()));
        }
        let attributes = [
            (self.rolsuper, "a superuser"),
            (self.rolbypassrls, "BYPASSRLS"),
            (self.rolcreaterole, "CREATEROLE"),
            (self.rolcreatedb, "CREATEDB"),
            (self.is_member, "a member of another role"),
        ];
        match attributes.into_iter().find(|(set, _)| *set) {
            Some((_, attribute)) => Err(UnsuitableLogin::Privileged { name: name.to_owned(), attribute }),
            None => Ok(()),
        }
    }
}

async fn attributes(connection: &mut PgConnection, name: &str) -> Result<Option<RoleAttributes>> {
    let role = query_as(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb,
                EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid) AS is_member,
                rolname = current_user AS is_current
           FROM pg_roles WHERE rolname = $1",
    );
    Ok(role.bind(name).fetch_optional(connection).await?)
}

async fn create(connection: &mut PgConnection, login: &Login) -> Result<LoginChange> {
    let options = "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION";
    match run_with_password(connection, &format!("CREATE ROLE %I {options} PASSWORD %L"), login).await {
        Ok(()) => Ok(LoginChange::Created),
        // A migration of another database of this server was quicker.
        Err(error) if sqlstate(&error).is_some_and(|code| ALREADY_THERE.contains(&code.as_str())) => {
            set_password(connection, login).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn set_password(connection: &mut PgConnection, login: &Login) -> Result<LoginChange> {
    let mut attempts_left = 10;
    loop {
        let Err(error) = run_with_password(connection, "ALTER ROLE %I LOGIN PASSWORD %L", login).await else {
            return Ok(LoginChange::PasswordSet);
        };
        match sqlstate(&error).as_deref() {
            Some(NOT_ALLOWED) => return Ok(LoginChange::Kept),
            Some(CONCURRENT_UPDATE) if attempts_left > 0 => attempts_left -= 1,
            _ => return Err(error.into()),
        }
    }
}

/// The server itself quotes name and password into the statement.
async fn run_with_password(connection: &mut PgConnection, template: &str, login: &Login) -> sqlx::Result<()> {
    let statement: String = query_scalar("SELECT format($1, $2, nullif($3, ''))")
        .bind(template)
        .bind(&login.name)
        .bind(login.password.expose_secret())
        .fetch_one(&mut *connection)
        .await?;
    raw_sql(AssertSqlSafe(statement)).execute(connection).await.map(|_| ())
}

/// The schedules of models that were registered while the login might not write them (migration 0010), of all
/// tenants. FORCE hides them from an owner that is no superuser: it is away within the transaction alone, whose locks
/// wait for whoever is registering a model and keep everybody else out until it is back.
const MISSING_SCHEDULES: &str = "
    ALTER TABLE public.ml_models NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE public.training_schedules NO FORCE ROW LEVEL SECURITY;
    INSERT INTO public.training_schedules (tenant_id, model_type)
        SELECT DISTINCT tenant_id, model_type FROM public.ml_models WHERE artifacts IS NOT NULL
        ON CONFLICT DO NOTHING;
    ALTER TABLE public.training_schedules FORCE ROW LEVEL SECURITY;
    ALTER TABLE public.ml_models FORCE ROW LEVEL SECURITY;";

/// Revokes and grants in one transaction, so that a running service never stands without. Nobody but the owner may
/// create tables, temporary ones included: they could stand in for ours. In the transaction that first lets the login
/// write schedules, those are made that it could not write before: none is missed, wherever a start breaks off.
async fn grant(connection: &mut PgConnection, name: &str) -> Result<()> {
    let (login, database, may_schedule): (String, String, bool) = query_as(
        "SELECT quote_ident($1), quote_ident(current_database()),
                has_table_privilege($1, 'public.training_schedules', 'INSERT')",
    )
    .bind(name)
    .fetch_one(&mut *connection)
    .await?;
    let mut statements = format!(
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC;
         REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC;
         GRANT CONNECT ON DATABASE {database} TO {login};
         GRANT USAGE ON SCHEMA public TO {login};"
    );
    for (table, privileges) in all_grants() {
        statements.push_str(&format!(
            "REVOKE ALL ON public.{table} FROM {login}; GRANT {privileges} ON public.{table} TO {login};"
        ));
    }
    if !may_schedule {
        statements.push_str(MISSING_SCHEDULES);
    }
    Ok(Patience::new().run(connection, &statements, "grants").await?)
}
