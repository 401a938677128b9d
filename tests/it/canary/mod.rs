//! Isolation under load: fifty tenants with canaries in every column, sixteen clients that do what
//! clients do, over a pool of four connections. Nothing of another tenant may be in any byte that leaves.

mod client;
mod gateway;
mod leaks;
mod tenants;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use binah_ml::forest::rng::Rng;

use self::{
    client::{Client, Tally},
    gateway::Gateway,
    leaks::{Channel, Leaks},
    tenants::Tenants,
};
use crate::support::{Program, TestDatabase, servers};

const TENANTS: usize = 50;
const CLIENTS: u64 = 16;
const SETTINGS: [(&str, &str); 5] = [
    ("POSTGRES_MAX_CONNECTIONS", "4"),
    ("TRAINING_QUEUE", "64"),
    // A model of every second tenant: hits, misses and evictions.
    ("MODEL_CACHE_BYTES", "200000"),
    ("LOG_LEVEL", "trace"),
    ("LOG_FORMAT", "json"),
];

/// Runs so many requests and looks at everything that left: answers, logs, metrics, MLflow's
/// requests, model files, and what was kept for whom.
#[expect(clippy::print_stdout, reason = "the figures of a run")]
async fn load(requests: u64, seed: u64) {
    let tenants = Arc::new(Tenants::new(TENANTS, seed));
    let leaks = Arc::new(Leaks::new(&tenants));
    let database = TestDatabase::new().await;
    tenants.fill(&database).await;
    let gateway = Gateway::start(servers::mlflow().await, Arc::clone(&leaks)).await;
    let settings = [&SETTINGS[..], &[("MLFLOW_TRACKING_URI", gateway.url())]].concat();
    let program = Program::with_database(&database, &settings);
    let service = program.serve().await;

    let clients = (0..CLIENTS).map(|number| {
        let rng = Rng::for_stream(seed, number);
        let mut client = Client::new(&service, Arc::clone(&tenants), Arc::clone(&leaks), rng);
        let share = (0..tenants.len()).filter(move |index| *index as u64 % CLIENTS == number);
        tokio::spawn(async move {
            for index in share {
                client.first_models(index).await;
            }
            for _ in 0..requests / CLIENTS {
                client.act().await;
            }
            client.tally
        })
    });
    let mut tally = Tally::default();
    for client in futures::future::join_all(clients.collect::<Vec<_>>()).await {
        tally.add(&client.expect("a client ends"));
    }
    let log = service.stop().await;
    for line in log.lines() {
        leaks.check_log(line);
    }
    check_files(&program.models(), &tenants, &leaks);
    tenants.check_kept_rows(&database, &leaks).await;

    println!("{tally:#?}\n{:#?}", leaks.seen());
    tally.assert_every_kind_happened();
    leaks.assert_each_channel_was_read();
    leaks.assert_none();
}

/// Each tenant's model files hold nothing of another.
fn check_files(models: &Path, tenants: &Tenants, leaks: &Leaks) {
    for tenant in tenants.iter() {
        for file in files(&models.join(tenant.id.to_string())) {
            let bytes = fs::read(&file).expect("a file");
            leaks.check(Channel::ModelFile, tenant.index, &bytes, &file.display().to_string());
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_canary_of_another_tenant_leaves() {
    load(3_000, 1).await;
}

/// `make canary`: `CANARY_REQUESTS` (100,000) and `CANARY_SEED` (1) change it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "minutes: make canary"]
async fn no_canary_leaves_in_a_hundred_thousand_requests() {
    let setting = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
    };
    load(setting("CANARY_REQUESTS", 100_000), setting("CANARY_SEED", 1)).await;
}
