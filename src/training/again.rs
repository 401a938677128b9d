//! The training of the newest version, asked for again.

use super::{Submitter, TrainRequest, request::StoredRequest};
use crate::{
    catalog::ModelType,
    error::{Error, Result},
    inference::VersionSelector,
    jobs::Job,
    registry::{Registry, VersionDetail},
};

/// Whether the newest version can be trained again.
#[derive(Debug, Clone)]
pub enum Again {
    /// With this request.
    Request(Box<TrainRequest>),
    /// It cannot, for this reason.
    Impossible(String),
}

impl Submitter {
    /// What the newest ready version of the open scope's tenant was trained with: parameters and source.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no version; those of the database.
    pub async fn again(&self, registry: &Registry, model_type: ModelType) -> Result<Again> {
        let newest = registry.detail(model_type, &VersionSelector::Latest).await?;
        let job = match newest.version.record.job_id {
            None => None,
            Some(id) => match self.jobs().get(id).await {
                Ok(job) => Some(job),
                // The platform's fixtures truncate that table.
                Err(Error::NotFound(_)) => None,
                Err(error) => return Err(error),
            },
        };
        Ok(match job.as_ref().and_then(|job| job.request.clone()) {
            Some(request) => stored(request, &newest),
            None => rebuilt(job.as_ref(), &newest),
        })
    }
}

/// The request that the queue kept.
fn stored(request: serde_json::Value, newest: &VersionDetail) -> Again {
    match serde_json::from_value::<StoredRequest>(request) {
        Ok(StoredRequest { inline: true, .. }) => inline(newest),
        Ok(stored) => Again::Request(Box::new(stored.train)),
        Err(_) => unknown(newest),
    }
}

/// The request of a training before there was the queue, from what its job and model say. How it held rows out
/// is not known: as requests do that leave it open.
fn rebuilt(job: Option<&Job>, newest: &VersionDetail) -> Again {
    let record = &newest.version.record;
    let training_data_query = job.and_then(|job| job.training_data_query.clone());
    match newest.data_source.as_deref() {
        Some("inline") => return inline(newest),
        Some("postgres" | "joined") => {}
        Some("query" | "cypher") if training_data_query.is_some() => {}
        _ => return unknown(newest),
    }
    let (Some(validation_split), Some(seed)) = (job.and_then(|job| job.validation_split), record.seed) else {
        return unknown(newest);
    };
    Again::Request(Box::new(TrainRequest {
        model_type: record.model_type,
        hyperparameters: record.hyperparameters.clone(),
        hyperparameters_field: "hyperparameters",
        validation_split,
        split: None,
        seed,
        data: None,
        target: None,
        training_data_query,
    }))
}

fn inline(newest: &VersionDetail) -> Again {
    let version = newest.version.record.version_label();
    Again::Impossible(format!("the rows of {version} came with the request and cannot be read again"))
}

fn unknown(newest: &VersionDetail) -> Again {
    let version = newest.version.record.version_label();
    Again::Impossible(format!("what {version} was trained with was not kept; train a new version"))
}
