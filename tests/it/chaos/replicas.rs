//! Replicas behind a load balancer, under load, while one after the other is replaced: no request fails.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::join_all;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    cluster,
    load::{Ask, Load, Seen},
};
use crate::support::{Client, Process, Program, TENANT_A, TENANT_B, TestDatabase, relay::Relay, servers};

/// How often the balancer asks each replica whether it is ready.
const PROBE: Duration = Duration::from_millis(100);

/// How long a replica serves on when it is to end: many probes, also on a machine with other work.
const DELAY_SECONDS: &str = "2";

/// Sends new connections to the replicas that say that they are ready, as Kubernetes does.
struct Balancer {
    address: SocketAddr,
    replicas: Replicas,
    _probing: DropGuard,
}

/// Whether each was ready when it was asked last.
type Replicas = Arc<Mutex<BTreeMap<SocketAddr, bool>>>;

impl Balancer {
    async fn start() -> Self {
        let relay = Relay::start(vec![]).await;
        let address = relay.address;
        let replicas = Replicas::default();
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(probe(relay, Arc::clone(&replicas))));
        Self { address, replicas, _probing: stop.drop_guard() }
    }

    /// Knows of one more replica, and sends connections there by the time this returns.
    async fn add(&self, replica: &Process) {
        let address = address(replica);
        let ready = || self.replicas.lock().expect("no panic").get(&address) == Some(&true);
        self.replicas.lock().expect("no panic").insert(address, false);
        replica.until("it is among those that serve", async || ready()).await;
    }

    /// Forgets one that has ended.
    fn remove(&self, replica: SocketAddr) {
        self.replicas.lock().expect("no panic").remove(&replica);
    }
}

async fn probe(relay: Relay, replicas: Replicas) {
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("a client");
    let is_ready = async |replica: SocketAddr| {
        let asked = client.get(format!("http://{replica}/health/ready")).send().await;
        (replica, asked.is_ok_and(|answer| answer.status() == 200))
    };
    loop {
        let known: Vec<SocketAddr> = replicas.lock().expect("no panic").keys().copied().collect();
        let probed = join_all(known.into_iter().map(is_ready)).await;
        relay.set_upstreams(probed.iter().filter(|(_, ready)| *ready).map(|(replica, _)| *replica).collect());
        for (replica, ready) in probed {
            replicas.lock().expect("no panic").entry(replica).and_modify(|known| *known = ready);
        }
        tokio::time::sleep(PROBE).await;
    }
}

fn address(replica: &Process) -> SocketAddr {
    replica.base.trim_start_matches("http://").parse().expect("an address")
}

/// What the clients do: mostly predict, and look around; one trains and waits for it.
fn asks(client: &Client) -> Vec<Ask> {
    let user = |tenant| client.token(tenant, "user");
    let ask = |method, path, body: Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Ask { method, path, token: user(TENANT_A), body, expected: &[200] }
    };
    let features = json!({"a": 1, "b": 2, "c": 3, "high_risk": 0});
    let predict = json!({"tenant_id": TENANT_A, "model_type": "cost_forecasting", "features": features});
    let predict = || ask("POST", "/api/ml/predict", predict.clone());
    let train = json!({
        "tenant_id": TENANT_B, "model_type": "anomaly_detection", "hyperparameters": {"n_estimators": 20},
        "data": cluster::rows(40),
    });
    vec![
        predict(),
        predict(),
        predict(),
        ask("GET", "/health/live", Value::Null),
        ask("GET", "/api/ml/models", Value::Null),
        ask("GET", "/api/ml/jobs", Value::Null),
        Ask { token: user(TENANT_B), ..ask("POST", "/api/ml/train", train) },
    ]
}

/// So many replicas are ended by SIGTERM, each after another one has come.
pub async fn replace(sigterms: u64) -> Seen {
    let database = TestDatabase::new().await;
    let program = Program::with_database(
        &database,
        &[
            ("MLFLOW_TRACKING_URI", servers::NOBODY),
            ("MLFLOW_WAIT_SECONDS", "0"),
            ("SHUTDOWN_DELAY_SECONDS", DELAY_SECONDS),
            ("WORKERS", "1"),
            ("TRAINING_THREADS", "1"),
        ],
    );
    let balancer = Balancer::start().await;
    let mut oldest = program.serve().await;
    let model = json!({"data": cluster::rows(40), "target": "total_cost"});
    oldest.train(TENANT_A, "cost_forecasting", model).await.ok();
    let mut newest = program.serve().await;
    balancer.add(&oldest).await;
    balancer.add(&newest).await;
    let load = Load::start(balancer.address, asks(&oldest));
    for _ in 0..sigterms {
        let fresh = program.serve().await;
        balancer.add(&fresh).await;
        let gone = address(&oldest);
        let log = std::mem::replace(&mut oldest, std::mem::replace(&mut newest, fresh)).stop().await;
        assert!(!log.contains("did not finish"), "{log}");
        balancer.remove(gone);
    }
    let seen = load.stop().await;
    assert!(
        seen.failures.is_empty(),
        "{:?}: {:#?}",
        seen.answers,
        &seen.failures[..seen.failures.len().min(10)]
    );
    let unfinished = "SELECT count(*) FROM training_jobs WHERE status <> 'completed'";
    assert_eq!(database.count(unfinished).await, 0, "a training was not completed");
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_waits_with_its_clients_for_the_trainings_of_others() {
    let database = TestDatabase::new().await;
    let settings = [("MLFLOW_TRACKING_URI", servers::NOBODY), ("MLFLOW_WAIT_SECONDS", "0")];
    let program = Program::with_database(&database, &settings);
    let mut leaving = program.start(&["serve"], &[("WORKERS", "0"), ("SHUTDOWN_GRACE_SECONDS", "600")]);
    leaving.ready().await;
    let training = async {
        let model = json!({"data": cluster::rows(40), "target": "total_cost"});
        leaving.train(TENANT_A, "cost_forecasting", model).await.ok()
    };
    let others = async {
        let queued = "SELECT count(*) FROM training_jobs WHERE status = 'queued'";
        leaving.until("the training is queued", async || database.count(queued).await == 1).await;
        leaving.signal(Signal::SIGTERM);
        let drains = || leaving.log().contains("shutting down");
        leaving.until("it has heard the signal", async || drains()).await;
        program.start(&["worker"], &[])
    };
    let (trained, worker) = tokio::join!(training, others);
    assert_eq!(trained["status"], "completed", "{trained}");
    assert!(leaving.ended().await.success(), "{}", leaving.log());
    worker.stop().await;
}
