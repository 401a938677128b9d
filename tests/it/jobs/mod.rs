//! Trainings as jobs, through HTTP: queued without waiting, listed, watched, cancelled, sent again.

mod cancelling;
mod events;
mod looking;
mod submitting;

use std::time::Duration;

use binah_ml::{
    auth::tenant::scope,
    dev::portfolio::TenantProfile,
    jobs::{Jobs, Limits},
};
use serde_json::{Value, json};

use crate::support::{Answer, Service, TENANT_A, tenant};

const TRAIN: &str = "/api/ml/train";
const JOBS: &str = "/api/ml/jobs";
const TYPE: &str = "cost_forecasting";
/// How long a crowded machine may take for what takes a second.
const PATIENCE: Duration = Duration::from_secs(120);

/// Rows of a line with a dent.
fn rows(n: usize) -> Vec<Value> {
    let row = |i: usize| {
        let size = (i * 37 % 101) as f64;
        json!({ "size": size, "total_cost": 1000.0 + 50.0 * (size - 50.0).abs() })
    };
    (0..n).map(row).collect()
}

/// A training of a moment.
fn quick() -> Value {
    json!({ "tenant_id": TENANT_A, "model_type": TYPE, "data": rows(60), "config": { "n_estimators": 5 } })
}

/// A training that only a cancellation ends while a test waits: its query counts for ever.
fn endless() -> Value {
    let tables: Vec<_> = ('a'..='j').map(|name| format!("cost_records {name}")).collect();
    let query = format!("SELECT count(*) AS target, 1 AS z FROM {}", tables.join(", "));
    json!({ "tenant_id": TENANT_A, "model_type": TYPE, "training_data_query": query })
}

/// The same as `body`, answered at once.
fn at_once(mut body: Value) -> Value {
    body["async"] = json!(true);
    body
}

/// A service whose tenant A has records, and an endless training of it that runs.
async fn occupied(settings: &[(&str, &str)]) -> (Service, String) {
    let service = Service::start_with(settings).await;
    service.load_sample(TENANT_A, &TenantProfile::metropolitan()).await;
    let id = submit(&service, endless()).await;
    until(&service, &id, |job| job["stage"] == "reading").await;
    (service, id)
}

/// Queues a training of tenant A; the job's id.
async fn submit(service: &Service, body: Value) -> String {
    let answer = service.post(TRAIN, TENANT_A, &at_once(body)).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.body["job_id"].as_str().expect("an id").to_owned()
}

fn path(id: &str) -> String {
    format!("{JOBS}/{id}")
}

/// Tenant A's job as it is.
async fn job(service: &Service, id: &str) -> Value {
    service.get(&path(id), TENANT_A).await.ok()
}

/// Tenant A's job as soon as it is as it should.
async fn until(service: &Service, id: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let waiting = async {
        loop {
            last = job(service, id).await;
            if holds(&last) {
                return last.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(job) => job,
        Err(_) => panic!("waited in vain: {last}"),
    }
}

async fn until_status(service: &Service, id: &str, status: &str) -> Value {
    until(service, id, |job| job["status"] == status).await
}

async fn cancel(service: &Service, id: &str) -> Answer {
    service.send("DELETE", &path(id), TENANT_A, "user", None).await
}

/// Cancels and waits for the end.
async fn stop(service: &Service, id: &str) -> Value {
    assert!([200, 202].contains(&cancel(service, id).await.status));
    until_status(service, id, "cancelled").await
}

/// A request of tenant A with headers of its own.
async fn request(
    service: &Service,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> reqwest::Response {
    request_of(service, TENANT_A, method, path, headers, body).await
}

async fn request_of(
    service: &Service,
    tenant_id: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> reqwest::Response {
    let method = method.parse().expect("a method");
    let mut request = reqwest::Client::new().request(method, format!("{}{path}", service.base));
    request = request.bearer_auth(service.token(tenant_id, "user"));
    for (name, value) in headers {
        request = request
            .header(*name, reqwest::header::HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    request.send().await.expect("an answer")
}

/// A training of tenant A, sent with headers.
async fn train(service: &Service, headers: &[(&str, &str)], body: &Value) -> Answer {
    let response = request(service, "POST", TRAIN, headers, Some(body)).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: response.json().await.expect("JSON") }
}

/// Cancels a job of tenant A whose service has ended.
async fn cancel_without_service(service: &Service, id: &str) {
    let database = service.database();
    let jobs = Jobs::new(database.clone(), Limits::default());
    scope(tenant(TENANT_A), jobs.cancel(id.parse().expect("a UUID"))).await.expect("cancels");
    database.close().await;
}
