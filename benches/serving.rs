//! Predictions while nothing else runs and while every worker trains: the service is a process, the clients are here and
//! send at fixed times, so that an answer that is late does not make the next one late by not being asked for. Wall-clock.
//!
//! `cargo bench --bench serving`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a table on the terminal")]

mod service;

use std::time::Duration;

use binah_ml::{
    auth::{Tokens, tenant, token::NewToken},
    config::Config,
};
use reqwest::RequestBuilder;
use serde_json::json;
use tokio::time::Instant;

use self::service::{Installation, quantile, request, rows, tenant_of};

/// Requests per second, and for how long.
const RATE: u32 = 200;
const SECONDS: u32 = 20;
const PORT: &str = "18098";
const WORKERS: u32 = 2;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run());
}

async fn run() {
    let installation = Installation::new().await;
    let workers = WORKERS.to_string();
    let _service =
        installation.start("serve", &[("API_HOST", "127.0.0.1"), ("API_PORT", PORT), ("WORKERS", &workers)]);
    let job = installation
        .submit(tenant_of(0), request("cost_forecasting", json!({"n_estimators": 100})), rows(2_000))
        .await;
    installation.until(&format!("SELECT status = 'completed' FROM training_jobs WHERE id = '{job}'")).await;
    let predict = predict();
    measure(&predict).await;

    println!("{RATE} predictions a second for {SECONDS} s, 100 trees");
    let idle = measure(&predict).await;
    tell("idle", idle, idle);
    // So many that they are still at it at the end.
    for (model_type, trees, n_rows) in
        [("cost_forecasting", 10_000, 20_000), ("risk_assessment", 10_000, 200_000)]
    {
        let long = request(model_type, json!({"n_estimators": trees, "max_depth": 8}));
        let mut jobs = vec![];
        for tenant in (1..=WORKERS).map(tenant_of) {
            jobs.push((tenant, installation.submit(tenant, long.clone(), rows(n_rows)).await));
        }
        let fitting = "SELECT count(*) FROM training_jobs WHERE status = 'training' AND progress ->> 'stage' = 'fitting'";
        let all_fit = format!("SELECT ({fitting}) = {WORKERS}");
        installation.until(&all_fit).await;
        let busy = measure(&predict).await;
        assert_eq!(installation.select::<(bool,)>(&all_fit).await, [(true,)], "they ended too early");
        tell(&format!("{WORKERS} {model_type} trainings"), busy, idle);
        for (tenant, job) in jobs {
            tenant::scope(tenant, installation.submitter.jobs().cancel(job)).await.unwrap();
        }
        installation
            .until("SELECT count(*) = 0 FROM training_jobs WHERE status IN ('queued', 'training')")
            .await;
    }
}

fn predict() -> RequestBuilder {
    let config = Config::from_lookup(&|_| None).unwrap();
    let tenant_id = tenant_of(0).to_string();
    let new = NewToken { user_id: "bench", tenant_id: &tenant_id, email: "", role: "user", expires_in: 7200 };
    let token = Tokens::new(config.token).mint(&new).unwrap();
    let body = json!({
        "tenant_id": tenant_id, "model_type": "cost_forecasting", "features": {"a": 1, "b": 2, "c": 3, "high_risk": 0},
    });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.post(format!("http://127.0.0.1:{PORT}/api/ml/predict")).bearer_auth(token).json(&body)
}

/// Median and 99th percentile in milliseconds, from the time at which a request was to be sent.
async fn measure(predict: &RequestBuilder) -> (f64, f64) {
    let start = Instant::now();
    let answers = (0..RATE * SECONDS).map(|i| {
        let predict = predict.try_clone().unwrap();
        tokio::spawn(async move {
            let due = start + Duration::from_secs(1) * i / RATE;
            tokio::time::sleep_until(due).await;
            let answer = predict.send().await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.bytes().await.unwrap();
            due.elapsed().as_secs_f64() * 1e3
        })
    });
    let answers: Vec<_> = answers.collect();
    let mut milliseconds = vec![];
    for answer in answers {
        milliseconds.push(answer.await.unwrap());
    }
    (quantile(&mut milliseconds, 0.5), quantile(&mut milliseconds, 0.99))
}

fn tell(what: &str, (p50, p99): (f64, f64), idle: (f64, f64)) {
    println!("  {what:<32} p50 {p50:>6.2} ms   p99 {p99:>6.2} ms   {:>5.2}x idle", p99 / idle.1);
}
