//! MLflow's REST API: one exchange, its retries, and the calls in the files beside.

mod artifacts;
mod experiments;
mod limits;
mod models;
mod runs;
mod wire;
mod workspaces;

use std::path::{Path, PathBuf};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{HOST, HeaderValue};
use reqwest::{RequestBuilder, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::TrackingError;
pub use artifacts::ArtifactFile;
pub use experiments::ExperimentId;
pub use runs::{NewRun, RunValues};
pub(super) use wire::f64_or_text;
pub use wire::{
    Dataset, DatasetColumn, Metric, ModelAlias, ModelVersion, Pair, RegisteredModel, Run, RunInfo, RunStatus,
};

/// Where MLflow is and how it is spoken to.
#[derive(Clone)]
pub struct ClientConfig {
    /// Address, with a path prefix if it has one. A user and password in it are taken for basic auth.
    pub uri: Url,
    /// Host header to send instead of the address's, for servers that know only `localhost:5000`.
    pub host_header: Option<String>,
    /// Basic auth (`MLFLOW_TRACKING_USERNAME`, `_PASSWORD`).
    pub username: Option<String>,
    /// Basic auth.
    pub password: Option<SecretString>,
    /// Bearer token; wins over basic auth, as in the Python client.
    pub token: Option<SecretString>,
    /// Accept any server certificate.
    pub insecure_tls: bool,
    /// PEM file of the authorities that the server's certificate may be of, beside the system's.
    pub ca_certificate: Option<PathBuf>,
    /// Limit of one request. A busy server may wait 30 s for its own database: 60 s or more.
    pub timeout: Duration,
    /// How often and how fast a call is repeated.
    pub retry: RetryPolicy,
}

impl ClientConfig {
    /// The defaults for a server at `uri`: no authentication, 60 s.
    #[must_use]
    pub fn new(uri: Url) -> Self {
        Self {
            uri,
            host_header: None,
            username: None,
            password: None,
            token: None,
            insecure_tls: false,
            ca_certificate: None,
            timeout: Duration::from_secs(60),
            retry: RetryPolicy::default(),
        }
    }
}

impl std::fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            uri,
            host_header,
            username,
            password,
            token,
            insecure_tls,
            ca_certificate,
            timeout,
            retry,
        } = self;
        f.debug_struct("ClientConfig")
            .field("uri", &format_args!("{}://{}{}", uri.scheme(), authority(uri), uri.path()))
            .field("host_header", host_header)
            .field("username", username)
            .field("password", password)
            .field("token", token)
            .field("insecure_tls", insecure_tls)
            .field("ca_certificate", ca_certificate)
            .field("timeout", timeout)
            .field("retry", retry)
            .finish()
    }
}

/// Repetition of a call that failed in passing; the pause doubles, with jitter.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Repetitions after the first attempt.
    pub retries: usize,
    /// Pause before the first repetition.
    pub first_pause: Duration,
}

impl Default for RetryPolicy {
    /// Three repetitions, about two seconds in all. Patience beyond that is the outbox's.
    fn default() -> Self {
        Self { retries: 3, first_pause: Duration::from_millis(200) }
    }
}

impl RetryPolicy {
    pub(super) fn backoff(self) -> ExponentialBuilder {
        ExponentialBuilder::default()
            .with_max_times(self.retries)
            .with_min_delay(self.first_pause)
            .with_jitter()
    }
}

/// A connection to one MLflow server, or to one workspace of it; clones share connections and experiment ids.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    config: ClientConfig,
    /// Where all calls go; `None`: the server's default, or an MLflow without workspaces.
    workspace: Option<String>,
    experiments: experiments::Cache,
}

/// When a failed call may be repeated at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// On every passing failure but a timeout, which has cost the caller its patience already.
    Idempotent,
    /// Only if it never reached the server: a repetition would create a second one.
    Creates,
}

