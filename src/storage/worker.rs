//! Background work across tenants: one queue table a kind, and a policy that opens that table alone.
//!
//! A worker's transaction names its kind in `app.worker` and has no tenant: it sees the rows of its own
//! queue and of no other table. It claims a row there; the work itself runs in the scope of the row's
//! tenant. The policies name the service's login, which the configuration names: `storage/login.rs` makes
//! them at each migration, and the doctor knows exactly them.

/// What works across tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worker {
    /// Completes runs in MLflow.
    Tracking,
}

impl Worker {
    /// Every kind.
    pub const ALL: [Self; 1] = [Self::Tracking];

    /// Value of `app.worker`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tracking => "tracking",
        }
    }

    /// Its queue, a table of `public`.
    #[must_use]
    pub fn table(self) -> &'static str {
        match self {
            Self::Tracking => "tracking_outbox",
        }
    }

    /// The condition of its policy, as the server prints it.
    pub(super) fn condition(self) -> String {
        format!("current_setting('app.worker'::text, true) = '{}'::text", self.name())
    }

    /// Statements that make its policy for `login`, an identifier that is quoted already.
    pub(super) fn policy(self, login: &str) -> String {
        let (name, table, condition) = (self.name(), self.table(), self.condition());
        format!(
            "DROP POLICY IF EXISTS {name}_worker ON public.{table};
             CREATE POLICY {name}_worker ON public.{table} TO {login} USING ({condition}) WITH CHECK ({condition});"
        )
    }
}
