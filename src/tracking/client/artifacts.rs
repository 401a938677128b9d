//! Files of a run, by way of the server's proxy.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::Value;

use super::super::TrackingError;
use super::wire::RunInfo;
use super::{Client, Repeat, excerpt, limits};

/// One file of a run.
#[derive(Clone, PartialEq, Eq)]
pub struct ArtifactFile {
    /// Path in the run, `/` between folders.
    pub path: String,
    /// Content.
    pub bytes: Bytes,
}

impl std::fmt::Debug for ArtifactFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} bytes)", self.path, self.bytes.len())
    }
}

impl ArtifactFile {
    /// A file.
    pub fn new(path: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self { path: path.into(), bytes: bytes.into() }
    }
}

/// Where the server's proxy takes a run's files: an encoded path.
///
/// A folder of the server itself would take them too, from its web page's upload: up to 10 MiB each, and no
/// Python elsewhere could load them from there.
fn proxied(artifact_uri: &str) -> Result<String, TrackingError> {
    let path = artifact_uri.strip_prefix("mlflow-artifacts:");
    let path = path.map(|path| path.strip_prefix("///").or_else(|| path.strip_prefix('/')).unwrap_or(path));
    match path {
        // `mlflow-artifacts://host/...` names another server.
        Some(path) if !path.starts_with('/') => limits::url_path(path),
        _ => Err(TrackingError::UnsupportedArtifactStore { uri: artifact_uri.to_owned() }),
    }
}

/// Whether the server's proxy takes files for that place.
pub(super) fn is_proxied(artifact_uri: &str) -> bool {
    proxied(artifact_uri).is_ok()
}

#[derive(Debug, Deserialize)]
struct Listing {
    #[serde(default)]
    files: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    path: String,
    /// None for a folder.
    #[serde(default)]
    file_size: Option<u64>,
}

impl Client {
    /// Writes or overwrites one file of the run, of any size.
    ///
    /// # Errors
    /// [`TrackingError::UnsupportedArtifactStore`] where the server has no proxy before the run's files.
    pub async fn upload(&self, run: &RunInfo, file: &ArtifactFile) -> Result<(), TrackingError> {
        let (folder, path) = (proxied(&run.artifact_uri)?, limits::url_path(&file.path)?);
        let url = format!("api/2.0/mlflow-artifacts/artifacts/{folder}/{path}");
        let request = || {
            let request = self.request(Method::PUT, &url).header(CONTENT_TYPE, "application/octet-stream");
            request.body(file.bytes.clone())
        };
        // Nothing (3.x) or an object (2.x); a page is a proxy's.
        let read = |body: &[u8]| {
            if body.trim_ascii().is_empty() || serde_json::from_slice::<Value>(body).is_ok() {
                return Ok(());
            }
            let reason = format!("it starts {:?}", excerpt(body));
            Err(TrackingError::UnreadableAnswer { call: "upload artifact", reason })
        };
        self.send("upload artifact", Repeat::Idempotent, request, read).await
    }

    /// Paths and sizes of the files directly below `folder` of the run; `""` is the run itself.
    ///
    /// # Errors
    /// As every call.
    pub async fn artifact_sizes(
        &self,
        run_id: &str,
        folder: &str,
    ) -> Result<Vec<(String, u64)>, TrackingError> {
        let query = [("run_id", run_id), ("path", folder)];
        let Listing { files } = self.get("artifacts/list", &query).await?;
        Ok(files.into_iter().filter_map(|file| Some((file.path, file.file_size?))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_decides() {
        let of = |uri| proxied(uri).ok();
        assert_eq!(of("mlflow-artifacts:/a/b c/artifacts").as_deref(), Some("a/b%20c/artifacts"));
        assert_eq!(of("mlflow-artifacts:///a").as_deref(), Some("a"));
        for other in
            ["mlflow-artifacts://host:5000/a", "/srv/mlruns/1", "file:///srv/mlruns/1", "s3://bucket/1"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
