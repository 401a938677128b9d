//! A client that acts for one tenant after the other on the same connections.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use binah_ml::forest::rng::Rng;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{
    leaks::{Channel, Leaks},
    tenants::{BAND, Tenant, Tenants},
};
use crate::support::Process;

/// How often each action ended how.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<(&'static str, u16), u64>);

/// The actions and how often, of a thousand, a client takes them. Trainings are rare, since MLflow
/// takes a dozen requests of each.
const ACTIONS: [(&str, u32); 16] = [
    ("predict", 600),
    ("predict badly", 70),
    ("train stored", 8),
    ("train inline", 5),
    ("train by query", 8),
    ("train by failing query", 9),
    ("read jobs", 30),
    ("watch a training", 5),
    ("watch as another", 15),
    ("read metrics", 70),
    ("read as another", 30),
    ("train as another", 20),
    ("cancel", 50),
    ("cut the connection", 40),
    ("read /me", 20),
    ("read /metrics", 20),
];

const MODEL_TYPES: [&str; 4] = ["cost_forecasting", "risk_assessment", "roi_prediction", "anomaly_detection"];

pub struct Client {
    base: String,
    address: String,
    tokens: Vec<String>,
    tenants: Arc<Tenants>,
    leaks: Arc<Leaks>,
    rng: Rng,
    http: reqwest::Client,
    /// Ids of jobs, whoever's.
    jobs: Vec<String>,
    pub tally: Tally,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        for (key, count) in &other.0 {
            *self.0.entry(*key).or_default() += count;
        }
    }

    fn count(&mut self, action: &'static str, status: u16) {
        *self.0.entry((action, status)).or_default() += 1;
    }

    /// An action that never had the outcome that it is there for would show nothing.
    pub fn assert_every_kind_happened(&self) {
        for (action, status) in [
            ("predict", 200),
            ("predict badly", 422),
            ("train stored", 200),
            ("train inline", 200),
            ("train by query", 200),
            ("train by failing query", 422),
            ("read jobs", 200),
            ("watch a training", 202),
            ("watch a training", 200),
            ("watch as another", 404),
            ("read metrics", 200),
            ("read as another", 403),
            ("train as another", 403),
            ("cancel", 0),
            ("cut the connection", 0),
            ("read /me", 200),
            ("read /metrics", 200),
        ] {
            assert!(self.0.contains_key(&(action, status)), "{action} with {status}: {:#?}", self.0);
        }
        let broken: Vec<_> = self.0.keys().filter(|(_, status)| *status == 500).collect();
        assert!(broken.is_empty(), "{broken:?}");
    }
}

impl Client {
    pub fn new(service: &Process, tenants: Arc<Tenants>, leaks: Arc<Leaks>, rng: Rng) -> Self {
        Self {
            base: service.base.clone(),
            address: service.base.trim_start_matches("http://").to_owned(),
            tokens: tenants
                .iter()
                .map(|tenant| service.token_of(&tenant.user, &tenant.id.to_string(), "user"))
                .collect(),
            tenants,
            leaks,
            rng,
            http: reqwest::Client::builder().no_proxy().build().expect("a client"),
            jobs: vec![],
            tally: Tally::default(),
        }
    }

    /// The models without which nothing can be predicted.
    pub async fn first_models(&mut self, index: usize) {
        let tenants = Arc::clone(&self.tenants);
        let tenant = tenants.get(index);
        let body =
            json!({"tenant_id": tenant.id, "model_type": "cost_forecasting", "config": {"n_estimators": 5}});
        let answer = self.send("first model", tenant, self.post(tenant, "/api/ml/train", &body)).await;
        assert_eq!(answer["status"], "completed", "{answer}");
        self.jobs.extend(answer["job_id"].as_str().map(str::to_owned));
    }

    /// One action for some tenant.
    pub async fn act(&mut self) {
        let tenants = Arc::clone(&self.tenants);
        let tenant = tenants.any(&mut self.rng);
        let mut draw = self.rng.below(ACTIONS.iter().map(|(_, weight)| weight).sum());
        let action = ACTIONS.iter().find(|(_, weight)| {
            let found = draw < *weight;
            draw = draw.saturating_sub(*weight);
            found
        });
        let (action, _) = *action.expect("the weights add up");
        match action {
            "predict" => self.predict(tenant).await,
            "predict badly" => {
                let mut features = tenant.cost_features(&mut self.rng);
                features["year"] = json!([tenant.word, tenant.number(1)]);
                self.send(action, tenant, self.predicting(tenant, &features)).await;
            }
            "train stored" | "train inline" | "train by query" | "train by failing query" => {
                let body = self.training(action, tenant);
                self.send(action, tenant, self.post(tenant, "/api/ml/train", &body)).await;
            }
            "read jobs" => {
                self.send(action, tenant, self.get(tenant, "/api/ml/jobs?limit=100")).await;
            }
            "watch a training" => {
                let mut body = self.training("train by query", tenant);
                body["async"] = json!(true);
                let job = self.send(action, tenant, self.post(tenant, "/api/ml/train", &body)).await;
                if let Some(id) = job["job_id"].as_str() {
                    self.send(action, tenant, self.get(tenant, &format!("/api/ml/jobs/{id}/events"))).await;
                }
            }
            "watch as another" => {
                let job = &self.jobs[self.rng.below(self.jobs.len() as u32) as usize];
                let path = format!("/api/ml/jobs/{job}{}", ["", "/events"][self.rng.below(2) as usize]);
                self.send(action, tenant, self.get(tenant, &path)).await;
            }
            "read metrics" => {
                let path = format!("/api/ml/models/{}/cost_forecasting/metrics", tenant.id);
                self.send(action, tenant, self.get(tenant, &path)).await;
            }
            "read as another" => {
                let other = tenants.other(tenant, &mut self.rng);
                let path = format!("/api/ml/models/{}/cost_forecasting/metrics", other.id);
                self.send(action, tenant, self.get(tenant, &path)).await;
            }
            "train as another" => {
                let other = tenants.other(tenant, &mut self.rng);
                let body = json!({"tenant_id": other.id, "model_type": "cost_forecasting"});
                self.send(action, tenant, self.post(tenant, "/api/ml/train", &body)).await;
            }
            "cancel" => self.cancel(tenant).await,
            "cut the connection" => self.cut(tenant).await,
            "read /me" => {
                self.send(action, tenant, self.get(tenant, "/me")).await;
            }
            "read /metrics" => self.read_metrics().await,
            _ => unreachable!("an action without an arm: {action}"),
        }
    }

