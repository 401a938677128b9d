//! Random faults over a few processes with work to do.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use binah_ml::{auth::TenantId, forest::rng::Rng, jobs::JobState};
use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::query_as;
use uuid::Uuid;

use super::{
    cluster::{self, Cluster, Shutdown, until},
    oracle,
};
use crate::support::{Process, tenant};

const TENANTS: [&str; 4] = [
    "10000000-0000-4000-8000-000000000000",
    "20000000-0000-4000-8000-000000000000",
    "30000000-0000-4000-8000-000000000000",
    "40000000-0000-4000-8000-000000000000",
];
/// Of a tenant at the same time.
const RUNNING: usize = 2;
const LEASE: Duration = Duration::from_secs(2);
/// No more jobs while so many have no end yet.
const BACKLOG: i64 = 16;

/// What happened, for who reads the figures.
#[derive(Debug, Default)]
#[expect(dead_code, reason = "printed at the end of a long run")]
pub struct Tally {
    rounds: u64,
    workers_killed: usize,
    servers_killed: usize,
    workers_stopped_orderly: usize,
    workers_frozen: usize,
    postgres_restarts_fast: usize,
    postgres_restarts_immediate: usize,
    connections_cut: usize,
    network_stalls: usize,
    cancellations: usize,
    jobs: usize,
    ends: oracle::Ends,
    /// Jobs that a killed worker had.
    orphaned: usize,
    takeover_p50: Option<Duration>,
    takeover_max: Option<Duration>,
}

struct Storm {
    cluster: Cluster,
    rng: Rng,
    tally: Tally,
    rows: Value,
    server: Process,
    workers: Vec<Process>,
    /// Workers that are frozen, and until when.
    frozen: HashMap<usize, Instant>,
    accepted: BTreeSet<Uuid>,
    /// Jobs of killed workers, and when that was.
    orphans: Vec<(Uuid, DateTime<Utc>)>,
}

/// So many rounds; panics when anything is lost, double, or does not come to an end.
pub async fn storm(rounds: u64, seed: u64) -> Tally {
    let lease = LEASE.as_secs().to_string();
    let running = RUNNING.to_string();
    let cluster = Cluster::start(&[
        ("TRAINING_LEASE_SECONDS", lease.as_str()),
        ("TENANT_TRAININGS", &running),
        ("TRAINING_CHECKPOINT_ROUNDS", "50"),
        // Only a job that is the cause of its workers' ends is to be given up.
        ("TRAINING_ATTEMPTS", "1000"),
        ("TRAINING_THREADS", "1"),
        ("SHUTDOWN_GRACE_SECONDS", "1"),
    ])
    .await;
    let server = start_server(&cluster);
    let workers = (0..2).map(|_| start_worker(&cluster)).collect();
    let mut storm = Storm {
        cluster,
        rng: Rng::new(seed),
        tally: Tally { rounds, ..Tally::default() },
        rows: cluster::rows(200),
        server,
        workers,
        frozen: HashMap::new(),
        accepted: BTreeSet::new(),
        orphans: vec![],
    };
    for _ in 0..rounds {
        storm.round().await;
    }
    storm.end().await
}

fn start_server(cluster: &Cluster) -> Process {
    cluster.program.start(&["serve"], &[("WORKERS", "1")])
}

fn start_worker(cluster: &Cluster) -> Process {
    cluster.program.start(&["worker"], &[("WORKERS", "2")])
}

impl Storm {
    async fn round(&mut self) {
        let open = "SELECT count(*) FROM training_jobs WHERE status IN ('queued', 'training')";
        if self.cluster.database.count(open).await < BACKLOG {
            for _ in 0..=self.rng.below(3) {
                self.submit().await;
            }
        }
        self.pause(400).await;
        self.thaw(false);
        let worker = self.rng.below(2) as usize;
        match self.rng.below(20) {
            0..=5 => self.kill_worker(worker).await,
            6..=7 => self.kill_server().await,
            8..=9 => self.freeze(worker),
            10 => self.restart(Shutdown::Fast).await,
            11 => self.restart(Shutdown::Immediate).await,
            12..=14 => {
                self.cluster.network.cut();
                self.tally.connections_cut += 1;
            }
            15 => self.stall().await,
            16 => self.stop_worker(worker).await,
            _ => self.cancel().await,
        }
        self.pause(400).await;
    }

    async fn pause(&mut self, longest_ms: u32) {
        tokio::time::sleep(Duration::from_millis(u64::from(self.rng.below(longest_ms)))).await;
    }

    async fn submit(&mut self) {
        let tenant = self.tenant();
        let request = match self.rng.below(6) {
            0 | 1 => cluster::request("cost_forecasting", json!({"n_estimators": 1500})),
            2 => cluster::request("roi_prediction", json!({"n_estimators": 5})),
            3 => cluster::request("cost_forecasting", json!({"n_estimators": 5})),
            4 => cluster::request("risk_assessment", json!({"n_estimators": 10})),
            _ => cluster::request("anomaly_detection", json!({"n_estimators": 10})),
        };
        let job = self.cluster.queue.submit(tenant, &request, &self.rows).await;
        assert!(self.accepted.insert(job), "an id of its own");
    }

