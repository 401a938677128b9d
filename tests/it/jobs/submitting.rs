//! Trainings that are asked for: without waiting, under a key, with a priority.

use serde_json::{Value, json};

use super::{
    JOBS, TRAIN, cancel_without_service, endless, job, occupied, path, quick, request, request_of, stop,
    submit, train, until, until_status,
};
use crate::support::{Service, TENANT_A, TENANT_B};

const ASYNC: (&str, &str) = ("Prefer", "wait=1, respond-async");

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_wait_gets_the_job_and_later_the_result() {
    let service = Service::start().await;
    let accepted = train(&service, &[ASYNC], &quick()).await;
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let id = accepted.body["job_id"].as_str().expect("an id");
    assert_eq!(accepted.headers["location"], path(id));
    assert_eq!(accepted.headers["preference-applied"], "respond-async");
    // What a client reads that knows nothing of jobs.
    for (field, value) in
        [("run_id", ""), ("model_uri", ""), ("model_type", super::TYPE), ("tenant_id", TENANT_A)]
    {
        assert_eq!(accepted.body[field], value, "{field}");
    }
    assert!(
        accepted.body["metrics"].is_object() && accepted.body["timestamp"].is_string(),
        "{}",
        accepted.body
    );
    assert!(["queued", "training"].contains(&accepted.body["status"].as_str().expect("a text")));

    let done = until(&service, id, |job| job["status"] == "completed" && job["run_id"] != "").await;
    let result = &done["result"];
    assert_eq!(
        (&done["percent"], &done["model_version"], &done["attempts"]),
        (&json!(100), &json!("v1.0"), &json!(1))
    );
    assert_eq!(
        (&done["origin"], &done["priority"], &done["error"]),
        (&json!("api"), &json!(0), &Value::Null)
    );
    assert_eq!(done["created_by"], format!("user-of-{TENANT_A}"));
    assert_eq!(done["hyperparameters"]["n_estimators"], 5);
    for field in [
        "job_id",
        "run_id",
        "model_uri",
        "model_id",
        "model_version",
        "metrics",
        "message",
        "timestamp",
        "status",
    ] {
        assert_eq!(done[field], result[field], "{field}");
    }
    // Who asks as before is answered as before.
    let waited = service.post(TRAIN, TENANT_A, &quick()).await.ok();
    let names = |answer: &Value| answer.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(result), names(&waited));
    assert_eq!(result["metrics"], waited["metrics"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_may_ask_not_to_wait_and_is_stronger_than_the_header() {
    let service = Service::start_without_mlflow().await;
    let id = submit(&service, quick()).await;
    until_status(&service, &id, "completed").await;
    let mut body = quick();
    body["async"] = json!(false);
    let waited = train(&service, &[ASYNC], &body).await;
    assert_eq!(waited.headers.get("preference-applied"), None);
    assert_eq!(waited.ok()["status"], "completed");
    body["async"] = json!(true);
    let accepted = train(&service, &[], &body).await;
    assert_eq!((accepted.status, accepted.headers.get("preference-applied")), (202, None));
    until_status(&service, accepted.body["job_id"].as_str().expect("an id"), "completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_under_the_same_key_is_the_same_job() {
    let service = Service::start_without_mlflow().await;
    let key = ("Idempotency-Key", "order 66/a~");
    let first = train(&service, &[key], &quick()).await.ok();
    assert_eq!(train(&service, &[key], &quick()).await.ok(), first);
    // However the answer comes.
    let known = train(&service, &[key, ASYNC], &quick()).await;
    assert_eq!((known.status, &known.body["job_id"]), (200, &first["job_id"]));
    assert_eq!(known.body["result"], first);
    for (field, value) in [("seed", json!(1)), ("data", json!(super::rows(61))), ("priority", json!(1))] {
        let mut other = quick();
        other[field] = value;
        let refused = train(&service, &[key], &other).await;
        assert_eq!(refused.kinds(), ["idempotency_key_reused"], "{field}");
        assert_eq!(refused.body["detail"][0]["loc"], json!(["header", "Idempotency-Key"]));
    }
    // Another tenant's key is another key.
    let mut foreign = quick();
    foreign["tenant_id"] = json!(TENANT_B);
    let foreign = request_of(&service, TENANT_B, "POST", TRAIN, &[key], Some(&foreign)).await;
    let foreign: Value = foreign.json().await.expect("JSON");
    assert_eq!((&foreign["model_version"], foreign["job_id"] == first["job_id"]), (&json!("v1.0"), false));
    // A failure is remembered, too.
    let (key, mut bad) = (("Idempotency-Key", "b"), quick());
    bad["data"] = json!(super::rows(3));
    let failed = train(&service, &[key], &bad).await;
    assert_eq!(failed.kinds(), ["too_few_rows"]);
    assert_eq!(train(&service, &[key], &bad).await.body, failed.body);
    let jobs = service.get(&format!("{JOBS}?status=failed"), TENANT_A).await.ok();
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(1), "{jobs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_under_one_key_train_once() {
    let service = Service::start_without_mlflow().await;
    let key = [("Idempotency-Key", "one")];
    let (body, mut accepted) = (quick(), quick());
    accepted["async"] = json!(true);
    let send = async |body: &Value| train(&service, &key, body).await.body["job_id"].clone();
    let answers = tokio::join!(send(&body), send(&body), send(&accepted), send(&body), send(&accepted));
    let (first, others) = (answers.0, [answers.1, answers.2, answers.3, answers.4]);
    assert!(first.is_string() && others.iter().all(|other| *other == first), "{first} {others:?}");
    assert_eq!(service.column_of_models("model_version").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_headers_and_body_is_named_at_once() {
    let service = Service::start_without_mlflow().await;
    let mut body = quick();
    (body["priority"], body["async"]) = (json!(-11), json!("yes"));
    let long = "k".repeat(256);
    for (key, kind) in
        [("", "string_too_short"), (&long, "string_too_long"), ("clé", "string_pattern_mismatch")]
    {
        let refused = train(&service, &[("idempotency-key", key)], &body).await;
        assert_eq!(refused.kinds(), [kind, "greater_than_equal", "bool_type"]);
        assert_eq!(refused.body["detail"][0]["loc"], json!(["header", "Idempotency-Key"]));
        assert_eq!(refused.body["detail"][1]["loc"], json!(["body", "priority"]));
    }
    assert_eq!(service.get(JOBS, TENANT_A).await.ok()["jobs"], json!([]), "nothing was queued");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_higher_priority_goes_first_and_what_is_known_needs_no_room() {
    let (service, running) = occupied(&[("TENANT_TRAINING_QUEUE", "3")]).await;
    let with = |priority: i64| {
        let mut body = quick();
        (body["priority"], body["seed"]) = (json!(priority), json!(priority + 20));
        body
    };
    let low = submit(&service, with(-10)).await;
    let key = [("Idempotency-Key", "k"), ASYNC];
    let normal = train(&service, &key, &with(0)).await.body["job_id"].as_str().expect("an id").to_owned();
    let high = submit(&service, with(10)).await;
    let full = service.post(TRAIN, TENANT_A, &quick()).await;
    assert_eq!((full.status, full.headers.contains_key("retry-after")), (429, true), "{}", full.body);
    let known = train(&service, &key, &with(0)).await;
    assert_eq!((known.status, known.body["job_id"].as_str()), (202, Some(normal.as_str())));

    let mut positions = vec![];
    for id in [&high, &normal, &low] {
        let job = job(&service, id).await;
        let message = format!("Waiting: number {} of the tenant's trainings", positions.len() + 1);
        assert_eq!((&job["status"], &job["message"]), (&json!("queued"), &json!(message)));
        positions.push(job["queue_position"].as_i64().expect("a number"));
    }
    assert_eq!(positions, [1, 2, 3]);
    assert_eq!(job(&service, &running).await["queue_position"], Value::Null);
    stop(&service, &running).await;
    let mut started = vec![];
    for id in [&high, &normal, &low] {
        let job = until_status(&service, id, "completed").await;
        started.push(job["started_at"].as_str().expect("a time").to_owned());
    }
    assert!(started.is_sorted(), "{started:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_may_ask_again_under_the_key() {
    let service = Service::start_without_mlflow().await;
    let mut body = quick();
    body["config"] = json!({"n_estimators": 2000});
    body["data"] = json!(super::rows(2000));
    let key = [("Idempotency-Key", "again")];
    let begun = async {
        while service.jobs_in("training").await == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        answer = train(&service, &key, &body) => panic!("hung up too late: {answer:?}"),
        () = begun => {}
    }
    let answer = train(&service, &key, &body).await.ok();
    assert_eq!((&answer["status"], &answer["model_version"]), (&json!("completed"), &json!("v1.0")));
    let jobs = service.get(JOBS, TENANT_A).await.ok();
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(1), "{jobs}");
    assert_eq!(jobs["jobs"][0]["attempts"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_when_the_service_ends_is_told_where_the_job_is() {
    let service = Service::start_with(&[("WORKERS", "0"), ("SHUTDOWN_GRACE_SECONDS", "1")]).await;
    let body = quick();
    let waiting = request(&service, "POST", TRAIN, &[], Some(&body));
    let ending = async {
        while service.jobs_in("queued").await == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        service.begin_shutdown();
    };
    let (answer, ()) = tokio::join!(waiting, ending);
    assert_eq!(answer.status(), 202);
    let location = answer.headers()["location"].to_str().expect("a path").to_owned();
    let told: Value = answer.json().await.expect("JSON");
    let id = told["job_id"].as_str().expect("an id");
    assert_eq!((&told["status"], location), (&json!("queued"), path(id)));
    cancel_without_service(&service, id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_training_does_not_hold_up_another_tenant() {
    let (service, running) = occupied(&[]).await;
    let mut body = quick();
    body["tenant_id"] = json!(TENANT_B);
    service.post(TRAIN, TENANT_B, &body).await.ok();
    // Nor does the tenant's own queue hold what it may not run yet.
    let second = submit(&service, endless()).await;
    assert_eq!(job(&service, &second).await["queue_position"], 1);
    stop(&service, &second).await;
    stop(&service, &running).await;
}
