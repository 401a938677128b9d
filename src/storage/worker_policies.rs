//! The policies that open the queues to their workers, as they stand in a database.
//!
//! To make one locks its table against everybody, readers too. A start therefore leaves those alone that stand as this
//! build would make them, and makes each of the others in a short transaction of its own, which holds one such lock
//! and waits as `super::patience` says.

use sqlx::{FromRow, PgConnection, query_as, query_scalar};

use super::{Worker, doctor::is_of_worker, patience::Patience};
use crate::Result;

/// Makes the policies for `login` that do not stand.
pub(super) async fn ensure(connection: &mut PgConnection, login: &str) -> Result<()> {
    let found = Policy::find(connection, login).await?;
    let quoted: String =
        query_scalar("SELECT quote_ident($1)").bind(login).fetch_one(&mut *connection).await?;
    let mut patience = Patience::new();
    for (worker, table) in queues() {
        if !found.iter().any(|policy| policy.opens(worker, table)) {
            patience.run(connection, &statements(worker, table, &quoted), table).await?;
        }
    }
    Ok(())
}

/// The policies by which `login` sees rows of a queue, and of which this build does not know what they ask.
pub(super) async fn unknown(connection: &mut PgConnection, login: &str) -> Result<Vec<String>> {
    let queues = queues();
    let found = Policy::find(connection, login).await?;
    let unknown = found
        .into_iter()
        .filter(|policy| !queues.iter().any(|&(worker, table)| policy.opens(worker, table)))
        .map(|policy| format!("{} on {}", policy.name, policy.table_name));
    Ok(unknown.collect())
}

/// Every worker with each of its tables.
fn queues() -> Vec<(Worker, &'static str)> {
    Worker::ALL
        .into_iter()
        .flat_map(|worker| worker.tables().iter().map(move |&table| (worker, table)))
        .collect()
}

fn name(worker: Worker) -> String {
    format!("{}_worker", worker.name())
}

/// What makes the policy of a worker on one of its tables for `login`, an identifier that is quoted already.
fn statements(worker: Worker, table: &str, login: &str) -> String {
    let (name, condition) = (name(worker), worker.condition());
    format!(
        "DROP POLICY IF EXISTS {name} ON public.{table};
         CREATE POLICY {name} ON public.{table} TO {login} USING ({condition}) WITH CHECK ({condition});"
    )
}

/// A permissive policy that names the service's login.
#[derive(FromRow)]
struct Policy {
    /// Of `public`.
    table_name: String,
    name: String,
    /// Whether it is for every command, and for nobody else.
    is_plain: bool,
    /// As the server prints it.
    using: Option<String>,
    with_check: Option<String>,
}

impl Policy {
    /// Those on the tables of all queues.
    async fn find(connection: &mut PgConnection, login: &str) -> Result<Vec<Self>> {
        let tables: Vec<&str> = queues().into_iter().map(|(_, table)| table).collect();
        let policies = query_as(
            "SELECT c.relname::text AS table_name, p.polname::text AS name,
                    p.polcmd = '*' AND p.polroles = ARRAY[l.oid] AS is_plain,
                    pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS with_check
               FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_roles l ON l.oid = ANY (p.polroles)
              WHERE p.polpermissive AND l.rolname = $1 AND c.relnamespace = 'public'::regnamespace
                AND c.relname = ANY ($2)
              ORDER BY 1, 2",
        );
        Ok(policies.bind(login).bind(tables).fetch_all(connection).await?)
    }

    /// Whether it opens this table to this worker, word for word as [`statements`] would.
    fn opens(&self, worker: Worker, table: &str) -> bool {
        let is_its = |expression: &Option<String>| {
            expression.as_deref().is_some_and(|expression| is_of_worker(expression, worker))
        };
        self.is_plain
            && self.table_name == table
            && self.name == name(worker)
            && is_its(&self.using)
            && is_its(&self.with_check)
    }
}