    /// The number that comes back is of the tenant's own model.
    async fn predict(&mut self, tenant: &Tenant) {
        let features = tenant.cost_features(&mut self.rng);
        let answer = self.send("predict", tenant, self.predicting(tenant, &features)).await;
        let Some(value) = answer["prediction"]["value"].as_f64() else { return };
        let low = tenant.number(0);
        if !(low - BAND / 4.0..low + BAND / 2.0).contains(&value) {
            self.leaks.leak(
                Channel::Answer,
                format!("{value} is no prediction of tenant {}", tenant.index),
                b"",
            );
        }
    }

    fn training(&mut self, action: &str, tenant: &Tenant) -> Value {
        let mut body =
            json!({"tenant_id": tenant.id, "model_type": "cost_forecasting", "config": {"n_estimators": 5}});
        match action {
            "train stored" => {
                body["model_type"] = json!(MODEL_TYPES[self.rng.below(MODEL_TYPES.len() as u32) as usize]);
            }
            "train inline" => body["data"] = json!(tenant.cost_rows(&mut self.rng)),
            "train by query" => {
                body["training_data_query"] = json!(
                    "SELECT c.project_size_sqft, c.num_units, c.location_tier, c.year, c.property_type, c.total_cost \
                       FROM cost_records c LEFT JOIN roi_records r ON r.entity_id = c.entity_id ORDER BY c.id"
                );
            }
            _ => {
                body["training_data_query"] = json!(format!(
                    "SELECT CAST(property_type AS double precision) AS x, total_cost FROM cost_records WHERE property_type LIKE '{}%'",
                    tenant.word
                ));
            }
        }
        body
    }

    /// Goes away at some moment between the first byte and the answer.
    async fn cancel(&mut self, tenant: &Tenant) {
        let train = self.rng.below(5) == 0;
        let request = if train {
            let kind = ["train stored", "train by query"][self.rng.below(2) as usize];
            let body = self.training(kind, tenant);
            self.post(tenant, "/api/ml/train", &body)
        } else {
            let features = tenant.cost_features(&mut self.rng);
            self.predicting(tenant, &features)
        };
        let patience = Duration::from_micros(self.rng.below(20_000).into());
        // An answer that was quicker is one like the others; its bytes are not looked at.
        let _ = tokio::time::timeout(patience, async { request.send().await?.bytes().await }).await;
        self.tally.count("cancel", 0);
    }

    /// Sends a part of a request and closes the connection.
    async fn cut(&mut self, tenant: &Tenant) {
        let features = tenant.cost_features(&mut self.rng);
        let body = json!({"tenant_id": tenant.id, "model_type": "cost_forecasting", "features": features})
            .to_string();
        let text = format!(
            "POST /api/ml/predict HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.tokens[tenant.index],
            body.len()
        );
        let sent = 1 + self.rng.below(text.len() as u32) as usize;
        let mut stream = TcpStream::connect(&self.address).await.expect("connects");
        stream.write_all(&text.as_bytes()[..sent]).await.expect("writes");
        tokio::time::sleep(Duration::from_micros(self.rng.below(3_000).into())).await;
        self.tally.count("cut the connection", 0);
    }

    async fn read_metrics(&mut self) {
        let answer = self.http.get(format!("{}/metrics", self.base)).send().await.expect("an answer");
        self.tally.count("read /metrics", answer.status().as_u16());
        let text = answer.text().await.expect("a body");
        self.leaks.check_nobody(Channel::Metrics, text.as_bytes(), "/metrics");
    }

    fn predicting(&self, tenant: &Tenant, features: &Value) -> RequestBuilder {
        let body = json!({"tenant_id": tenant.id, "model_type": "cost_forecasting", "features": features});
        self.post(tenant, "/api/ml/predict", &body)
    }

    fn post(&self, tenant: &Tenant, path: &str, body: &Value) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.tokens[tenant.index]).json(body)
    }

    fn get(&self, tenant: &Tenant, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.tokens[tenant.index])
    }

    /// Sends it, looks at every byte of the answer, returns its body.
    async fn send(&mut self, action: &'static str, tenant: &Tenant, request: RequestBuilder) -> Value {
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        self.tally.count(action, status);
        let head = format!("{:?}", answer.headers());
        let body = answer.bytes().await.expect("a body");
        self.leaks.check(Channel::Answer, tenant.index, head.as_bytes(), action);
        self.leaks.check(Channel::Answer, tenant.index, &body, action);
        serde_json::from_slice(&body).unwrap_or_default()
    }
}
