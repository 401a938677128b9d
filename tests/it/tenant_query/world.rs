//! A database with two tenants, and ways to ask it with one of the two layers switched off.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use binah_ml::{
    auth::{TenantId, tenant::scope},
    catalog::ModelType,
    features::{
        FeatureTable,
        query::{CheckedQuery, Policy, QueryConfig, QueryStats, Request, TenantQuery},
    },
    storage::{
        self, ConnectConfig,
        imported_tables::{ImportedTable, TableColumn},
    },
};
use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, Column, PgConnection, Row, TypeInfo, ValueRef, raw_sql};

use crate::support::{
    self, TENANT_A, TENANT_B, TestDatabase,
    database::{connect, query_login, service_login},
    imports,
};

/// Where the imported tables of the tenants lie: here the names are known, as if somebody had guessed them.
pub(crate) const HOUSES_A: &str = "t_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const HOUSES_B: &str = "t_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const SECRETS_B: &str = "t_b0000000000000000000000000000000";

/// Stands in every text of the other tenant, and 4242 in every number.
pub(crate) const CANARIES: [&str; 2] = ["CANARY", "4242"];

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) query: TenantQuery,
}

/// What a statement gave: the rows as text in ascending order, or the error with its SQLSTATE.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Rows(Vec<String>),
    Failed(String),
}

impl Outcome {
    pub(crate) fn shows_a_canary(&self) -> bool {
        let text = format!("{self:?}");
        CANARIES.iter().any(|canary| text.contains(canary))
    }
}

pub(crate) fn tenant_a() -> TenantId {
    support::tenant(TENANT_A)
}

/// The tenant whose id repeats a hexadecimal digit.
pub(crate) fn tenant_of(digit: char) -> TenantId {
    let repeat = |n| digit.to_string().repeat(n);
    support::tenant(&format!("{}-{}-{}-{}-{}", repeat(8), repeat(4), repeat(4), repeat(4), repeat(12)))
}

pub(crate) fn tenant_b() -> TenantId {
    support::tenant(TENANT_B)
}

impl World {
    /// Twelve rows of tenant A; of tenant B what `others` inserts.
    pub(crate) async fn new(others: &str, config: QueryConfig) -> Self {
        Self::sized(12, others, config).await
    }

    /// With so many rows of tenant A.
    pub(crate) async fn sized(rows: u32, others: &str, config: QueryConfig) -> Self {
        let database = TestDatabase::new().await;
        let policy = Policy::records();
        let tables = policy.tables();
        storage::query_login::install(&database.owner, &service_login(), &query_login(), &tables)
            .await
            .expect("the query login is installed");
        for (_, table) in &tables {
            database.as_owner(&format!("ALTER TABLE {table} SET (autovacuum_enabled = off)")).await;
        }
        import(&database, tenant_a(), "houses", HOUSES_A, HOUSES).await;
        database.as_owner(&format!("TRUNCATE tenant_data.{HOUSES_A}")).await;
        database.as_owner(&records('a', rows, OWN)).await;
        if !others.is_empty() {
            // The other tenant has a table of the same name, and one of a name that only it has.
            let houses = "price,kind,secret\n4242,CANARY[(,CANARY[(1\n-4242,CANARY,CANARY[(2\n";
            import(&database, tenant_b(), "houses", HOUSES_B, houses).await;
            import(&database, tenant_b(), "secrets", SECRETS_B, "secret\nCANARY[(3\n").await;
        }
        database.as_owner(others).await;
        let connect = database.owner.with_login(query_login());
        let query = TenantQuery::new(&connect, database.service(), policy, config);
        Self { database, query }
    }

    pub(crate) fn connect(&self) -> ConnectConfig {
        self.database.owner.with_login(query_login())
    }

    /// Both layers, as the service does it.
    pub(crate) async fn run(&self, model: &str, text: &str) -> binah_ml::Result<(FeatureTable, QueryStats)> {
        let model_type = ModelType::parse(model).expect("a catalog type");
        scope(tenant_a(), self.query.run(Request { user_id: "u-1", model_type, text })).await
    }