impl Client {
    /// A client; connects on first use.
    ///
    /// # Errors
    /// [`TrackingError::Invalid`] for an address or Host header that HTTP cannot carry, or a file that
    /// holds no certificate.
    pub fn new(mut config: ClientConfig) -> Result<Self, TrackingError> {
        let invalid =
            |what, value: &str, rule| TrackingError::Invalid { what, value: value.to_owned(), rule };
        if !matches!(config.uri.scheme(), "http" | "https") || !config.uri.has_host() {
            return Err(invalid("tracking address", config.uri.scheme(), "http:// or https:// and a host"));
        }
        if let Some(host) = &config.host_header {
            HeaderValue::from_str(host).map_err(|_| invalid("Host header", host, "visible ASCII"))?;
        }
        take_credentials(&mut config);
        let authorities = config.ca_certificate.as_deref().map_or(Ok(vec![]), authorities)?;
        let http = reqwest::Client::builder()
            .tls_certs_merge(authorities)
            .timeout(config.timeout)
            .connect_timeout(config.timeout.min(Duration::from_secs(5)))
            .danger_accept_invalid_certs(config.insecure_tls)
            .user_agent(concat!("binah-ml/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| TrackingError::Unreachable { call: "set up", source })?;
        Ok(Self { http, config, workspace: None, experiments: experiments::Cache::default() })
    }

    /// Whether the server is up and lets us in: host name check, authentication and database
    /// included, which its own `/health` leaves out. One attempt.
    ///
    /// # Errors
    /// What a real call would meet.
    pub async fn health(&self) -> Result<(), TrackingError> {
        const CALL: &str = "experiments/search";
        let request = self.request(reqwest::Method::POST, "api/2.0/mlflow/experiments/search");
        let body = self.exchange(CALL, request.json(&json!({"max_results": 1}))).await?;
        object(CALL, &body).map(|wire::Done {}| ())
    }

    pub(super) fn retry(&self) -> RetryPolicy {
        self.config.retry
    }

    async fn post<T: DeserializeOwned>(
        &self,
        call: &'static str,
        repeat: Repeat,
        body: &Value,
    ) -> Result<T, TrackingError> {
        let path = format!("api/2.0/mlflow/{call}");
        self.call(call, repeat, || self.request(reqwest::Method::POST, &path).json(body)).await
    }

    /// A call that sets what need not be there. MLflow looks whether it is, and adds it if not: of two callers at the
    /// same time the later one is refused, although it was to set it; by then it is there.
    async fn merge(&self, call: &'static str, body: &Value) -> Result<(), TrackingError> {
        let post = || self.post(call, Repeat::Idempotent, body);
        let merged = match post().await {
            Err(error) if error.already_exists() => post().await,
            merged => merged,
        };
        merged.map(|wire::Done {}| ())
    }

    async fn get<T: DeserializeOwned>(
        &self,
        call: &'static str,
        query: &[(&str, &str)],
    ) -> Result<T, TrackingError> {
        let path = format!("api/2.0/mlflow/{call}");
        self.call(call, Repeat::Idempotent, || self.request(reqwest::Method::GET, &path).query(query)).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        call: &'static str,
        repeat: Repeat,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<T, TrackingError> {
        self.send(call, repeat, request, |body| object(call, body)).await
    }

    /// What `read` makes of a successful answer, after as many attempts as `repeat` allows.
    async fn send<T>(
        &self,
        call: &'static str,
        repeat: Repeat,
        request: impl Fn() -> RequestBuilder,
        read: impl Fn(&[u8]) -> Result<T, TrackingError>,
    ) -> Result<T, TrackingError> {
        let again = |error: &TrackingError| match repeat {
            Repeat::Idempotent => error.is_transient() && !matches!(error, TrackingError::Timeout { .. }),
            Repeat::Creates => error.never_arrived(),
        };
        (async || read(&self.exchange(call, request()).await?))
            .retry(self.config.retry.backoff())
            .when(again)
            .notify(|error, pause| tracing::debug!(%error, ?pause, "MLflow call is repeated"))
            .await
    }

    fn request(&self, method: reqwest::Method, path: &str) -> RequestBuilder {
        let config = &self.config;
        let url = format!("{}/{path}", config.uri.as_str().trim_end_matches('/'));
        let mut request = self.http.request(method, url);
        if let Some(host) = &config.host_header {
            request = request.header(HOST, host);
        }
        if let Some(workspace) = &self.workspace {
            request = request.header(workspaces::HEADER, workspace);
        }
        match (&config.token, &config.username) {
            (Some(token), _) => request.bearer_auth(token.expose_secret()),
            (None, Some(user)) => {
                request.basic_auth(user, config.password.as_ref().map(ExposeSecret::expose_secret))
            }
            (None, None) => request,
        }
    }

    async fn exchange(&self, call: &'static str, request: RequestBuilder) -> Result<Vec<u8>, TrackingError> {
        let failed = |source: reqwest::Error| {
            if source.is_timeout() && !source.is_connect() {
                TrackingError::Timeout { call, after: self.config.timeout }
            } else {
                TrackingError::Unreachable { call, source: source.without_url() }
            }
        };
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(failed)?;
        if status.is_success() { Ok(body.into()) } else { Err(self.refusal(call, status, &body)) }
    }

    fn refusal(&self, call: &'static str, status: StatusCode, body: &[u8]) -> TrackingError {
        if status == StatusCode::FORBIDDEN && String::from_utf8_lossy(body).contains("Invalid Host header") {
            let host = self.config.host_header.clone().unwrap_or_else(|| authority(&self.config.uri));
            return TrackingError::HostRefused { host };
        }
        let parsed: wire::ErrorBody = serde_json::from_slice(body).unwrap_or_default();
        let message = parsed.message.unwrap_or_else(|| excerpt(body));
        // 503 in plain words from the pages about workspaces, 500 wherever the header is.
        if message.contains("without workspaces support") || message.contains("workspaces are not enabled") {
            return TrackingError::NoWorkspaces;
        }
        TrackingError::Refused { call, status: status.as_u16(), code: parsed.error_code, message }
    }
}

/// Reads a JSON object; anything else under a success status is not MLflow speaking.
fn object<T: DeserializeOwned>(call: &'static str, body: &[u8]) -> Result<T, TrackingError> {
    serde_json::from_slice(body).map_err(|error| TrackingError::UnreadableAnswer {
        call,
        reason: format!("{error}; it starts {:?}", excerpt(body)),
    })
}

/// The certificates of a PEM file.
fn authorities(path: &Path) -> Result<Vec<reqwest::Certificate>, TrackingError> {
    let invalid = |rule| TrackingError::Invalid {
        what: "server certificate file",
        value: path.display().to_string(),
        rule,
    };
    let pem = std::fs::read(path).map_err(|_| invalid("must be a file that can be read"))?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(invalid("must hold certificates in PEM")),
    }
}

fn excerpt(body: &[u8]) -> String {
    limits::cut(String::from_utf8_lossy(body).trim(), 200).to_owned()
}

fn authority(uri: &Url) -> String {
    let host = uri.host_str().unwrap_or_default();
    uri.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Moves a user and password of the address to where they are never printed.
fn take_credentials(config: &mut ClientConfig) {
    let uri = &mut config.uri;
    if !uri.username().is_empty() && config.username.is_none() {
        config.username = Some(uri.username().to_owned());
        config.password = uri.password().map(SecretString::from);
    }
    // Neither fails: the address has a host.
    let _ = uri.set_username("");
    let _ = uri.set_password(None);
    uri.set_query(None);
    uri.set_fragment(None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let mut config =
            ClientConfig::new(Url::parse("http://ann:hidden@mlflow:5000/ml").expect("an address"));
        config.token = Some("concealed".into());
        let client = Client::new(config.clone()).expect("a client");
        let printed = format!("{config:?} {client:?}");
        assert!(!printed.contains("hidden") && !printed.contains("concealed"), "{printed}");
        assert_eq!(client.config.username.as_deref(), Some("ann"));
        assert_eq!(client.config.uri.as_str(), "http://mlflow:5000/ml");
    }

    #[test]
    fn a_certificate_file_must_hold_certificates() {
        let mut config = ClientConfig::new(Url::parse("https://mlflow").expect("an address"));
        for path in ["/nowhere/ca.pem", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
            config.ca_certificate = Some(path.into());
            let error = Client::new(config.clone()).expect_err("no certificate").to_string();
            assert!(error.contains(path), "{error}");
        }
    }

    #[test]
    fn unusable_addresses_are_refused() {
        for bad in ["sqlite:///mlflow.db", "file:///tmp", "databricks:x"] {
            assert!(Client::new(ClientConfig::new(Url::parse(bad).expect("parses"))).is_err(), "{bad}");
        }
    }
}
