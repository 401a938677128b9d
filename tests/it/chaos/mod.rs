//! The queue while everything around it breaks: processes killed, frozen and ended, Postgres restarted, connections
//! cut, jobs cancelled. Each accepted job comes to exactly one end, and a completed one to exactly one version.

mod cluster;
mod oracle;
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
