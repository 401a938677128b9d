//! Loaded models, kept in memory by bytes and loaded once however many requests wait for them.

use std::sync::Arc;

use moka::future::Cache;
use uuid::Uuid;

use crate::{
    auth::TenantId,
    error::{BoxError, Error, Result},
    features::FeatureSchema,
    forest::{Ensemble, Evaluator, Link, codec::native},
    registry::{ModelRecord, Registry},
};

/// A model that is ready to answer.
#[derive(Debug)]
pub struct LoadedModel {
    /// How a request's features become the model's row.
    pub schema: FeatureSchema,
    /// The compiled ensemble.
    pub evaluator: Evaluator,
    /// Score at and above which a row is normal; NaN for other families.
    pub offset: f64,
}

impl LoadedModel {
    /// Compiles an ensemble for a schema.
    ///
    /// # Errors
    /// If the two do not fit, or the ensemble is not sound.
    pub fn new(schema: FeatureSchema, ensemble: &Ensemble) -> Result<Self> {
        if ensemble.n_features != schema.features.len() {
            return Err(Error::internal("the model and its schema differ in the number of features"));
        }
        let offset = match ensemble.link {
            Link::AnomalyScore { offset, .. } => offset,
            Link::Identity | Link::Logistic => f64::NAN,
        };
        Ok(Self { schema, evaluator: Evaluator::new(ensemble).map_err(Error::internal)?, offset })
    }

    /// Memory that the model holds, in bytes: of its trees, and of its features' names and categories, which may
    /// be more.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.evaluator.memory_bytes() + self.schema.memory_bytes()
    }
}

/// Keys carry the tenant, though a model id alone is unique: a lookup can never cross tenants.
type Key = (TenantId, Uuid);

/// A cache of [`LoadedModel`]s; clones share it.
#[derive(Debug, Clone)]
pub struct ModelCache {
    models: Cache<Key, Arc<LoadedModel>>,
}

impl ModelCache {
    /// Keeps at most about `max_bytes` of models.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        let weigh =
            |_: &Key, model: &Arc<LoadedModel>| u32::try_from(model.memory_bytes()).unwrap_or(u32::MAX);
        Self { models: Cache::builder().weigher(weigh).max_capacity(max_bytes).build() }
    }

    /// Keeps a model that was just trained: the next request need not read it back.
    pub async fn insert(&self, tenant: TenantId, id: Uuid, model: Arc<LoadedModel>) {
        self.models.insert((tenant, id), model).await;
    }

    /// The model of that row, if it is in memory.
    pub async fn get(&self, tenant: TenantId, id: Uuid) -> Option<Arc<LoadedModel>> {
        self.models.get(&(tenant, id)).await
    }

    /// The model of that row; read from the store by the first of all who wait for it.
    ///
    /// # Errors
    /// [`Error::CorruptArtifact`] if its file is missing or damaged, [`Error::Unavailable`] if the
    /// store does not answer. Nothing is remembered of a failure.
    pub async fn load(&self, registry: &Registry, record: &ModelRecord) -> Result<Arc<LoadedModel>> {
        let load = async {
            let bytes = registry.read(record, NATIVE_FILE).await?;
            let corrupt = |source: BoxError| Error::CorruptArtifact { model: record.name(), source };
            let ensemble = native::decode(&bytes).map_err(|error| corrupt(error.into()))?;
            let schema =
                record.schema.clone().ok_or_else(|| corrupt("the row has no feature schema".into()))?;
            LoadedModel::new(schema, &ensemble).map(Arc::new)
        };
        let key = (record.tenant, record.id);
        self.models.try_get_with(key, load).await.map_err(|error| share(&error))
    }
}

/// File name of the native format in the registry.
pub const NATIVE_FILE: &str = "model.bin";

/// The error of a load that several requests waited for: each gets one of its own.
fn share(error: &Arc<Error>) -> Error {
    match &**error {
        Error::CorruptArtifact { model, source } => {
            Error::CorruptArtifact { model: model.clone(), source: source.to_string().into() }
        }
        Error::Unavailable { dependency, source } => {
            Error::Unavailable { dependency, source: source.to_string().into() }
        }
        other => Error::internal(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        features::{Feature, FeatureKind},
        forest::{Combine, ensemble::Tree},
    };

    /// A model of one leaf.
    fn model(categories: Vec<String>) -> Arc<LoadedModel> {
        let kind = FeatureKind::Categorical { categories, numbered: vec![] };
        let feature = Feature { name: "district".into(), kind, optional: false };
        let mut tree = Tree::default();
        tree.push_leaf(1.0, 1.0);
        let ensemble = Ensemble {
            n_features: 1,
            combine: Combine::Sum,
            base_score: 0.0,
            link: Link::Identity,
            trees: vec![tree],
        };
        let schema = FeatureSchema { features: vec![feature], target: None, dropped: vec![] };
        Arc::new(LoadedModel::new(schema, &ensemble).expect("valid"))
    }

    #[tokio::test]
    async fn names_of_categories_weigh_in_the_cache() {
        let long = |i: usize| format!("{i:0>2000}");
        let (small, large) = (model(vec![]), model((0..200).map(long).collect()));
        let names = large.memory_bytes() - small.memory_bytes();
        assert!((400_000..450_000).contains(&names), "{names}");
        let cache = ModelCache::new(100_000);
        let tenant = TenantId::trusted(Uuid::from_u128(1));
        for (id, model, is_kept) in [(1, small, true), (2, large, false)] {
            let id = Uuid::from_u128(id);
            cache.insert(tenant, id, model).await;
            cache.models.run_pending_tasks().await;
            assert_eq!(cache.get(tenant, id).await.is_some(), is_kept, "{id}");
        }
    }
}
