//! Trainings that nobody wants any more: queued, growing trees, in the middle of a query, over.

use serde_json::{Value, json};

use super::{JOBS, TRAIN, at_once, cancel, endless, job, occupied, quick, stop, submit, until, until_status};
use crate::support::{Service, TENANT_A, database::connect};

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_one_is_cancelled_at_once_and_who_waits_for_it_hears_so() {
    let service = Service::start_with(&[("WORKERS", "0")]).await;
    let (body, id) = (quick(), submit(&service, quick()).await);
    let (waited, other) = tokio::join!(service.post(TRAIN, TENANT_A, &body), async {
        while service.jobs_in("queued").await < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let jobs = service.get(&format!("{JOBS}?limit=1"), TENANT_A).await.ok();
        let other = jobs["jobs"][0]["job_id"].as_str().expect("an id").to_owned();
        cancel(&service, &other).await.ok()
    });
    assert_eq!((waited.status, &waited.body["detail"]), (409, &json!("The training was cancelled")));
    assert_eq!((&other["status"], &other["cancel_requested"]), (&json!("cancelled"), &json!(true)));
    let before = cancel(&service, &id).await.ok();
    assert_eq!((&before["attempts"], &before["started_at"]), (&json!(0), &Value::Null));
    assert_eq!(before["message"], "The training was cancelled");
    // Again, and nothing changes.
    assert_eq!(cancel(&service, &id).await.ok()["revision"], before["revision"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boosting_stops_at_its_next_round_and_leaves_no_model() {
    let service = Service::start_without_mlflow().await;
    let mut body = quick();
    body["data"] = json!(super::rows(20_000));
    body["config"] = json!({"n_estimators": 10_000});
    let id = submit(&service, body).await;
    let running = until(&service, &id, |job| job["rounds_done"].as_u64() > Some(0)).await;
    assert_eq!((&running["status"], &running["stage"]), (&json!("training"), &json!("fitting")));
    assert_eq!(running["rounds_total"], 10_000);
    assert!(running["eta_seconds"].is_f64() && running["metrics"]["train_rmse"].is_f64(), "{running}");
    let percent = running["percent"].as_u64().expect("a number");
    assert!((15..85).contains(&percent), "{running}");

    let stopping = cancel(&service, &id).await;
    // It may have stopped by the time of the answer.
    let expected = match stopping.status {
        200 => ("cancelled", "The training was cancelled"),
        202 => ("training", "Stopping"),
        other => panic!("{other}: {}", stopping.body),
    };
    let told = (stopping.body["status"].as_str(), stopping.body["message"].as_str());
    assert_eq!(told, (Some(expected.0), Some(expected.1)));
    assert_eq!(stopping.body["cancel_requested"], true);
    let stopped = until_status(&service, &id, "cancelled").await;
    let rounds = stopped["rounds_done"].as_u64().expect("a number");
    assert!(rounds < 10_000, "it did not run to its end: {stopped}");
    assert_eq!((&stopped["result"], &stopped["error"]), (&Value::Null, &Value::Null));
    assert!(stopped["completed_at"].is_string());
    assert!(service.column_of_models("model_version").await.is_empty());
    assert_eq!(cancel(&service, &id).await.status, 200, "and again");
    // The place is free.
    service.post(TRAIN, TENANT_A, &quick()).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_stops_on_the_server() {
    let (service, id) = occupied(&[]).await;
    let at_work = async || -> i64 {
        sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
              WHERE usename = 'svc_query' AND datname = current_database() AND state = 'active'",
        )
        .fetch_one(&mut connect(&service.config.postgres.owner()).await)
        .await
        .expect("asked")
    };
    while at_work().await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    stop(&service, &id).await;
    while at_work().await > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_cannot_be_cancelled() {
    let service = Service::start_without_mlflow().await;
    let id = submit(&service, quick()).await;
    until_status(&service, &id, "completed").await;
    let mut bad = quick();
    bad["data"] = json!(super::rows(3));
    let failed = submit(&service, bad).await;
    until_status(&service, &failed, "failed").await;
    for (id, detail) in [(&id, "The job has completed already"), (&failed, "The job has failed already")] {
        let before = job(&service, id).await;
        let refused = cancel(&service, id).await;
        assert_eq!((refused.status, &refused.body["detail"]), (409, &json!(detail)));
        assert_eq!(job(&service, id).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_at_once_do_no_harm() {
    let (service, running) = occupied(&[]).await;
    let queued = submit(&service, endless()).await;
    for id in [&running, &queued] {
        let answers = tokio::join!(
            cancel(&service, id),
            cancel(&service, id),
            cancel(&service, id),
            cancel(&service, id),
            cancel(&service, id)
        );
        for answer in [answers.0, answers.1, answers.2, answers.3, answers.4] {
            assert!([200, 202].contains(&answer.status), "{}", answer.body);
        }
        stop(&service, id).await;
    }
    let accepted = service.post(TRAIN, TENANT_A, &at_once(quick())).await;
    until_status(&service, accepted.body["job_id"].as_str().expect("an id"), "completed").await;
}
