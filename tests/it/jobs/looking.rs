//! Jobs as people look at them: lists, one whole, another tenant's.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{JOBS, TRAIN, cancel, job, path, quick, request_of, stop, submit, until_status};
use crate::support::{Service, TENANT_A, TENANT_B, database::run};

async fn list(service: &Service, query: &str) -> Value {
    service.get(&format!("{JOBS}{query}"), TENANT_A).await.ok()
}

fn ids(page: &Value) -> Vec<&str> {
    page["jobs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|job| job["job_id"].as_str().expect("an id"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_and_filtered() {
    let service = Service::start_with(&[("WORKERS", "0")]).await;
    let mut submitted = vec![];
    for i in 0..5 {
        let mut body = quick();
        if i % 2 == 1 {
            (body["model_type"], body["target"]) = (json!("roi_prediction"), json!("total_cost"));
        }
        submitted.insert(0, submit(&service, body).await);
    }
    stop(&service, &submitted[1]).await;
    let (mut seen, mut query) = (vec![], "?limit=2".to_owned());
    loop {
        let page = list(&service, &query).await;
        seen.push(ids(&page).into_iter().map(str::to_owned).collect::<Vec<_>>());
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, submitted.chunks(2).collect::<Vec<_>>(), "from the newest, each once");
    assert_eq!(ids(&list(&service, "?status=cancelled").await), [&submitted[1]]);
    let roi = list(&service, "?model_type=roi_prediction&status=queued").await;
    assert_eq!((ids(&roi), &roi["next_cursor"]), (vec![submitted[3].as_str()], &Value::Null));
    assert_eq!(list(&service, "?status=failed").await, json!({"jobs": [], "next_cursor": null}));
    let own = list(&service, "?limit=1").await["jobs"][0].clone();
    let whole = job(&service, &submitted[0]).await;
    for (field, value) in
        own.as_object().expect("an object").iter().filter(|(field, _)| *field != "timestamp")
    {
        assert_eq!(&whole[field], value, "{field}");
    }
    let faulty = service.get(&format!("{JOBS}?limit=0&cursor=1.x&status=done&model_type=y"), TENANT_A).await;
    assert_eq!(faulty.kinds(), ["literal_error", "literal_error", "greater_than_equal", "value_error"]);
    assert_eq!(faulty.body["detail"][1]["loc"], json!(["query", "status"]));
    assert_eq!(service.get(&format!("{JOBS}?limit=101"), TENANT_A).await.kinds(), ["less_than_equal"]);
    for id in [0, 2, 3, 4] {
        cancel(&service, &submitted[id]).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_says_what_a_client_who_waits_is_told() {
    let service = Service::start_without_mlflow().await;
    let mut body = quick();
    body["data"] = json!(super::rows(3));
    let id = submit(&service, body.clone()).await;
    let failed = until_status(&service, &id, "failed").await;
    let waited = service.post(TRAIN, TENANT_A, &body).await;
    assert_eq!(waited.kinds(), ["too_few_rows"]);
    let error = &failed["error"];
    assert_eq!((&error["code"], &error["status"]), (&json!("invalid"), &json!(422)));
    assert_eq!(error["detail"], waited.body["detail"]);
    assert_eq!(
        (&error["message"], &failed["message"]),
        (&waited.body["detail"][0]["msg"], &error["message"])
    );
    assert_eq!((&failed["result"], &failed["model_id"]), (&Value::Null, &Value::Null));
    assert!(failed["completed_at"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_the_platform_are_jobs_that_nobody_can_cancel() {
    let service = Service::start_without_mlflow().await;
    run(
        &service.config.postgres.owner(),
        &format!(
            "INSERT INTO training_jobs (tenant_id, model_type, status, error_message, created_at) VALUES
             ('{TENANT_A}', 'house_price', 'training', NULL, '2020-01-01'),
             ('{TENANT_A}', 'house_price', 'failed', 'disk full', '2020-01-02'),
             ('{TENANT_A}', 'cost_forecasting', 'completed', NULL, '2020-01-03'),
             ('{TENANT_B}', 'cost_forecasting', 'completed', NULL, '2020-01-03')"
        ),
    )
    .await;
    let page = list(&service, "").await;
    let statuses: Vec<_> =
        page["jobs"].as_array().expect("a list").iter().map(|job| &job["status"]).collect();
    assert_eq!(statuses, ["completed", "failed", "training"]);
    let [completed, failed, training] = ids(&page)[..] else { panic!("{page}") };
    assert_eq!(job(&service, completed).await["result"], Value::Null, "nothing is known of it");
    let failed = job(&service, failed).await;
    assert_eq!((&failed["message"], &failed["error"]["message"]), (&json!("disk full"), &json!("disk full")));
    let refused = cancel(&service, training).await;
    assert_eq!(
        (refused.status, &refused.body["detail"]),
        (409, &json!("The job is none of the queue's; it cannot be cancelled"))
    );
    run(&service.config.postgres.owner(), "TRUNCATE training_jobs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_job_is_not_there_and_bad_ids_are_told_in_the_old_words() {
    let service = Service::start_with(&[("WORKERS", "0")]).await;
    let id = submit(&service, quick()).await;
    let nobody = Uuid::new_v4().to_string();
    for (method, suffix) in [("GET", ""), ("DELETE", ""), ("GET", "/events")] {
        for (tenant, id) in [(TENANT_B, &id), (TENANT_A, &nobody)] {
            let answer =
                request_of(&service, tenant, method, &format!("{}{suffix}", path(id)), &[], None).await;
            assert_eq!(answer.status(), 404, "{method} {suffix}");
            assert_eq!(answer.json::<Value>().await.expect("JSON"), json!({"detail": "No such job"}));
        }
        let bad = service.send(method, &format!("{}{suffix}", path("42")), TENANT_A, "user", None).await;
        assert_eq!(bad.kinds(), ["uuid_parsing"], "{method} {suffix}");
        assert_eq!(
            (&bad.body["detail"][0]["loc"], &bad.body["detail"][0]["msg"]),
            (
                &json!(["path", "job_id"]),
                &json!(
                    "Input should be a valid UUID, invalid length: expected length 32 for simple format, found 2"
                )
            )
        );
    }
    assert_eq!(service.get(JOBS, TENANT_B).await.ok()["jobs"], json!([]));
    assert_eq!(job(&service, &id).await["status"], "queued", "nobody cancelled it");
    assert_eq!(job(&service, &id.to_uppercase()).await["job_id"], id);
    cancel(&service, &id).await.ok();
}