    /// A session of the query login that holds a signature of tenant A for an hour.
    pub(crate) async fn signed_session(&self) -> Session {
        let mut connection = connect(&self.connect()).await;
        raw_sql(
            "SET statement_timeout TO 3000; SET jit TO off; SET timezone TO 'UTC'; SET max_parallel_workers_per_gather TO 0",
        )
        .execute(&mut connection)
        .await
        .expect("set");
        let process: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
            .fetch_one(&mut connection)
            .await
            .expect("a process");
        let mut owner = self.database.owner_connection().await;
        let signature: String = sqlx::query_scalar("SELECT sec.sign_tenant($1, $2, 3600)")
            .bind(tenant_a().uuid())
            .bind(process)
            .fetch_one(&mut owner)
            .await
            .expect("signed");
        let begin = format!(
            "BEGIN READ ONLY; SET LOCAL app.tenant = '{}'; SET LOCAL app.sig = '{signature}'",
            tenant_a().uuid()
        );
        Session { connection, begin }
    }

    /// The usual recipe: the service's login, bound by the policy that trusts a setting.
    pub(crate) async fn setting_session(&self) -> Session {
        let mut connection = connect(&self.database.owner.with_login(service_login())).await;
        raw_sql("SET statement_timeout TO 3000").execute(&mut connection).await.expect("set");
        let begin = format!("BEGIN READ ONLY; SET LOCAL app.tenant_id = '{}'", tenant_a().uuid());
        Session { connection, begin }
    }

    /// A session of the owner, a superuser, whom no policy binds.
    pub(crate) async fn unwalled_session(&self) -> Session {
        let mut connection = self.database.owner_connection().await;
        raw_sql(
            "SET statement_timeout TO 3000; SET jit TO off; SET search_path TO pg_catalog, public; SET timezone TO 'UTC'; \
             SET max_parallel_workers_per_gather TO 0",
        )
        .execute(&mut connection)
        .await
        .expect("set");
        Session { connection, begin: "BEGIN READ ONLY".to_owned() }
    }
}

/// The first rows of the table that both tenants call `houses`; of tenant A they are replaced.
const HOUSES: &str = "price,rooms,kind,sold\n1.5,3,flat,2024-01-01T00:00:00Z\n";

async fn import(database: &TestDatabase, tenant: TenantId, name: &str, physical: &str, text: &str) {
    imports::import_text(&database.owner, tenant, name, text).await.expect("imports");
    let drawn = imports::physical(&database.owner, tenant, name).await;
    database
        .as_owner(&format!(
            "ALTER TABLE {drawn} RENAME TO {physical};
             ALTER TABLE tenant_data.{physical} SET (autovacuum_enabled = off);
             UPDATE imported_tables SET physical_name = '{physical}' WHERE tenant_id = '{tenant}' AND name = '{name}'"
        ))
        .await;
}

pub(crate) struct Session {
    connection: PgConnection,
    begin: String,
}

impl Session {
    pub(crate) async fn set(&mut self, setting: &str) {
        raw_sql(AssertSqlSafe(format!("SET {setting}"))).execute(&mut self.connection).await.expect("set");
    }

    /// Runs `sql` in a transaction that is rolled back. Over the simple protocol, which is what an
    /// attacker would wish for: several statements pass.
    pub(crate) async fn ask(&mut self, sql: &str) -> Outcome {
        let text = format!("{}; {sql}", self.begin);
        let outcome = rows(&mut self.connection, &text).await;
        // On a busy machine it may meet the session's time limit itself.
        if raw_sql("ROLLBACK").execute(&mut self.connection).await.is_err() {
            raw_sql("ROLLBACK").execute(&mut self.connection).await.expect("rolls back");
        }
        match outcome {
            Ok(mut rows) => {
                rows.sort();
                Outcome::Rows(rows)
            }
            Err(error) => Outcome::Failed(error),
        }
    }
}

/// The rows as text; of more than 10,000 their number and a digest that their order does not change.
async fn rows(connection: &mut PgConnection, sql: &str) -> Result<Vec<String>, String> {
    let mut rows = raw_sql(AssertSqlSafe(sql)).fetch(connection);
    let mut texts = vec![];
    let (mut count, mut digest) = (0_u64, 0_u64);
    loop {
        let row = match rows.try_next().await {
            Ok(Some(row)) => row,
            Ok(None) if count as usize == texts.len() => return Ok(texts),
            Ok(None) => return Ok(vec![format!("{count} rows, digest {digest:x}")]),
            Err(sqlx::Error::Database(error)) => {
                return Err(format!("{}: {}", error.code().unwrap_or_default(), error.message()));
            }
            Err(error) => return Err(error.to_string()),
        };
        let cells = (0..row.len()).map(|i| {
            let value = row.try_get_raw(i).expect("a column");
            let text = if value.is_null() { "NULL" } else { value.as_str().unwrap_or("?") };
            let kind = row.column(i).type_info().name().to_owned();
            // A sum in another order differs in its last digits.
            let text = match text.parse::<f64>() {
                Ok(number) if kind == "FLOAT8" => format!("{number:.10e}"),
                _ => text.to_owned(),
            };
            format!("{}:{kind}={text}", row.column(i).name())
        });
        let text = cells.collect::<Vec<_>>().join("|");
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        digest = digest.wrapping_add(hasher.finish());
        count += 1;
        if texts.len() < 10_000 {
            texts.push(text);
        }
    }
}

