//! The queue of trainings: jobs per second of bare queueing and of tiny trainings with 1, 2 and 4 workers (processes
//! of their own), how soon a free worker starts a job, and how long a tenant with one job waits behind a thousand of another.
//! Wall-clock; Postgres keeps its files safe, and each training ends in a registered version.
//!
//! `cargo bench --bench queue`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tables on the terminal")]

mod service;

use std::time::Instant;

use binah_ml::{
    auth::tenant,
    catalog::ModelType,
    jobs::{NewJob, Origin},
};
use futures::future::join_all;
use serde_json::{Value, json};

use self::service::{Installation, Process, quantile, request, rows, tenant_of};

const JOBS: u32 = 400;
const TENANTS: u32 = 40;
const BARE_JOBS: u32 = 2_000;
const STARTS: u32 = 300;
const OF_A: u32 = 1_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run());
}

async fn run() {
    println!("bare jobs (queued, claimed and completed by this process; nothing is trained)");
    for clients in [1, 2, 4] {
        bare(&Installation::new().await, clients).await;
    }
    println!(
        "{JOBS} tiny trainings of {TENANTS} tenants (40 rows, 5 trees, registered), workers of a process each"
    );
    let mut of_one = None;
    for workers in [1, 2, 4] {
        let each = throughput(&Installation::new().await, workers).await;
        let of_one = *of_one.get_or_insert(each);
        println!("  {workers} workers   {each:>7.1} jobs/s  {:>5.2}x one", each / of_one);
    }
    starts(&Installation::new().await).await;
    fairness(&Installation::new().await).await;
}

/// Queueing alone, by so many at a time.
async fn bare(installation: &Installation, clients: u32) {
    let jobs = installation.submitter.jobs();
    let share = BARE_JOBS / clients;
    let started = Instant::now();
    let queueing = (0..clients).map(|client| async move {
        for job in 0..share {
            let new = NewJob {
                model_type: ModelType::all().next().unwrap(),
                user_id: "bench",
                request: json!({}),
                rows: None,
                hyperparameters: json!({}),
                validation_split: 0.2,
                training_data_query: None,
                origin: Origin::Api,
                priority: 0,
                idempotency_key: None,
            };
            tenant::scope(tenant_of((client * share + job) % TENANTS), jobs.enqueue(new)).await.unwrap();
        }
    });
    join_all(queueing).await;
    let queued = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let working = (0..clients).map(|_| async {
        while let Some(claim) = jobs.claim("bench").await.unwrap() {
            let nothing = json!({});
            let complete = jobs.complete_without_model(&claim, claim.job_id, &nothing, &nothing);
            tenant::scope(claim.tenant, complete).await.unwrap();
        }
    });
    join_all(working).await;
    let worked = started.elapsed().as_secs_f64();
    let each = |seconds: f64| f64::from(BARE_JOBS) / seconds;
    println!(
        "  {clients} at a time   queued {:>7.1} jobs/s   claimed and completed {:>7.1} jobs/s",
        each(queued),
        each(worked)
    );
}

/// Completed jobs per second, with all queued before the first worker starts.
async fn throughput(installation: &Installation, workers: usize) -> f64 {
    for job in 0..JOBS {
        submit_tiny(installation, job % TENANTS).await;
    }
    let _workers: Vec<Process> = (0..workers).map(|_| start_worker(installation)).collect();
    all_ended(installation).await;
    let seconds: Vec<(f64,)> = installation
        .select(
            "SELECT extract(epoch FROM max(completed_at) - min(completed_at))::float8 FROM training_jobs
              WHERE status = 'completed'",
        )
        .await;
    f64::from(JOBS - 1) / seconds[0].0
}

/// From the moment a job is queued to the moment that a free worker has it, by Postgres' clock.
async fn starts(installation: &Installation) {
    let _worker = start_worker(installation);
    for job in 0..STARTS {
        submit_tiny(installation, job % TENANTS).await;
        all_ended(installation).await;
    }
    let mut waits = waits(installation, "true").await;
    println!(
        "start of a job, one worker free ({STARTS} jobs)   p50 {:.1} ms   p99 {:.1} ms",
        quantile(&mut waits, 0.5) * 1e3,
        quantile(&mut waits, 0.99) * 1e3
    );
}

/// One job of B behind a thousand of A, one worker.
async fn fairness(installation: &Installation) {
    for _ in 0..OF_A {
        submit_tiny(installation, 0).await;
    }
    let _worker = start_worker(installation);
    let works = "SELECT count(*) > 10 FROM training_jobs WHERE status = 'completed'";
    installation.until(works).await;
    submit_tiny(installation, 1).await;
    all_ended(installation).await;
    let b = tenant_of(1);
    let wait = waits(installation, &format!("tenant_id = '{b}'")).await[0];
    let before: Vec<(i64,)> = installation
        .select(&format!(
            "SELECT count(*) FROM training_jobs a, training_jobs b
              WHERE b.tenant_id = '{b}' AND a.tenant_id <> b.tenant_id
                AND a.claimed_at BETWEEN b.created_at AND b.claimed_at"
        ))
        .await;
    let longest = waits(installation, "true").await.into_iter().fold(0.0, f64::max);
    println!(
        "a tenant with one job behind one with {OF_A}, one worker   waits {:.1} ms, {} jobs of the other go first; the \
         last of the {OF_A} waits {longest:.1} s",
        wait * 1e3,
        before[0].0
    );
}

async fn waits(installation: &Installation, which: &str) -> Vec<f64> {
    let waits: Vec<(f64,)> = installation
        .select(&format!(
            "SELECT extract(epoch FROM claimed_at - created_at)::float8 FROM training_jobs WHERE {which}"
        ))
        .await;
    waits.into_iter().map(|(wait,)| wait).collect()
}

async fn submit_tiny(installation: &Installation, tenant: u32) {
    let tiny: Value = request("anomaly_detection", json!({"n_estimators": 5}));
    installation.submit(tenant_of(tenant), tiny, rows(40)).await;
}

async fn all_ended(installation: &Installation) {
    installation.until("SELECT count(*) = 0 FROM training_jobs WHERE status IN ('queued', 'training')").await;
    let unwell = installation.select::<(bool,)>("SELECT true FROM training_jobs WHERE status <> 'completed'");
    assert_eq!(unwell.await, [], "a training has failed");
}

fn start_worker(installation: &Installation) -> Process {
    installation.start("worker", &[("WORKERS", "1"), ("TRAINING_THREADS", "1")])
}
