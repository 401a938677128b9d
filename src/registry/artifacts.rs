//! The models' files, in a folder or an object store, each with its checksum.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem, path::Path, prefix::PrefixStore};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::ModelRecord;
use crate::{Error, Result, auth::TenantId, catalog::ModelType, error::BoxError};

/// A model's files by name.
pub type Artifacts = BTreeMap<String, Artifact>;

/// One stored file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Below the store's root: `<tenant>/<model_type>/<model_id>/<file>`.
    pub path: String,
    /// SHA-256 of the bytes, in lower-case hexadecimal digits.
    pub sha256: String,
    /// Size.
    pub bytes: u64,
}

/// Where artifacts are kept. Cheap to clone.
#[derive(Clone)]
pub struct ArtifactStore {
    store: Arc<dyn ObjectStore>,
}

impl fmt::Debug for ArtifactStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArtifactStore({})", self.store)
    }
}

impl ArtifactStore {
    /// Opens MODEL_REGISTRY_PATH: a folder (created if need be), or a `file://`, `s3://`, `gs://` or
    /// `az://` URL. Keys and endpoints of the clouds come from their usual variables (`AWS_*`,
    /// `GOOGLE_*`, `AZURE_*`).
    ///
    /// # Errors
    /// [`Error::Internal`] naming the location, if it is none or the folder cannot be made.
    pub fn open(location: &str) -> Result<Self> {
        let failed = |source: BoxError| Error::internal(format!("MODEL_REGISTRY_PATH={location}: {source}"));
        match location.split_once("://") {
            None => Self::folder(location.as_ref()).map_err(failed),
            Some(("file", path)) => Self::folder(path.as_ref()).map_err(failed),
            Some(_) => Self::cloud(location).map_err(failed),
        }
    }

    fn folder(path: &std::path::Path) -> Result<Self, BoxError> {
        std::fs::create_dir_all(path)?;
        // A version's row must not outlive its file in a crash.
        let store = LocalFileSystem::new_with_prefix(path)?.with_fsync(true).with_automatic_cleanup(true);
        Ok(Self { store: Arc::new(store) })
    }

    fn cloud(location: &str) -> Result<Self, BoxError> {
        let url = location.parse()?;
        let variables = std::env::vars()
            .map(|(key, value)| (key.to_ascii_lowercase(), value))
            .filter(|(key, _)| ["aws_", "google_", "azure_"].iter().any(|prefix| key.starts_with(prefix)));
        let (store, prefix) = object_store::parse_url_opts(&url, variables)?;
        Ok(Self { store: Arc::new(PrefixStore::new(store, prefix)) })
    }

    /// Keeps the files of a model that is not yet known to anyone.
    pub(super) async fn put_all(
        &self,
        tenant: TenantId,
        model_type: ModelType,
        model_id: Uuid,
        files: &[(String, Bytes)],
    ) -> Result<Artifacts> {
        let mut artifacts = Artifacts::new();
        for (name, bytes) in files {
            let folder = [tenant.to_string(), model_type.name.to_owned(), model_id.to_string()];
            let path = folder.iter().map(String::as_str).chain([name.as_str()]).collect::<Path>();
            if let Err(error) = self.store.put(&path, bytes.clone().into()).await {
                self.remove_all(&artifacts).await;
                return Err(unavailable(error));
            }
            let artifact = Artifact {
                path: path.into(),
                sha256: digest(bytes.clone()).await?,
                bytes: bytes.len() as u64,
            };
            artifacts.insert(name.clone(), artifact);
        }
        Ok(artifacts)
    }

    /// Best effort: a file that stays behind wastes space and nothing else.
    pub(crate) async fn remove_all(&self, artifacts: &Artifacts) {
        for artifact in artifacts.values() {
            if let Err(error) = self.store.delete(&Path::from(artifact.path.as_str())).await {
                tracing::warn!(path = artifact.path, %error, "an artifact without a model stays behind");
            }
        }
    }

    /// The bytes of one file of a model, checked against the sum in its row.
    ///
    /// # Errors
    /// [`Error::CorruptArtifact`] naming type and version; [`Error::Unavailable`] if the store is away.
    pub async fn get(&self, model: &ModelRecord, file: &str) -> Result<Bytes> {
        let artifact = model.artifacts.get(file).ok_or_else(|| Error::CorruptArtifact {
            model: model.name(),
            source: format!("the model has no file '{file}'").into(),
        })?;
        self.fetch(model.tenant, &model.name(), artifact).await
    }

    /// The bytes of a file of the tenant, checked; `what` names its owner in errors.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(crate) async fn fetch(&self, tenant: TenantId, what: &str, artifact: &Artifact) -> Result<Bytes> {
        let corrupt = |source: BoxError| Error::CorruptArtifact { model: what.to_owned(), source };
        let tenant = tenant.to_string();
        let path = Path::parse(&artifact.path).map_err(|error| corrupt(error.into()))?;
        if path.parts().next().is_none_or(|part| part.as_ref() != tenant) {
            return Err(corrupt(format!("{path} is not below the tenant's folder").into()));
        }
        let bytes = match self.read(&path).await {
            Ok(bytes) => bytes,
            Err(error @ object_store::Error::NotFound { .. }) => return Err(corrupt(error.into())),
            Err(error) => return Err(unavailable(error)),
        };
        if digest(bytes.clone()).await? == artifact.sha256 {
            Ok(bytes)
        } else {
            let found = bytes.len();
            Err(corrupt(
                format!("{path}: {found} bytes do not match the checksum of {}", artifact.bytes).into(),
            ))
        }
    }

    async fn read(&self, path: &Path) -> object_store::Result<Bytes> {
        self.store.get(path).await?.bytes().await
    }
}

fn unavailable(error: object_store::Error) -> Error {
    Error::Unavailable { dependency: "The model registry's file store", source: error.into() }
}

/// A large model takes tens of milliseconds, which predictions on the async threads would wait.
async fn digest(bytes: Bytes) -> Result<String> {
    let hex = move || Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    tokio::task::spawn_blocking(hex).await.map_err(Error::internal)
}