/// The text as the database alone gets it: as the user wrote it, but for the names that only the first layer knows.
pub(crate) fn raw(text: &str) -> String {
    let text = text.replace(":tenant_id", &format!("'{}'::uuid", tenant_a().uuid()));
    text.replace("tenant_data.houses", "houses").replace("houses", &format!("tenant_data.{HOUSES_A}"))
}

/// The text as the first layer writes it.
pub(crate) fn checked(text: &str) -> Result<String, &'static str> {
    let column =
        |(name, sql_type): (&str, &str)| TableColumn { name: name.into(), sql_type: sql_type.into() };
    let houses = ImportedTable {
        name: "houses".into(),
        physical_name: HOUSES_A.into(),
        columns: [
            ("price", "double precision"),
            ("rooms", "bigint"),
            ("kind", "text"),
            ("sold", "timestamptz"),
        ]
        .map(column)
        .into(),
        rows: 0,
        imported_at: chrono::DateTime::UNIX_EPOCH,
    };
    CheckedQuery::parse(text, &Policy::records().with_imported([houses]))
        .map(|checked| checked.sql(tenant_a().uuid()))
        .map_err(|refusal| refusal.kind)
}

pub(crate) fn quick() -> QueryConfig {
    QueryConfig { timeout: Duration::from_secs(2), ..QueryConfig::default() }
}

/// Values of the row `i`, in the order of the tables' columns.
pub(crate) struct Values {
    pub(crate) entity: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) year: &'static str,
    pub(crate) number: &'static str,
}

pub(crate) const OWN: Values = Values {
    entity: "'A-' || i",
    kind: "(ARRAY['residential', 'commercial', 'industrial'])[i % 3 + 1]",
    year: "1990 + i",
    number: "i * 0.25 + 1",
};

/// Harmless values.
pub(crate) const TAME: Values =
    Values { entity: "'B-' || i", kind: "'residential'", year: "2000 + i % 3", number: "i * 0.5" };

/// Values at which a computation fails: zero, huge, no number, no date.
pub(crate) const CANARY: Values = Values {
    entity: "'CANARY[(' || i",
    kind: "'CANARY'",
    year: "CASE i % 3 WHEN 0 THEN 0 ELSE 4242 END",
    number: "(ARRAY[0, -424242.0, 4.242e307, 'NaN', 'Infinity']::float8[])[i % 5 + 1]",
};

/// Inserts `n` rows of the tenant into every record table, and into the table that tenant A imported: there the wall
/// must hold even if rows went astray.
pub(crate) fn records(tenant: char, n: u32, values: Values) -> String {
    let Values { entity, kind, year, number } = values;
    let tenant = tenant_of(tenant).uuid();
    let row = format!("'{tenant}', {entity}, timestamptz '2024-01-01' + i * interval '1 day'");
    let from = format!("FROM generate_series(1, {n}) AS i");
    format!(
        "INSERT INTO cost_records (tenant_id, entity_id, observed_at, project_size_sqft, num_units, location_tier, property_type, year, total_cost)
             SELECT {row}, {number}, {year}, i % 4, {kind}, {year}, {number} {from};
         INSERT INTO risk_records (tenant_id, entity_id, observed_at, leverage_ratio, occupancy_rate, market_volatility, property_age, location_risk_score, high_risk)
             SELECT {row}, {number}, {number}, {number}, {number}, {number}, i % 2 {from};
         INSERT INTO roi_records (tenant_id, entity_id, observed_at, purchase_price, annual_revenue, operating_expenses, property_type, market_growth_rate, roi)
             SELECT {row}, {number}, {number}, {number}, {kind}, {number}, {number} {from};
         INSERT INTO property_metrics (tenant_id, entity_id, observed_at, monthly_revenue, occupancy_rate, maintenance_cost, tenant_turnover)
             SELECT {row}, {number}, {number}, {number}, {number} {from};
         INSERT INTO tenant_data.{HOUSES_A} (tenant_id, import_row, price, rooms, kind, sold)
             SELECT '{tenant}', i, {number}, {year}, {kind}, timestamptz '2024-01-01' + i * interval '1 day' {from};"
    )
}
