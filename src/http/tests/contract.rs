//! The recorded contract, replayed over a socket by the contract's own client. What needs a
//! trained model is left out here.

use std::{process::Command, time::Duration};

use tokio::net::TcpListener;

use super::*;

/// Replays a recording and returns the names of the cases that failed, with why.
async fn replay(config: HttpConfig, recording: &'static str) -> (Vec<String>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let state = state(config);
    state.readiness.set_database_up(true);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(crate::http::serve(
        listener,
        router(state),
        async {
            stopped.await.ok();
        },
        Duration::from_secs(10),
    ));
    let output = tokio::task::spawn_blocking(move || {
        let contract = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/");
        Command::new("python3")
            .arg(format!("{contract}replay.py"))
            .args([base, format!("{contract}{recording}")])
            .args(["--except", &format!("{contract}deviations.tsv")])
            .env("JWT_SECRET", SECRET)
            .output()
            .expect("python3 runs")
    })
    .await
    .expect("no panic");
    stop.send(()).expect("the server still runs");
    assert!(served.await.expect("no panic"), "all connections ended");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let failed = text.lines().filter_map(|line| line.strip_prefix("FAIL ")).map(str::to_owned).collect();
    (failed, text.lines().last().unwrap_or_default().to_owned())
}

/// A case that failed for want of a model and for no other reason.
fn needs_a_model(failure: &str) -> bool {
    failure.contains("got 503 '{\"detail\":\"Postgres is not available\"}'")
        && (failure.contains("want 200") || failure.contains("want 422"))
}

/// `least` cases pass even without a model, so that a replay of nothing is noticed.
async fn answers_as_recorded(config: HttpConfig, recording: &'static str, least: usize) {
    let (failed, total) = replay(config, recording).await;
    let wrong: Vec<_> = failed.iter().filter(|failure| !needs_a_model(failure)).collect();
    assert!(wrong.is_empty(), "{total}\n{wrong:#?}");
    let passed = total.split(' ').next().and_then(|count| count.parse().ok());
    assert!(passed.is_some_and(|passed: usize| passed >= least), "{total}");
}

#[tokio::test]
async fn development_answers_as_recorded() {
    answers_as_recorded(development(), "recorded.jsonl", 150).await;
}

#[tokio::test]
async fn production_answers_as_recorded() {
    answers_as_recorded(production(), "recorded_production.jsonl", 24).await;
}
