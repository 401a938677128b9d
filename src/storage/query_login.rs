//! The login that runs what tenants write, and the rows that it is shown.
//!
//! It owns nothing, is a member of nothing, creates nothing, and reads the given tables only. Row-level
//! security binds it to `sec.verified_tenant()` by a *restrictive* policy: the service's own policy trusts
//! the setting app.tenant_id, which a statement can change, and holds for everybody; permissive policies are
//! joined by OR, a restrictive one stands before them all.

use sqlx::{AssertSqlSafe, Connection, FromRow, PgConnection, query_as, query_scalar, raw_sql};

use super::{
    config::{ConnectConfig, Login},
    error::sqlstate,
    imported_tables,
    login::{CONCURRENT_UPDATE, LoginChange, ensure_role},
    migrate::{connect, lock},
    patience::{self, Patience},
};
use crate::{Error, Result};

/// Functions of Postgres' own that a statement has no use for: they change the session, execute
/// text, reach other sessions, wait, or tell the size of what belongs to all tenants.
pub(super) const DANGEROUS: &str = "^(set_config|pg_notify|pg_(try_)?advisory_.*|pg_(terminate|cancel)_backend|pg_sleep.*\
    |(query|table|cursor|schema|database)_to_xml.*|ts_stat|ts_rewrite|lo_.*|loread|lowrite\
    |pg_stat_get_.*|pg_stat_.*activity|pg_lock_status|pg_blocking_pids|pg_safe_snapshot_blocking_pids\
    |pg_(relation|database|tablespace|total_relation|table|indexes)_size|pg_prepared_xact|pg_export_snapshot\
    |pg_logical_emit_message|pg_listening_channels|pg_notification_queue_usage|pg_cursor|pg_prepared_statement)$";

/// Bytes that one session may spill to disk, where the owner may set it.
const SPILL: &str = "1GB";

/// What [`install`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLoginReport {
    /// What happened to the login.
    pub login: LoginChange,
    /// Functions that PUBLIC may execute no more; `None` if the owner may not change that (it is no
    /// superuser). The second layer stands without.
    pub revoked_functions: Option<i64>,
}

/// Creates `query`, or sets its password, and shows it the tables `(schema, name)`, each of which has a
/// `tenant_id` and forced row-level security. `service` may sign for a tenant from then on. Repeatable: a table
/// that is shown already is not locked. The others are locked one after the other, each in a transaction of its
/// own, and waited for as `super::patience` says. Former query logins may read none of them afterwards.
///
/// # Errors
/// Those of the database, such as [`Error::Unavailable`] if a table is in use for too long; [`Error::Internal`] if a
/// table is not walled, or the role is no plain login.
pub async fn install(
    owner: &ConnectConfig,
    service: &Login,
    query: &Login,
    tables: &[(&str, &str)],
) -> Result<QueryLoginReport> {
    let mut connection = connect(owner).await?;
    lock(&mut connection).await?;
    let login = ensure_role(&mut connection, query).await?;
    let mut transaction = connection.begin().await?;
    let (query_role, service_role, database): (String, String, String) =
        query_as("SELECT quote_ident($1), quote_ident($2), quote_ident(current_database())")
            .bind(&query.name)
            .bind(&service.name)
            .fetch_one(&mut *transaction)
            .await?;
    let grants = format!(
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC;
         REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC;
         REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {query_role};
         GRANT CONNECT ON DATABASE {database} TO {query_role};
         GRANT USAGE ON SCHEMA public, sec, tenant_data TO {query_role};
         GRANT EXECUTE ON FUNCTION sec.verified_tenant() TO {query_role};
         GRANT USAGE ON SCHEMA sec TO {service_role};
         GRANT EXECUTE ON FUNCTION sec.sign_tenant(uuid, integer, integer) TO {service_role};"
    );
    // What is shown already stays so without a gap: replicas are running queries.
    let mut regrants = String::new();
    for (schema, table) in tables {
        if let Some(wall) = Wall::find(&mut transaction, &query.name, schema, table).await?
            && wall.stands
        {
            regrants.push_str(&wall.grant());
        }
    }
    raw_sql(AssertSqlSafe(grants + &regrants)).execute(&mut *transaction).await?;
    let revoked_functions = revoke(&mut transaction, query).await?;
    if revoked_functions.is_some() {
        give_back(&mut transaction, service).await?;
    }
    transaction.commit().await?;
    if revoked_functions.is_some() {
        let spill = format!("ALTER ROLE {query_role} SET temp_file_limit = '{SPILL}'");
        let set = raw_sql(AssertSqlSafe(spill)).execute(&mut connection).await;
        // Another database's owner is setting the same on the same role.
        if let Err(error) = set
            && sqlstate(&error).as_deref() != Some(CONCURRENT_UPDATE)
        {
            return Err(error.into());
        }
    }
    let mut patience = Patience::new();
    for (schema, table) in tables {
        show_patiently(&mut connection, &mut patience, query, service, schema, table).await?;
    }
    for table in imported(&mut connection).await? {
        let schema = imported_tables::SCHEMA;
        match show_patiently(&mut connection, &mut patience, query, service, schema, &table).await {
            // Its tenant replaced it meanwhile.
            Err(_) if !exists(&mut connection, schema, &table).await? => {}
            other => other?,
        }
    }
    // Closing gives the lock back.
    connection.close().await?;
    Ok(QueryLoginReport { login, revoked_functions })
}

