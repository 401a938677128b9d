//! The worker: claims what is due while MLflow is well.

use std::{sync::Arc, time::Duration};

use tracing::Instrument;

use super::{Outbox, row};
use crate::{Error, Result, auth::tenant, storage::Worker};

/// How often the queue is looked at.
const POLL: Duration = Duration::from_secs(2);
/// Longest pause between two looks at a server that is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

impl Outbox {
    /// Completes what is due, of all tenants, until [`stopped`](Self::stopped) is called, and once looks for
    /// what versions without an outbox left. Any number of processes may do so.
    pub async fn drain(&self) {
        tokio::join!(self.claim_what_is_due(), self.first_look());
    }

    async fn claim_what_is_due(&self) {
        let mut pause = POLL;
        let mut troubled = false;
        loop {
            tokio::select! {
                () = self.inner.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let turn = tokio::select! {
                () = self.inner.stop.cancelled() => return,
                turn = self.turn() => turn,
            };
            match turn {
                Ok(true) => (pause, troubled) = (POLL, false),
                Ok(false) => (pause, troubled) = ((pause * 2).min(LONGEST_PAUSE), false),
                Err(error) => {
                    if !troubled {
                        tracing::warn!(error = &error as &dyn std::error::Error, "the outbox cannot be read");
                    }
                    (pause, troubled) = ((pause * 2).min(LONGEST_PAUSE), true);
                }
            }
        }
    }

    /// Looks at the queue and begins an attempt at every row that is due; false if MLflow is away.
    async fn turn(&self) -> Result<bool> {
        let mut transaction =
            self.inner.database.worker_transaction(Worker::Tracking, "tracking_look").await?;
        let depth = row::depth(&mut transaction).await?;
        transaction.commit().await?;
        metrics::gauge!("binah_tracking_outbox_rows", "state" => "pending").set(depth.pending as f64);
        metrics::gauge!("binah_tracking_outbox_rows", "state" => "parked").set(depth.parked as f64);
        metrics::gauge!("binah_tracking_outbox_oldest_seconds").set(depth.oldest);
        if depth.due == 0 {
            return Ok(true);
        }
        if let Err(error) = self.inner.tracker.client().health().await {
            if self.set_up(false) {
                tracing::warn!(%error, pending = depth.pending, "MLflow is away");
            }
            return Ok(false);
        }
        if self.set_up(true) {
            tracing::info!(pending = depth.pending, "MLflow is back");
        }
        while self.is_up() {
            // With a permit in hand: a claimed row that waits for one would only age.
            let permit = Arc::clone(&self.inner.permits).acquire_owned().await.map_err(Error::internal)?;
            let mut transaction =
                self.inner.database.worker_transaction(Worker::Tracking, "tracking_claim").await?;
            let claim = row::claim(&mut transaction).await?;
            transaction.commit().await?;
            let Some(claim) = claim else { break };
            let outbox = self.clone();
            let work = async move {
                let _permit = permit;
                outbox.attempt(claim, None).await;
            };
            let span = tracing::info_span!("tracking", tenant = %claim.tenant, model = %claim.model_id);
            self.inner.attempts.spawn(tenant::scope(claim.tenant, work).instrument(span));
        }
        Ok(true)
    }
}
