//! Once per time, whoever looks and whoever dies.

use binah_ml::{
    auth::tenant::scope,
    schedule::{Cron, Zone},
};
use chrono::TimeDelta;
use serde_json::json;

use super::*;
use crate::support::database::cut_off_after;

#[tokio::test(flavor = "multi_thread")]
async fn a_time_comes_once_however_many_look() {
    let world = World::trained(&[]).await;
    let others: Vec<_> = (0..4).map(|_| world.scheduler(|_| ())).collect();
    for round in 1..=5 {
        let due = world.due().await;
        world.turn(due - TimeDelta::seconds(1)).await;
        assert_eq!(world.retrainings().await, round - 1, "not before its time");
        let looks = others.iter().map(|scheduler| scheduler.turn(due));
        futures::future::try_join_all(looks).await.expect("look");
        assert_eq!(world.retrainings().await, round);
        world.rest().await;
    }
}

/// A process dies at any of its waits, also between the job and the row.
#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_dies_loses_and_doubles_nothing() {
    let world = World::trained(&[]).await;
    for polls in 0..24 {
        let due = world.due().await;
        let dying = world.scheduler(|_| ());
        cut_off_after(polls, dying.turn(due)).await;
        // The job may have been queued and have ended before the next process comes.
        world.rest().await;
        world.turn_and_rest(due + TimeDelta::minutes(5)).await;
        assert_eq!(world.retrainings().await, i64::try_from(polls).expect("few") + 1, "after {polls} waits");
        assert!(world.due().await > due + TimeDelta::hours(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_were_missed_are_one() {
    let world = World::trained(&[]).await;
    let due = world.due().await;
    let late = due + TimeDelta::days(5) + TimeDelta::hours(1);
    world.turn_and_rest(late).await;
    world.turn_and_rest(late + TimeDelta::minutes(10)).await;
    assert_eq!(world.retrainings().await, 1);
    let document = world.document().await;
    assert_eq!(time(&document["last_run_at"]), micros(late));
    assert_eq!(time(&document["next_run_at"]), due + TimeDelta::days(6), "the same offset every day");
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_spread_over_the_window() {
    let world = World::new(&[("RETRAIN_SCHEDULE", "30 12 * * *"), ("RETRAIN_JITTER_SECONDS", "600")]).await;
    world
        .service
        .as_owner(
            "INSERT INTO ml_models (tenant_id, model_type, artifacts)
             SELECT gen_random_uuid(), 'cost_forecasting', '{}' FROM generate_series(1, 1200)",
        )
        .await;
    let now = "2031-05-01T00:00:00Z".parse().expect("a time");
    // The service's own scheduler may have planned some: for its own now.
    world.service.as_owner("UPDATE training_schedules SET planned_by = 'others', due_at = NULL").await;
    world.turn(now).await;
    for (condition, expected) in [
        ("due_at >= '2031-05-01 12:30+00' AND due_at < '2031-05-01 12:40+00'", 1200..=1200),
        ("due_at < '2031-05-01 12:35+00'", 500..=700),
    ] {
        let statement = format!("SELECT count(*) FROM training_schedules WHERE {condition}");
        let counted = world.service.count(&statement).await;
        assert!(expected.contains(&counted), "{counted} {condition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_settings_are_other_times_and_no_retraining() {
    let world = World::trained(&[]).await;
    world.turn(Utc::now()).await;
    let due = world.due().await;
    let hourly = world.scheduler(|settings| {
        settings.cron = Cron::parse("7 * * * *", Zone::parse("UTC").expect("a zone")).expect("valid");
        settings.jitter = Duration::ZERO;
    });
    let next_run_at = async |scheduler: &Schedules, now| {
        scheduler.turn(now).await.expect("looks");
        let view = scope(tenant(TENANT_A), scheduler.get(cost(), now)).await.expect("reads");
        view.next_run_at
    };
    // What was due by the old settings is not by the new ones.
    let late = due + TimeDelta::seconds(1);
    let next = next_run_at(&hourly, late).await.expect("planned");
    assert_eq!(next.format("%M:%S").to_string(), "07:00");
    assert!(next > late && next <= late + TimeDelta::hours(1), "{next} after {late}");
    let off = world.scheduler(|settings| settings.enabled = false);
    assert_eq!(next_run_at(&off, late).await, None);
    assert_eq!(next_run_at(&off, late + TimeDelta::days(9)).await, None);
    // On again, it begins anew.
    let again = next_run_at(&world.schedules, late + TimeDelta::days(9)).await.expect("planned");
    assert!(again > late + TimeDelta::days(9), "{again}");
    assert_eq!(world.retrainings().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_of_its_own_runs_while_the_default_is_off() {
    let world = World::trained(&[("AUTO_RETRAIN", "false")]).await;
    let document = world.document().await;
    assert_eq!(
        (&document["kind"], &document["cron"], &document["next_run_at"]),
        (&json!("default"), &json!(null), &json!(null))
    );
    world.turn(Utc::now() + TimeDelta::days(40)).await;
    assert_eq!(world.retrainings().await, 0);

    let set = world.put(json!({"kind": "cron", "cron": "30 2 29 3 *", "time_zone": "Europe/Berlin"})).await;
    let due = time(&set["next_run_at"]);
    assert!(due > Utc::now(), "{set}");
    world.turn_and_rest(due).await;
    assert_eq!(world.retrainings().await, 1);
    world.put(json!({"kind": "none"})).await;
    world.turn(due + TimeDelta::days(900)).await;
    assert_eq!(world.retrainings().await, 1);
}

/// Somebody sets another schedule while the row is claimed: the job is noted, and the new time holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_is_set_under_a_scheduler_holds() {
    let world = World::trained(&[]).await;
    let due = world.due().await;
    for polls in 0..24 {
        let cut = world.scheduler(|_| ());
        cut_off_after(polls, cut.turn(due)).await;
        let set = world.put(json!({"kind": "cron", "cron": "15 3 1 1 *"})).await;
        world.rest().await;
        world.turn_and_rest(due + TimeDelta::minutes(5)).await;
        assert_eq!(world.document().await["next_run_at"], set["next_run_at"], "after {polls} waits");
        world.service.send("DELETE", PATH, TENANT_A, "admin", None).await.ok();
    }
}

/// As the database keeps it.
fn micros(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(time.timestamp_micros()).expect("a time")
}
