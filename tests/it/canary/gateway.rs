//! Between the service and the real MLflow: reads every request on its way.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use tokio::{net::TcpListener, task::JoinHandle};

use super::leaks::{Channel, Leaks};

pub struct Gateway {
    url: String,
    served: JoinHandle<()>,
}

struct Shared {
    mlflow: &'static str,
    client: reqwest::Client,
    leaks: Arc<Leaks>,
}

impl Gateway {
    pub async fn start(mlflow: &'static str, leaks: Arc<Leaks>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let router = Router::new().fallback(pass).with_state(Arc::new(Shared { mlflow, client, leaks }));
        let served = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        Self { url, served }
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.served.abort();
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut message = format!("{} {path} {:?}\n", head.method, head.headers).into_bytes();
    message.extend_from_slice(&body);
    shared.leaks.check_at_most_one(Channel::Mlflow, &message, path);
    // By itself, since numbers are looked for in what is JSON as a whole.
    shared.leaks.check_at_most_one(Channel::Mlflow, &body, path);
    let mut headers = head.headers;
    headers.remove("host");
    let sent = shared
        .client
        .request(head.method, format!("{}{path}", shared.mlflow))
        .headers(headers)
        .body(body)
        .send()
        .await;
    let answer = match sent {
        Ok(answer) => answer,
        Err(_) => return status(StatusCode::BAD_GATEWAY),
    };
    let mut response = status(answer.status());
    if let Some(kind) = answer.headers().get("content-type") {
        response.headers_mut().insert("content-type", kind.clone());
    }
    *response.body_mut() = Body::from(answer.bytes().await.unwrap_or_default());
    response
}

fn status(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
