//! What a retraining is made of, and what becomes of it.

use chrono::TimeDelta;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_have_not_changed_give_no_version() {
    let world = World::trained(&[]).await;
    world.turn_and_rest(world.due().await).await;
    let document = world.document().await;
    assert_eq!(document["last_outcome"], "unchanged", "{document}");
    assert_eq!(document["last_message"], "unchanged: the rows are those of v1.0");
    assert!(document["last_job_id"].is_string());
    assert_eq!((world.retrainings().await, world.versions().await), (1, 1));
    // And the same once the row itself says so.
    world.turn(Utc::now()).await;
    assert_eq!(world.document().await, document);
    let stored = "SELECT count(*) FROM training_schedules WHERE last_outcome = 'unchanged'";
    assert_eq!(world.service.count(stored).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_rows_give_a_version_that_the_rule_judges() {
    // Times decide what is held out: the new price is in both parts, and the old model knows nothing of it.
    for (margin, outcome, champion) in [("0", "promoted", "v2.0"), ("0.9999", "not_promoted", "v1.0")] {
        let world = World::trained(&[("PROMOTION_MARGIN", margin)]).await;
        world.insert(60..300, 250.0).await;
        world.turn_and_rest(world.due().await).await;
        let document = world.document().await;
        assert_eq!(document["last_outcome"], outcome, "{document}");
        let message = document["last_message"].as_str().expect("a text");
        assert!(message.starts_with("trained v2.0, ") && message.contains("rmse"), "{message}");
        let served =
            world.service.get("/api/ml/models/cost_forecasting/versions/champion", TENANT_A).await.ok();
        assert_eq!(served["model_version"], champion);
        let newest =
            world.service.get("/api/ml/models/cost_forecasting/versions/latest", TENANT_A).await.ok();
        assert_eq!((&newest["model_version"], &newest["n_rows"]), (&json!("v2.0"), &json!(300)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_and_source_are_those_of_the_newest_version() {
    let world = World::new(&[]).await;
    world.insert(0..60, 100.0).await;
    let asked = json!({
        "hyperparameters": {"n_estimators": 17, "max_depth": 3}, "validation_split": 0.4, "split": "random", "seed": 7,
        "training_data_query": "SELECT project_size_sqft AS sqft, num_units, total_cost FROM cost_records"
    });
    world.service.train(TENANT_A, COST, json!({"hyperparameters": {"n_estimators": 5}})).await.ok();
    world.service.train(TENANT_A, COST, asked.clone()).await.ok();
    world.insert(60..80, 100.0).await;
    // The test's own scheduler may run no queries.
    world.turn(world.due().await).await;
    let refused = world.document().await;
    assert_eq!(refused["last_outcome"], "failed", "{refused}");
    assert!(refused["last_message"].as_str().expect("a text").contains("switched off"), "{refused}");

    // The service's own may.
    world.service.as_owner("UPDATE training_schedules SET due_at = now(), last_run_at = NULL").await;
    while world.document().await["last_outcome"] != "promoted" {
        assert_ne!(world.document().await["last_outcome"], "not_promoted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let newest = world.service.get("/api/ml/models/cost_forecasting/versions/latest", TENANT_A).await.ok();
    assert_eq!(newest["model_version"], "v3.0", "{newest}");
    assert_eq!(newest["hyperparameters"]["n_estimators"], 17);
    assert_eq!((&newest["lineage"]["seed"], &newest["lineage"]["data_source"]), (&json!(7), &json!("query")));
    let kept = "SELECT count(*) FROM training_jobs WHERE origin = 'schedule' AND status = 'completed'
        AND request->'train'->>'split' = 'random' AND (request->'train'->>'validation_split')::float8 = 0.4
        AND user_id = 'schedule'";
    assert_eq!(world.service.count(kept).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_request_are_skipped_and_the_next_time_is_planned() {
    let world = World::new(&[]).await;
    let rows: Vec<_> = (0..40).map(|i| json!({"size": i, "total_cost": i * 100})).collect();
    world.service.train(TENANT_A, COST, json!({"data": rows})).await.ok();
    let due = world.due().await;
    world.turn(due).await;
    let document = world.document().await;
    assert_eq!(document["last_outcome"], "skipped");
    assert_eq!(
        document["last_message"],
        "skipped: the rows of v1.0 came with the request and cannot be read again"
    );
    assert_eq!(
        (&document["last_job_id"], time(&document["next_run_at"])),
        (&json!(null), due + TimeDelta::days(1))
    );
    assert_eq!(world.retrainings().await, 0);
}

/// Versions from before the queue have no request.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_from_before_the_queue_is_trained_again() {
    let world = World::new(&[]).await;
    world.insert(0..60, 100.0).await;
    let asked = json!({"hyperparameters": {"n_estimators": 17}, "validation_split": 0.3, "seed": 9});
    world.service.train(TENANT_A, COST, asked).await.ok();
    world.service.as_owner("UPDATE training_jobs SET request = NULL, outcome = NULL, origin = NULL").await;
    world.insert(60..70, 100.0).await;
    let due = world.due().await;
    world.turn_and_rest(due).await;
    let newest = world.service.get("/api/ml/models/cost_forecasting/versions/latest", TENANT_A).await.ok();
    assert_eq!((&newest["model_version"], &newest["n_rows"]), (&json!("v2.0"), &json!(70)));
    assert_eq!(newest["hyperparameters"]["n_estimators"], 17);
    assert_eq!(newest["lineage"]["seed"], 9);
    let split = "SELECT count(*) FROM training_jobs WHERE origin = 'schedule' AND validation_split = 0.3";
    assert_eq!(world.service.count(split).await, 1);

    // Nothing is made up where nothing was kept.
    world.service.as_owner("TRUNCATE training_jobs").await;
    world.turn_and_rest(due + TimeDelta::days(1)).await;
    let document = world.document().await;
    let reason = "skipped: what v2.0 was trained with was not kept; train a new version";
    assert_eq!(document["last_message"], reason, "{document}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_goes_on_is_not_asked_for_twice() {
    let world = World::trained(&[]).await;
    let due = world.due().await;
    // As long as no worker claims it.
    world.turn(due).await;
    world.rest().await;
    // Past the trigger that lets no job begin again.
    let queued = "SET session_replication_role = replica; UPDATE training_jobs SET status = 'queued', run_at = now() + interval '1 hour', completed_at = NULL
        WHERE origin = 'schedule'; UPDATE training_schedules SET last_outcome = 'queued', last_message = NULL";
    world.service.as_owner(queued).await;
    let document = world.document().await;
    assert_eq!((&document["last_outcome"], &document["last_message"]), (&json!("queued"), &json!(null)));
    world.turn(due + TimeDelta::days(1)).await;
    assert_eq!(world.retrainings().await, 1);
    let later = world.document().await;
    assert_eq!(later["last_job_id"], document["last_job_id"], "the one that goes on");
    assert_eq!(time(&later["next_run_at"]), due + TimeDelta::days(2));
    world.service.as_owner("UPDATE training_jobs SET status = 'cancelled' WHERE origin = 'schedule'").await;
    world.turn(Utc::now()).await;
    assert_eq!(world.document().await["last_outcome"], "cancelled");
    world.turn_and_rest(due + TimeDelta::days(2)).await;
    assert_eq!(world.retrainings().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_that_fails_says_why() {
    let world = World::trained(&[]).await;
    world.service.as_owner("DELETE FROM cost_records WHERE id > 5").await;
    world.turn_and_rest(world.due().await).await;
    let document = world.document().await;
    assert_eq!(document["last_outcome"], "failed", "{document}");
    let message = document["last_message"].as_str().expect("a text");
    assert!(message.starts_with("failed: ") && message.contains("20"), "{message}");
    let served = world.service.get("/api/ml/models/cost_forecasting/versions/champion", TENANT_A).await.ok();
    assert_eq!(served["model_version"], "v1.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_postpones() {
    let world = World::trained(&[("TENANT_TRAINING_QUEUE", "1")]).await;
    let due = world.due().await;
    let waiting = format!(
        "INSERT INTO training_jobs (id, tenant_id, model_type, status, request, run_at)
         VALUES ('{TENANT_A}', '{TENANT_A}', 'roi_prediction', 'queued', '{{}}', now() + interval '1 hour')"
    );
    world.service.as_owner(&waiting).await;
    world.turn(due).await;
    assert_eq!((world.retrainings().await, world.due().await), (0, due));
    world.service.as_owner(&format!("DELETE FROM training_jobs WHERE id = '{TENANT_A}'")).await;
    world.turn_and_rest(due + TimeDelta::minutes(3)).await;
    assert_eq!(world.retrainings().await, 1);
}

#[test]
fn every_end_is_counted_once() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let world = runtime.block_on(async {
        let world = World::trained(&[]).await;
        world.turn_and_rest(world.due().await).await;
        world
    });
    // The recorder is this thread's: the looks are made here.
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let pending = "UPDATE training_schedules SET last_outcome = 'queued'";
            world.service.as_owner(pending).await;
            for scheduler in [&world.schedules, &world.scheduler(|_| ()), &world.schedules] {
                scheduler.turn(Utc::now()).await.expect("looks");
            }
        });
    });
    let text = handle.render();
    assert!(text.contains(r#"binah_retrainings_total{outcome="unchanged"} 1"#), "{text}");
    runtime.block_on(async move { drop(world) });
}