/// The tables that tenants imported: there may have been no query login then.
async fn imported(connection: &mut PgConnection) -> Result<Vec<String>> {
    let tables =
        "SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind = 'r'";
    Ok(query_scalar(tables).bind(imported_tables::SCHEMA).fetch_all(connection).await?)
}

async fn exists(connection: &mut PgConnection, schema: &str, table: &str) -> Result<bool> {
    let exists = "SELECT to_regclass(format('%I.%I', $1::text, $2::text)) IS NOT NULL";
    Ok(query_scalar(exists).bind(schema).bind(table).fetch_one(connection).await?)
}

/// As [`show`], in short transactions of its own; nothing is locked if all stands already.
async fn show_patiently(
    connection: &mut PgConnection,
    patience: &mut Patience,
    query: &Login,
    service: &Login,
    schema: &str,
    table: &str,
) -> Result<()> {
    loop {
        let wall = walled(connection, &query.name, schema, table).await?;
        if wall.stands {
            return Ok(());
        }
        let Err(error) = wall.build_quickly(connection, &service.name).await else { return Ok(()) };
        if !patience.again(&error, &wall.table).await {
            return Err(error.into());
        }
    }
}

/// Shows the login one more table, of a schema that [`install`] has opened to it. The policies come before the grant.
///
/// # Errors
/// As [`install`].
pub async fn show(connection: &mut PgConnection, login: &str, schema: &str, table: &str) -> Result<()> {
    let wall = walled(connection, login, schema, table).await?;
    if !wall.stands {
        wall.build(connection).await?;
    }
    Ok(())
}

/// What stands between the query login and a table.
#[derive(FromRow)]
struct Wall {
    /// The table, qualified and quoted.
    table: String,
    /// The login, quoted.
    login: String,
    /// Whether the table has a tenant_id and forced row-level security.
    walled: bool,
    /// Whether both policies and the grant are there as [`Wall::build`] makes them.
    stands: bool,
    /// Other roles that the policies name: former query logins. Without the policies they must not read.
    former: Vec<String>,
}

async fn walled(connection: &mut PgConnection, login: &str, schema: &str, table: &str) -> Result<Wall> {
    let problem = match Wall::find(connection, login, schema, table).await? {
        Some(wall) if wall.walled => return Ok(wall),
        Some(_) => format!("{schema}.{table} has no forced row-level security by tenant_id"),
        None => format!("no login {login}, or no table {schema}.{table}: `binah-ml migrate` makes the login"),
    };
    Err(Error::internal(problem))
}

