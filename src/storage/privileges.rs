//! Whether the login that the service runs as is held by row-level security at all.

use sqlx::{FromRow, query_as};

use super::{Database, worker_policies};
use crate::Result;

/// Setting that names the service's login, for messages.
pub const LOGIN_SETTING: &str = "POSTGRES_USER";

/// Something that is wrong with the service's login or its database. The caller decides what
/// follows: production refuses to start, development warns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// Superusers pass every policy.
    #[error(
        "{LOGIN_SETTING}={0} is a superuser: row-level security does not bind it; name an unprivileged login"
    )]
    Superuser(String),
    /// So do roles with this attribute.
    #[error(
        "{LOGIN_SETTING}={0} has BYPASSRLS: row-level security does not bind it; name an unprivileged login"
    )]
    BypassRls(String),
    /// An owner can drop the policies.
    #[error("{LOGIN_SETTING}={login} owns {tables}: an owner can drop the policies; name another login")]
    Owner {
        /// The login.
        login: String,
        /// The tables that it owns, separated by commas.
        tables: String,
    },
    /// A member may become the role that it is a member of.
    #[error("{LOGIN_SETTING}={login} is a member of {roles}: it could act as that role; revoke it")]
    Member {
        /// The login.
        login: String,
        /// The roles, separated by commas.
        roles: String,
    },
    /// The service is of a single tenant, and its workers may see the rows of all: `app.worker_tenant` keeps them to
    /// that one's only in policies that ask for it.
    #[error(
        "SINGLE_TENANT is set, and the database has other workers' policies than this program makes ({0}): they may \
         show it every tenant's queue; run `binah-ml migrate`, or start with `serve --migrate`"
    )]
    WorkersUnbound(String),
    /// The tables are not there, or the login has no grant on them.
    #[error(
        "{LOGIN_SETTING}={0} cannot read the tables: run `binah-ml migrate`, or start with `serve --migrate`"
    )]
    NotMigrated(String),
}

impl Finding {
    /// Whether tenants could reach each other's rows; otherwise the service merely cannot work yet.
    #[must_use]
    pub fn breaks_isolation(&self) -> bool {
        !matches!(self, Self::NotMigrated(_))
    }
}

#[derive(FromRow)]
struct CurrentLogin {
    name: String,
    superuser: bool,
    bypass_rls: bool,
    owned: Option<String>,
    roles: Option<String>,
    can_read: bool,
}

/// What is wrong with the login of `database`, and with the policies of its workers if these are of a single tenant;
/// empty if nothing is.
///
/// # Errors
/// [`crate::Error::Unavailable`] if Postgres does not answer.
pub async fn check(database: &Database) -> Result<Vec<Finding>> {
    let mut connection = database.catalog_connection().await?;
    let login: CurrentLogin = query_as(
        "SELECT rolname::text AS name, rolsuper AS superuser, rolbypassrls AS bypass_rls,
                (SELECT string_agg(relname, ', ' ORDER BY relname) FROM pg_class
                  WHERE relowner = pg_roles.oid AND relkind IN ('r', 'p')
                    AND relnamespace = 'public'::regnamespace) AS owned,
                (SELECT string_agg(roleid::regrole::text, ', ' ORDER BY roleid) FROM pg_auth_members
                  WHERE member = pg_roles.oid) AS roles,
                coalesce(has_table_privilege(to_regclass('public.ml_models'), 'SELECT'), false) AS can_read
           FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(&mut *connection)
    .await?;
    let name = login.name;
    let mut findings = vec![];
    if login.superuser {
        findings.push(Finding::Superuser(name.clone()));
    }
    if login.bypass_rls {
        findings.push(Finding::BypassRls(name.clone()));
    }
    if let Some(tables) = login.owned {
        findings.push(Finding::Owner { login: name.clone(), tables });
    }
    if let Some(roles) = login.roles {
        findings.push(Finding::Member { login: name.clone(), roles });
    }
    if database.is_of_single_tenant() {
        let unknown = worker_policies::unknown(&mut connection, &name).await?;
        if !unknown.is_empty() {
            findings.push(Finding::WorkersUnbound(unknown.join(", ")));
        }
    }
    if !login.can_read {
        findings.push(Finding::NotMigrated(name));
    }
    Ok(findings)
}
