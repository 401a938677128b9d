//! Schedules over HTTP.

use serde_json::json;

use super::*;
use crate::support::TENANT_B;

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_there_from_the_first_version_on() {
    let world = World::new(&[("RETRAIN_TIME_ZONE", "Asia/Tokyo")]).await;
    let train_first =
        "No trained cost_forecasting model for this tenant; train one first with POST /api/ml/train";
    let body = json!({"kind": "none"});
    for (method, body) in [("GET", None), ("PUT", Some(body)), ("DELETE", None)] {
        let answer = world.service.send(method, PATH, TENANT_A, "admin", body).await;
        assert_eq!((answer.status, &answer.body["detail"]), (404, &json!(train_first)), "{method}");
    }
    world.insert(0..60, 100.0).await;
    world.service.train(TENANT_A, COST, json!({})).await.ok();
    let document = world.document().await;
    let cron = world.service.config.retrain.cron.text();
    let next = time(&document["next_run_at"]);
    assert_eq!(
        document,
        json!({"model_type": COST, "kind": "default", "cron": cron, "time_zone": "Asia/Tokyo", "rows": null,
            "share": null, "next_run_at": document["next_run_at"], "set_by": null, "set_at": null, "last_run_at": null,
            "last_job_id": null, "last_outcome": null, "last_message": null})
    );
    world.turn(Utc::now()).await;
    assert_eq!(world.due().await, next, "planned as was foretold");
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_set_and_take_away() {
    let world = World::trained(&[]).await;
    let default = world.document().await;
    let body = json!({"kind": "cron", "cron": "30  3 * * SUN", "time_zone": "America/New_York"});
    let refused = world.service.send("PUT", PATH, TENANT_A, "user", Some(body.clone())).await;
    assert_eq!((refused.status, refused.body["detail"].as_str()), (403, Some("Administrator role required")));
    let set = world.put(body).await;
    assert_eq!(
        (&set["kind"], &set["cron"], &set["time_zone"], &set["set_by"]),
        (
            &json!("cron"),
            &json!("30 3 * * SUN"),
            &json!("America/New_York"),
            &json!(format!("user-of-{TENANT_A}"))
        )
    );
    let next = time(&set["next_run_at"]);
    let hour = next.format("%a %H").to_string();
    assert!(["Sun 07", "Sun 08"].contains(&hour.as_str()), "half past three in New York is not {next}");
    assert_eq!(world.document().await, set);
    for (body, kinds) in [
        (json!({"kind": "cron", "cron": "0 25 * * *"}), &["value_error"][..]),
        (json!({"kind": "new_rows"}), &["value_error"]),
        (json!({}), &["missing"]),
    ] {
        assert_eq!(world.service.send("PUT", PATH, TENANT_A, "admin", Some(body)).await.kinds(), kinds);
    }
    assert_eq!(world.document().await, set, "nothing was changed");
    let reset = world.service.send("DELETE", PATH, TENANT_A, "admin", None).await.ok();
    assert_eq!((&reset["kind"], &reset["next_run_at"]), (&default["kind"], &default["next_run_at"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_its_tenants_alone() {
    let world = World::trained(&[]).await;
    world.put(json!({"kind": "cron", "cron": "30 3 * * SUN"})).await;
    let document = world.document().await;
    let list = world.service.get("/api/ml/schedules", TENANT_A).await.ok();
    assert_eq!(list, json!({"schedules": [document]}));
    assert_eq!(world.service.get("/api/ml/schedules", TENANT_B).await.ok(), json!({"schedules": []}));
    for (method, body) in [("GET", None), ("PUT", Some(json!({"kind": "none"}))), ("DELETE", None)] {
        assert_eq!(world.service.send(method, PATH, TENANT_B, "admin", body).await.status, 404, "{method}");
    }
    assert_eq!(world.document().await, document);
}
