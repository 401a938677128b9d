//! The bytes of a run's files: one file in the artifact store beside the model's own, which are not
//! stored twice.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    auth::TenantId,
    registry::{ArtifactStore, Artifacts},
    tracking::ArtifactFile,
};

/// Name of the pack beside the model's files.
pub(crate) const PACK_FILE: &str = "mlflow.pack";

/// Where one file of the run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Slice {
    /// Path in the run.
    path: String,
    /// Name of the stored file.
    file: String,
    offset: u64,
    bytes: u64,
}

/// The run's files end to end, those left out that are the model's own.
#[derive(Debug)]
pub(crate) struct Pack {
    pub(crate) bytes: Bytes,
    slices: Vec<Slice>,
}

/// Where a run's files are, as its row keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    artifacts: Artifacts,
    slices: Vec<Slice>,
}

impl Pack {
    /// Packs `files` beside the files of the model.
    pub(crate) fn new(files: &[ArtifactFile], of_model: &[(String, Bytes)]) -> Self {
        let mut bytes = BytesMut::new();
        let slice = |file: &ArtifactFile| {
            let (name, offset) = match of_model.iter().find(|(_, bytes)| *bytes == file.bytes) {
                Some((name, _)) => (name.clone(), 0),
                None => {
                    bytes.extend_from_slice(&file.bytes);
                    (PACK_FILE.to_owned(), bytes.len() - file.bytes.len())
                }
            };
            Slice {
                path: file.path.clone(),
                file: name,
                offset: offset as u64,
                bytes: file.bytes.len() as u64,
            }
        };
        let slices = files.iter().map(slice).collect();
        Self { slices, bytes: bytes.freeze() }
    }

    /// With the stored files, the pack's own among them.
    pub(crate) fn manifest(&self, artifacts: &Artifacts) -> Manifest {
        let named = |name: &&String| self.slices.iter().any(|slice| slice.file == **name);
        let artifacts = artifacts
            .iter()
            .filter(|(name, _)| named(name) || *name == PACK_FILE)
            .map(|(name, artifact)| (name.clone(), artifact.clone()));
        Manifest { artifacts: artifacts.collect(), slices: self.slices.clone() }
    }
}

impl Manifest {
    /// Reads the run's files back.
    pub(super) async fn read(&self, store: &ArtifactStore, tenant: TenantId) -> Result<Vec<ArtifactFile>> {
        let mut stored = BTreeMap::new();
        for (name, artifact) in &self.artifacts {
            stored.insert(name.as_str(), store.fetch(tenant, "run", artifact).await?);
        }
        let cut = |slice: &Slice| {
            let range =
                usize::try_from(slice.offset).ok()?..usize::try_from(slice.offset + slice.bytes).ok()?;
            let bytes = stored.get(slice.file.as_str()).filter(|bytes| range.end <= bytes.len())?;
            Some(ArtifactFile::new(slice.path.clone(), bytes.slice(range)))
        };
        let files: Option<Vec<_>> = self.slices.iter().map(cut).collect();
        files.ok_or_else(|| Error::internal("the files of a run are not where its row says"))
    }

    /// Removes the pack, not the model's own files. Best effort.
    pub(super) async fn remove(&self, store: &ArtifactStore) {
        let pack = self.artifacts.iter().filter(|(name, _)| *name == PACK_FILE);
        store.remove_all(&pack.map(|(name, artifact)| (name.clone(), artifact.clone())).collect()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_own_files_are_not_packed() {
        let model = [("model.bml".to_owned(), Bytes::from_static(b"trees"))];
        let files = [("a", "one"), ("model/model.binah", "trees"), ("b", ""), ("c", "three")]
            .map(|(path, text)| ArtifactFile::new(path, text));
        let pack = Pack::new(&files, &model);
        assert_eq!(pack.bytes, "onethree");
        let places: Vec<_> =
            pack.slices.iter().map(|slice| (&*slice.file, slice.offset, slice.bytes)).collect();
        let own = PACK_FILE;
        assert_eq!(places, [(own, 0, 3), ("model.bml", 0, 5), (own, 3, 0), (own, 3, 5)]);
    }
}
