//! Background work across tenants: a queue a kind, and a policy that opens its tables alone.
//!
//! A worker's transaction names its kind in `app.worker` and has no tenant: it sees the rows of its own
//! queue and of no other table. It claims a row there; the work itself runs in the scope of the row's
//! tenant. Where the service is of a single tenant, `app.worker_tenant` keeps it to that one's rows. The policies name
//! the service's login, which the configuration names: `storage/worker_policies.rs` makes them at a migration, and
//! the doctor knows exactly them.

/// What works across tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worker {
    /// Completes runs in MLflow.
    Tracking,
    /// Runs trainings.
    Training,
    /// Finds the schedules that are due.
    Schedule,
}

impl Worker {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Tracking, Self::Training, Self::Schedule];

    /// Value of `app.worker`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tracking => "tracking",
            Self::Training => "training",
            Self::Schedule => "schedule",
        }
    }

    /// Its queue: tables of `public`.
    #[must_use]
    pub fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Tracking => &["tracking_outbox"],
            // A job whose worker was lost may end there and then, and its files with it.
            Self::Training => &["training_jobs", "training_job_files"],
            Self::Schedule => &["training_schedules"],
        }
    }

    /// The condition of its policy, as the server prints it.
    pub(super) fn condition(self) -> String {
        format!(
            "(current_setting('app.worker'::text, true) = '{}'::text) AND (tenant_id = COALESCE(\
             (NULLIF(current_setting('app.worker_tenant'::text, true), ''::text))::uuid, tenant_id))",
            self.name()
        )
    }
}
