//! Retraining when the records have changed.

use chrono::TimeDelta;
use serde_json::json;

use super::*;

impl World {
    /// Two looks of the schedulers after one another, a minute apart, from now on.
    async fn look(&self, minute: i64) {
        self.turn_and_rest(Utc::now() + TimeDelta::minutes(minute)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn enough_new_rows_are_one_retraining() {
    // The service's own scheduler would look as well, at other times.
    let world = World::trained(&[("RETRAIN_CHECK_SECONDS", "60")]).await;
    let set = world.put(json!({"kind": "new_rows", "rows": 10})).await;
    assert_eq!((&set["kind"], &set["rows"], &set["share"]), (&json!("new_rows"), &json!(10), &json!(null)));
    assert_eq!((&set["next_run_at"], &set["cron"]), (&json!(null), &json!(null)));
    world.insert(60..69, 100.0).await;
    world.look(1).await;
    assert_eq!(world.retrainings().await, 0, "nine are not ten");
    world.insert(69..70, 100.0).await;
    world.look(3).await;
    assert_eq!((world.retrainings().await, world.versions().await), (1, 2));
    assert!(world.document().await["last_message"].as_str().expect("a text").starts_with("trained v2.0"));
    for minute in [5, 7] {
        world.look(minute).await;
    }
    assert_eq!(world.retrainings().await, 1, "counted from the last reading on");
    // A training that somebody asks for begins the count anew.
    world.insert(70..79, 100.0).await;
    world.service.train(TENANT_A, COST, json!({})).await.ok();
    world.insert(79..88, 100.0).await;
    world.look(9).await;
    assert_eq!(world.retrainings().await, 1);
    world.insert(88..89, 100.0).await;
    world.look(11).await;
    assert_eq!(world.retrainings().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_counts_what_went_as_well() {
    let world = World::trained(&[]).await;
    world.put(json!({"kind": "new_rows", "share": 0.1})).await;
    world.service.as_owner("DELETE FROM cost_records WHERE id <= 3").await;
    world.insert(60..62, 100.0).await;
    world.look(1).await;
    assert_eq!(world.retrainings().await, 0, "five of sixty are less than a tenth");
    world.service.as_owner("DELETE FROM cost_records WHERE id = 4").await;
    world.look(3).await;
    assert_eq!(world.retrainings().await, 1);
    world.look(5).await;
    assert_eq!(world.retrainings().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_retraining_waits_for_further_rows() {
    let world = World::trained(&[]).await;
    world.put(json!({"kind": "new_rows", "share": 0.5})).await;
    world.service.as_owner("DELETE FROM cost_records WHERE id > 5").await;
    for minute in [1, 3, 5] {
        world.look(minute).await;
    }
    assert_eq!(world.retrainings().await, 1);
    assert_eq!(world.document().await["last_outcome"], "failed");
    world.insert(60..90, 100.0).await;
    world.look(7).await;
    assert_eq!((world.retrainings().await, world.versions().await), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_begins_with_the_schedule_where_no_training_counted() {
    let world = World::trained(&[]).await;
    world.service.as_owner("UPDATE training_jobs SET request = NULL, outcome = NULL").await;
    world.put(json!({"kind": "new_rows", "rows": 10})).await;
    world.look(1).await;
    world.insert(60..70, 100.0).await;
    world.look(3).await;
    assert_eq!(world.retrainings().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_dies_between_job_and_row_doubles_nothing() {
    let world = World::trained(&[]).await;
    world.put(json!({"kind": "new_rows", "rows": 10})).await;
    let before = "CREATE TABLE before AS TABLE training_schedules";
    world.service.as_owner(before).await;
    world.insert(60..70, 100.0).await;
    world.look(1).await;
    assert_eq!(world.retrainings().await, 1);
    // As if the row had never heard of the job; what the job has read is known, too, unless it goes on.
    let forgotten =
        "UPDATE training_schedules s SET due_at = b.due_at, claimed_until = NULL, last_run_at = NULL,
            last_job_id = NULL, last_outcome = NULL, marked_rows = NULL, marked_id = NULL, marked_at = NULL
       FROM before b WHERE b.tenant_id = s.tenant_id AND b.model_type = s.model_type;
       SET session_replication_role = replica; UPDATE training_jobs SET status = 'failed' WHERE origin = 'schedule'";
    world.service.as_owner(forgotten).await;
    world.look(3).await;
    assert_eq!(world.retrainings().await, 1);
    assert!(world.document().await["last_job_id"].is_string(), "it was found again");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_no_records_cannot_be_counted() {
    let world = World::new(&[]).await;
    world.insert(0..60, 100.0).await;
    let query = json!({"training_data_query": "SELECT project_size_sqft AS sqft, num_units, total_cost FROM cost_records"});
    world.service.train(TENANT_A, COST, query).await.ok();
    let body = json!({"kind": "new_rows", "rows": 10});
    let refused = world.service.send("PUT", PATH, TENANT_A, "admin", Some(body.clone())).await;
    assert_eq!(refused.kinds(), ["not_available"]);
    assert_eq!(
        refused.body["detail"][0]["msg"],
        "new_rows counts the records in cost_records, and the rows of the newest version came from a query"
    );
    let rows: Vec<_> = (0..40).map(|i| json!({"size": i, "total_cost": i * 100})).collect();
    world.service.train(TENANT_A, COST, json!({"data": rows})).await.ok();
    let refused = world.service.send("PUT", PATH, TENANT_A, "admin", Some(body)).await;
    assert_eq!(
        refused.body["detail"][0]["msg"],
        "new_rows counts records, and the rows of v2.0 came with the request and cannot be read again"
    );
    assert_eq!(world.document().await["kind"], "default");
}
