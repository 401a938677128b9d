//! The queue while everything around it breaks: processes killed, frozen and ended, Postgres restarted, connections
//! cut, jobs cancelled. Each accepted job comes to exactly one end, and a completed one to exactly one version. And
//! replicas that are replaced under load without a request that fails.

mod cluster;
mod load;
mod oracle;
mod replicas;
mod resume;
mod storm;

use self::cluster::setting;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_job_is_lost_or_done_twice() {
    storm::storm(6, 1).await;
}

/// `make chaos`: `CHAOS_ROUNDS` (200) and `CHAOS_SEED` (1) change it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "minutes: make chaos"]
#[expect(clippy::print_stdout, reason = "the figures of a run")]
async fn chaos_loses_no_job_in_two_hundred_rounds() {
    let tally = storm::storm(setting("CHAOS_ROUNDS", 200), setting("CHAOS_SEED", 1)).await;
    println!("{tally:#?}\nlost: 0, duplicated: 0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_request_fails_while_replicas_are_replaced() {
    replicas::replace(3).await;
}

/// `make chaos`: `CHAOS_SIGTERMS` (100) changes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "minutes: make chaos"]
#[expect(clippy::print_stdout, reason = "the figures of a run")]
async fn chaos_of_a_hundred_sigterms_fails_no_request() {
    let sigterms = setting("CHAOS_SIGTERMS", 100);
    println!("{sigterms} SIGTERMs: {:#?}", replicas::replace(sigterms).await);
}