impl Wall {
    async fn find(
        connection: &mut PgConnection,
        login: &str,
        schema: &str,
        table: &str,
    ) -> Result<Option<Self>> {
        let wall = query_as(
            "SELECT format('%I.%I', $2::text, $3::text) AS table, quote_ident($1::text) AS login,
                    relrowsecurity AND relforcerowsecurity
                    AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'tenant_id'
                                                           AND atttypid = 'uuid'::regtype AND NOT attisdropped) AS walled,
                    EXISTS (SELECT FROM aclexplode(relacl) WHERE grantee = l.oid AND privilege_type = 'SELECT')
                    AND (SELECT count(*) FROM pg_policy
                          WHERE polrelid = c.oid AND polroles = ARRAY[l.oid] AND polwithcheck IS NULL
                            AND pg_get_expr(polqual, polrelid) = '(tenant_id = ( SELECT sec.verified_tenant() AS verified_tenant))'
                            AND (polname, polpermissive, polcmd)
                                IN (('tenant_query_wall', false, '*'), ('tenant_query', true, 'r'))) = 2 AS stands,
                    ARRAY(SELECT DISTINCT rolname::text FROM pg_policy JOIN pg_roles r ON r.oid = ANY (polroles)
                           WHERE polrelid = c.oid AND polname IN ('tenant_query_wall', 'tenant_query')
                             AND r.oid <> l.oid) AS former
               FROM pg_class c, pg_roles l
              WHERE relnamespace = to_regnamespace(quote_ident($2::text)) AND relname = $3::text AND l.rolname = $1::text",
        );
        Ok(wall.bind(login).bind(schema).bind(table).fetch_optional(connection).await?)
    }

    fn grant(&self) -> String {
        format!("GRANT SELECT ON {} TO {};", self.table, self.login)
    }

    /// Makes the policies anew, then the grant.
    async fn build(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let Self { table, login, .. } = self;
        let verified = "USING (tenant_id = (SELECT sec.verified_tenant()))";
        let statements = format!(
            "DROP POLICY IF EXISTS tenant_query_wall ON {table};
             DROP POLICY IF EXISTS tenant_query ON {table};
             CREATE POLICY tenant_query_wall ON {table} AS RESTRICTIVE TO {login} {verified};
             CREATE POLICY tenant_query ON {table} AS PERMISSIVE FOR SELECT TO {login} {verified};
             {}",
            self.grant()
        );
        raw_sql(AssertSqlSafe(statements)).execute(connection).await.map(drop)
    }

    /// [`Self::build`] in a transaction that waits for no lock for long. Former query logins lose their grants
    /// in it; one that has become the service's login keeps them.
    async fn build_quickly(&self, connection: &mut PgConnection, service: &str) -> sqlx::Result<()> {
        let mut transaction = patience::begin(connection).await?;
        for former in self.former.iter().filter(|former| *former != service) {
            let revoke: String =
                query_scalar("SELECT format('REVOKE ALL ON %s FROM %I', $1::text, $2::text)")
                    .bind(&self.table)
                    .bind(former)
                    .fetch_one(&mut *transaction)
                    .await?;
            raw_sql(AssertSqlSafe(revoke)).execute(&mut *transaction).await?;
        }
        self.build(&mut transaction).await?;
        transaction.commit().await
    }
}

/// Takes the dangerous functions from PUBLIC and gives them to every login that had them through it, but the
/// one of the queries. How many there were; `None` without the right to.
async fn revoke(connection: &mut PgConnection, login: &Login) -> Result<Option<i64>> {
    let superuser: bool = query_scalar("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        .fetch_one(&mut *connection)
        .await?;
    if !superuser {
        return Ok(None);
    }
    let (count, statements): (i64, Option<String>) = query_as(
        "SELECT count(*),
                string_agg(format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC; GRANT EXECUTE ON FUNCTION %s TO %s;',
                                  signature, signature, roles), ' ')
           FROM (SELECT oid::regprocedure::text AS signature FROM pg_proc
                  WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ $1 AND prokind = 'f'
                    AND has_function_privilege($2, oid, 'EXECUTE')) AS dangerous,
                (SELECT string_agg(quote_ident(rolname), ', ') AS roles FROM pg_roles
                  WHERE rolcanlogin AND rolname <> $2) AS others",
    )
    .bind(DANGEROUS)
    .bind(&login.name)
    .fetch_one(&mut *connection)
    .await?;
    let functions = statements.unwrap_or_default();
    raw_sql(AssertSqlSafe(functions)).execute(connection).await?;
    Ok(Some(count))
}

/// Gives the service what [`revoke`] took from PUBLIC, also in a run when the service's login was another
/// one. What the server keeps for superusers has an initial privilege of its own and stays theirs.
async fn give_back(connection: &mut PgConnection, service: &Login) -> Result<()> {
    let statements: Option<String> = query_scalar(
        "SELECT string_agg(format('GRANT EXECUTE ON FUNCTION %s TO %I;', oid::regprocedure, $2), ' ') FROM pg_proc
          WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ $1 AND prokind = 'f'
            AND NOT has_function_privilege($2, oid, 'EXECUTE')
            AND NOT EXISTS (SELECT FROM pg_init_privs WHERE objoid = pg_proc.oid AND classoid = 'pg_proc'::regclass)",
    )
    .bind(DANGEROUS)
    .bind(&service.name)
    .fetch_one(&mut *connection)
    .await?;
    raw_sql(AssertSqlSafe(statements.unwrap_or_default())).execute(connection).await?;
    Ok(())
}
