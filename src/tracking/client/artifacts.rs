//! Files of a run. The run's `artifact_uri` decides how they are uploaded.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::Value;

use super::super::TrackingError;
use super::limits::{self, AJAX_UPLOAD_BYTES};
use super::wire::RunInfo;
use super::{Client, Repeat, excerpt};

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

/// How a file reaches a run's folder.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    /// PUT to the server's proxy, below this encoded path.
    Proxy(String),
    /// The folder is the server's own: only the web page's upload writes there, and Python users
    /// elsewhere cannot load from it.
    ServerFolder,
}

fn route(artifact_uri: &str) -> Result<Route, TrackingError> {
    let unsupported = || TrackingError::UnsupportedArtifactStore { uri: artifact_uri.to_owned() };
    if let Some(path) = artifact_uri.strip_prefix("mlflow-artifacts:") {
        // `mlflow-artifacts://host/...` names another server.
        let path = path.strip_prefix("///").or_else(|| path.strip_prefix('/')).unwrap_or(path);
        if path.starts_with('/') {
            return Err(unsupported());
        }
        return limits::url_path(path).map(Route::Proxy);
    }
    let local = artifact_uri.starts_with('/') || artifact_uri.starts_with("file:");
    if local { Ok(Route::ServerFolder) } else { Err(unsupported()) }
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
    /// Writes or overwrites one file of the run.
    ///
    /// # Errors
    /// [`TrackingError::ArtifactTooLarge`] over 10 MiB where the run's folder is the server's own;
    /// [`TrackingError::UnsupportedArtifactStore`] for object stores without a proxy.
    pub async fn upload(&self, run: &RunInfo, file: &ArtifactFile) -> Result<(), TrackingError> {
        let path = limits::url_path(&file.path)?;
        let (method, url, query) = match route(&run.artifact_uri)? {
            Route::Proxy(folder) => {
                (Method::PUT, format!("api/2.0/mlflow-artifacts/artifacts/{folder}/{path}"), None)
            }
            Route::ServerFolder if file.bytes.len() > AJAX_UPLOAD_BYTES => {
                return Err(TrackingError::ArtifactTooLarge {
                    path: file.path.clone(),
                    bytes: file.bytes.len(),
                });
            }
            Route::ServerFolder => {
                let query = [("run_uuid", run.run_id.as_str()), ("path", file.path.as_str())];
                (Method::POST, "ajax-api/2.0/mlflow/upload-artifact".to_owned(), Some(query))
            }
        };
        let request = || {
            let request = self.request(method.clone(), &url).header(CONTENT_TYPE, "application/octet-stream");
            request.query(query.as_ref().map_or(&[][..], |query| query)).body(file.bytes.clone())
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

    /// Paths of the files and folders directly below `folder` of the run.
    ///
    /// # Errors
    /// As every call.
    pub async fn list_artifacts(&self, run_id: &str, folder: &str) -> Result<Vec<String>, TrackingError> {
        Ok(self.listing(run_id, folder).await?.files.into_iter().map(|file| file.path).collect())
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
        let files = self.listing(run_id, folder).await?.files;
        Ok(files.into_iter().filter_map(|file| Some((file.path, file.file_size?))).collect())
    }

    async fn listing(&self, run_id: &str, folder: &str) -> Result<Listing, TrackingError> {
        self.get("artifacts/list", &[("run_id", run_id), ("path", folder)]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_decides() {
        let proxied = |path: &str| Ok::<_, ()>(Route::Proxy(path.to_owned()));
        let of = |uri| route(uri).map_err(|_| ());
        assert_eq!(of("mlflow-artifacts:/a/b c/artifacts"), proxied("a/b%20c/artifacts"));
        assert_eq!(of("mlflow-artifacts:///a"), proxied("a"));
        assert_eq!(of("mlflow-artifacts://host:5000/a"), Err(()));
        assert_eq!(of("/srv/mlruns/1"), Ok(Route::ServerFolder));
        assert_eq!(of("file:///srv/mlruns/1"), Ok(Route::ServerFolder));
        assert_eq!(of("s3://bucket/1"), Err(()));
    }
}
