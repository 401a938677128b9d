//! The line that every query leaves.

use std::time::{Duration, Instant};

use crate::{Error, auth::TenantId};

/// Who ran what, and how it ended. Its drop writes the line, so that a query whose caller went away
/// leaves one too.
#[derive(Debug)]
pub(super) struct Audit {
    tenant: TenantId,
    user_id: String,
    query: String,
    started: Instant,
    outcome: &'static str,
    reason: &'static str,
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

impl Audit {
    pub(super) fn begin(tenant: TenantId, user_id: &str, query: String) -> Self {
        let user_id = user_id.to_owned();
        let started = Instant::now();
        Self { tenant, user_id, query, started, outcome: "cancelled", reason: "", rows: 0, bytes: 0 }
    }

    pub(super) fn ok(&mut self) {
        self.outcome = "ok";
    }

    /// Notes how it ended, and hands the error on.
    pub(super) fn ends(&mut self, outcome: &'static str, reason: &'static str, error: Error) -> Error {
        (self.outcome, self.reason) = (outcome, reason);
        error
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        tracing::info!(
            target: "audit",
            tenant = %self.tenant,
            user = self.user_id,
            query = self.query,
            rows = self.rows,
            bytes = self.bytes,
            ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            outcome = self.outcome,
            reason = self.reason,
            "training_data_query"
        );
    }
}