    fn tenant(&mut self) -> TenantId {
        tenant(TENANTS[self.rng.below(TENANTS.len() as u32) as usize])
    }

    /// SIGKILL, and another one in its place.
    async fn kill_worker(&mut self, index: usize) {
        self.frozen.remove(&index);
        let fresh = start_worker(&self.cluster);
        let killed = std::mem::replace(&mut self.workers[index], fresh);
        self.tally.workers_killed += 1;
        self.kill(killed).await;
    }

    async fn kill_server(&mut self) {
        let fresh = start_server(&self.cluster);
        let killed = std::mem::replace(&mut self.server, fresh);
        self.tally.servers_killed += 1;
        self.kill(killed).await;
    }

    async fn kill(&mut self, process: Process) {
        let name = format!("%:{}", process.id());
        process.kill().await;
        let now = Utc::now();
        let orphans: Vec<(Uuid,)> =
            query_as("SELECT id FROM training_jobs WHERE status = 'training' AND worker LIKE $1")
                .bind(name)
                .fetch_all(&mut self.cluster.database.owner_connection().await)
                .await
                .expect("reads");
        self.orphans.extend(orphans.into_iter().map(|(id,)| (id, now)));
    }

    /// SIGTERM: its jobs end in time or go back.
    async fn stop_worker(&mut self, index: usize) {
        if self.frozen.contains_key(&index) {
            return;
        }
        let fresh = start_worker(&self.cluster);
        let stopped = std::mem::replace(&mut self.workers[index], fresh);
        stopped.stop().await;
        self.tally.workers_stopped_orderly += 1;
    }

    /// Longer than its lease: another worker has its jobs by the time it goes on.
    fn freeze(&mut self, index: usize) {
        if self.frozen.contains_key(&index) {
            return;
        }
        self.workers[index].signal(Signal::SIGSTOP);
        self.frozen.insert(index, Instant::now() + LEASE * 2);
        self.tally.workers_frozen += 1;
    }

    fn thaw(&mut self, all: bool) {
        let workers = &self.workers;
        self.frozen.retain(|&index, &mut until| {
            let frozen = !all && Instant::now() < until;
            if !frozen {
                workers[index].signal(Signal::SIGCONT);
            }
            frozen
        });
    }

    async fn restart(&mut self, shutdown: Shutdown) {
        self.cluster.restart_postgres(shutdown).await;
        match shutdown {
            Shutdown::Fast => self.tally.postgres_restarts_fast += 1,
            Shutdown::Immediate => self.tally.postgres_restarts_immediate += 1,
        }
    }

    /// The network says nothing for longer than a lease, and then goes on, or breaks.
    async fn stall(&mut self) {
        self.cluster.network.stall(true);
        tokio::time::sleep(LEASE + Duration::from_millis(u64::from(self.rng.below(1000)))).await;
        if self.rng.below(2) == 0 {
            self.cluster.network.cut();
        }
        self.cluster.network.stall(false);
        self.tally.network_stalls += 1;
    }

    async fn cancel(&mut self) {
        let open: Vec<(Uuid, Uuid)> = query_as(
            "SELECT id, tenant_id FROM training_jobs WHERE status IN ('queued', 'training') ORDER BY id",
        )
        .fetch_all(&mut self.cluster.database.owner_connection().await)
        .await
        .expect("reads");
        let Some(&(job, owner)) = open.get(self.rng.below(open.len().max(1) as u32) as usize) else { return };
        let state = self.cluster.queue.cancel(TenantId::trusted(owner), job).await;
        assert!(matches!(state, None | Some(JobState::Cancelled | JobState::Training)), "{state:?}");
        self.tally.cancellations += usize::from(state.is_some());
    }

    /// All is well again, and the queue runs empty.
    async fn end(mut self) -> Tally {
        self.thaw(true);
        let database = &self.cluster.database;
        let open = "SELECT count(*) FROM training_jobs WHERE status IN ('queued', 'training')";
        until("the queue runs empty", async || database.count(open).await == 0).await;
        self.server.ready().await;
        let ends = oracle::check(&self.cluster, &self.accepted, RUNNING).await;
        self.server.stop().await;
        for worker in self.workers {
            worker.stop().await;
        }
        let history = oracle::history(&self.cluster.database).await;
        let mut takeovers: Vec<Duration> = self
            .orphans
            .iter()
            .filter_map(|(job, killed)| {
                let claim = history.iter().find(|change| {
                    let claimed =
                        (change.was.as_deref(), change.became.as_str()) == (Some("queued"), "training");
                    change.job_id == *job && claimed && change.at > *killed
                });
                (claim?.at - *killed).to_std().ok()
            })
            .collect();
        takeovers.sort_unstable();
        Tally {
            jobs: self.accepted.len(),
            ends,
            orphaned: self.orphans.len(),
            takeover_p50: takeovers.get(takeovers.len() / 2).copied(),
            takeover_max: takeovers.last().copied(),
            ..self.tally
        }
    }
}
