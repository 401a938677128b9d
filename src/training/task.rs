//! What a training hands from stage to stage.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::{
    Decision, KeptOutcome, SplitKind, TrainRequest,
    evaluate::Evaluation,
    fit::Fitted,
    memory::{self, Reservation, Size},
    promotion::{Comparison, HeldOut},
    report::{self, Shown},
    source::{Loaded, Origin},
    stages::Seconds,
};
use crate::{
    catalog::{Hyperparameters, ModelType},
    features::pipeline::{DataProfile, RowsDigest},
    inference::LoadedModel,
    jobs::Claim,
    registry::{ModelRecord, Verdict},
    tracking::Flavor,
};

/// What the fitting stage hands to the storing stages.
pub(super) struct Trained {
    pub(super) model: Arc<LoadedModel>,
    pub(super) fitted: Fitted,
    pub(super) evaluation: Evaluation,
    pub(super) held_out: Arc<HeldOut>,
    /// With the champion that was there when the fitting began.
    pub(super) comparison: Comparison,
    pub(super) importance: Vec<(String, f64)>,
    pub(super) native: Bytes,
    pub(super) digest: RowsDigest,
    pub(super) profile: DataProfile,
    /// The profile as it is kept.
    pub(super) profile_json: Bytes,
    /// The model in all its forms, for MLflow.
    pub(super) flavors: Vec<Flavor>,
    pub(super) n_train: usize,
    pub(super) n_validation: usize,
    pub(super) dropped_rows: usize,
    pub(super) split: SplitKind,
    /// Where the rows came from.
    pub(super) origin: Origin,
    /// The first training row, for MLflow's input example.
    pub(super) example: Vec<f32>,
    /// Pictures and tables.
    pub(super) shown: Shown,
    /// What the stages took.
    pub(super) seconds: Seconds,
    /// For all this.
    #[expect(dead_code, reason = "held until the training is over")]
    pub(super) memory: Reservation,
}

/// What the CPU part begins with.
pub(super) struct Rows {
    pub(super) request: TrainRequest,
    pub(super) loaded: Loaded,
    pub(super) memory: Reservation,
}

/// A training in progress.
pub(super) struct Task {
    /// The right to the job.
    pub(super) claim: Claim,
    pub(super) model_type: ModelType,
    pub(super) params: Hyperparameters,
    pub(super) validation_split: f64,
    pub(super) seed: u64,
    /// Of the tenant's own query.
    pub(super) query_hash: Option<String>,
    pub(super) started_at: DateTime<Utc>,
}

impl Task {
    /// The most memory that it is expected to take at once.
    pub(super) fn peak_bytes(&self, size: Size) -> u64 {
        memory::peak_bytes(self.model_type.family, &self.params, size)
    }

    /// What the job keeps for its answer.
    pub(super) fn kept_outcome(
        &self,
        trained: &Trained,
        record: &ModelRecord,
        verdict: &Verdict,
    ) -> KeptOutcome {
        let warnings = trained.evaluation.warnings.iter().cloned();
        KeptOutcome {
            model_id: record.id,
            model_version: record.version_label(),
            metrics: trained.evaluation.metrics.clone(),
            message: report::message(self, trained, record, verdict),
            promotion: Decision::new(&record.version_label(), verdict),
            warnings: warnings.chain(report::not_served(record, verdict)).collect(),
            records: trained.origin.records,
            unchanged: false,
        }
    }
}
