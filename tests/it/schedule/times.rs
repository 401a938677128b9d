//! Once per time, whoever looks and whoever dies.

use binah_ml::{
    auth::tenant::scope,
    schedule::{Cron, Zone},
    storage::ConnectConfig,
};
use chrono::{SecondsFormat, TimeDelta};
use reqwest::header::HeaderValue;
use serde_json::json;

use super::*;
use crate::support::{database::cut_off_after, relay::Relay};

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

/// At seven minutes past every hour, without an offset.
fn hourly(settings: &mut RetrainConfig) {
    settings.cron = Cron::parse("7 * * * *", Zone::parse("UTC").expect("a zone")).expect("valid");
    settings.jitter = Duration::ZERO;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_settings_are_other_times_and_no_retraining() {
    let world = World::trained(&[]).await;
    world.turn(Utc::now()).await;
    let due = world.due().await;
    let hourly = world.scheduler(hourly);
    let next_run_at = async |scheduler: &Schedules, now| {
        scheduler.turn(now).await.expect("looks");
        let view = scope(tenant(TENANT_A), scheduler.get(cost(), now)).await.expect("reads");
        view.next_run_at
    };
    let before = due - TimeDelta::seconds(1);
    let next = next_run_at(&hourly, before).await.expect("planned");
    assert_eq!(next.format("%M:%S").to_string(), "07:00");
    assert!(next > before && next <= before + TimeDelta::hours(1), "{next} after {before}");
    // Off, also what is due is not wanted any more.
    let off = world.scheduler(|settings| settings.enabled = false);
    assert_eq!(next_run_at(&off, next + TimeDelta::minutes(1)).await, None);
    let later = next + TimeDelta::days(9);
    assert_eq!(next_run_at(&off, later).await, None);
    // On again, it begins anew.
    let again = next_run_at(&world.scheduler(|_| ()), later).await.expect("planned");
    assert!(again > later, "{again}");
    assert_eq!(world.retrainings().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_when_a_process_starts_comes_before_its_settings() {
    let world = World::trained(&[]).await;
    world.turn(Utc::now()).await;
    let due = world.due().await;
    let hourly = world.scheduler(hourly);
    let late = due + TimeDelta::seconds(1);
    hourly.turn(late).await.expect("looks");
    world.rest().await;
    assert_eq!(world.retrainings().await, 1);
    let next = world.due().await;
    assert_eq!(next.format("%M:%S").to_string(), "07:00");
    assert!(next > late && next <= late + TimeDelta::hours(1), "{next} after {late}");
}

/// Such as while new settings are rolled out: here those that switch retraining on.
#[tokio::test(flavor = "multi_thread")]
async fn processes_with_different_settings_do_not_undo_each_other() {
    let world = World::trained(&[]).await;
    let now = Utc::now();
    // It has been there for long.
    let old = world.scheduler(|settings| settings.enabled = false);
    for hours in [3, 2] {
        old.turn(now - TimeDelta::hours(hours)).await.expect("looks");
    }
    world.turn(now).await;
    let due = world.due().await;
    let last_writer = "SELECT xmin::text::bigint FROM training_schedules";
    let written = world.service.count(last_writer).await;
    for seconds in [10, 20, 30] {
        let later = now + TimeDelta::seconds(seconds);
        old.turn(later).await.expect("looks");
        world.turn(later).await;
    }
    assert_eq!(world.service.count(last_writer).await, written, "nobody had anything to write");
    for day in 1..=3 {
        let due = due + TimeDelta::days(day - 1);
        old.turn(due).await.expect("looks");
        assert_eq!(world.retrainings().await, day - 1, "its settings know nothing of that time");
        world.turn_and_rest(due).await;
        old.turn(due + TimeDelta::seconds(10)).await.expect("looks");
        assert_eq!((world.retrainings().await, world.due().await), (day, due + TimeDelta::days(1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_older_processes_planned_meanwhile_is_planned_anew_after_an_hour() {
    let world = World::trained(&[]).await;
    let now = Utc::now();
    world.turn(now).await;
    let due = world.due().await;
    let others = "UPDATE training_schedules SET planned_by = 'others', due_at = '2099-01-01 02:00+00'";
    world.service.as_owner(others).await;
    let far = "2099-01-01T02:00:00Z".parse::<DateTime<Utc>>().expect("a time");
    for (minutes, expected) in [(59, far), (60, due)] {
        world.turn(now + TimeDelta::minutes(minutes)).await;
        assert_eq!(world.due().await, expected, "after {minutes} minutes");
    }
    // Never again: whoever began later has the last word.
    world.service.as_owner(others).await;
    world.turn(now + TimeDelta::minutes(200)).await;
    assert_eq!(world.due().await, far);
}

/// A window that grows, or shrinks, while a time is on its way through it.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_comes_once_in_whatever_window() {
    let world = World::trained(&[]).await;
    world.turn(Utc::now()).await;
    let day = TimeDelta::days(1);
    let in_wide = world.due().await;
    let narrow = || world.scheduler(|settings| settings.jitter = Duration::ZERO);
    narrow().turn(Utc::now()).await.expect("looks");
    let in_narrow = world.due().await;
    assert!(in_narrow < in_wide, "this tenant has an offset");

    // It came in the narrow one, by a process of the wide one that has been there for long.
    world.turn(in_narrow - TimeDelta::hours(2)).await;
    narrow().turn(in_narrow - TimeDelta::hours(1)).await.expect("looks");
    assert_eq!(world.due().await, in_narrow);
    world.turn_and_rest(in_narrow).await;
    assert_eq!((world.retrainings().await, world.due().await), (1, in_wide + day));

    // It came in the narrow one, and a process of the wide one starts.
    narrow().turn(in_narrow + TimeDelta::seconds(1)).await.expect("looks");
    assert_eq!(world.due().await, in_narrow + day);
    world.scheduler(|_| ()).turn(in_narrow + TimeDelta::seconds(2)).await.expect("looks");
    assert_eq!((world.retrainings().await, world.due().await), (1, in_wide + day));

    // It has yet to come in the wide one, is over in the narrow one, and a process of that starts.
    narrow().turn(in_wide + day - TimeDelta::seconds(1)).await.expect("looks");
    world.rest().await;
    world.turn_and_rest(in_wide + day).await;
    assert_eq!((world.retrainings().await, world.due().await), (2, in_narrow + day * 2));
}

/// A member who knows when a time comes cannot have it stand for another request.
#[tokio::test(flavor = "multi_thread")]
async fn no_client_can_take_the_key_of_a_time() {
    let world = World::trained(&[]).await;
    let due = world.due().await;
    let plain = format!("schedule/{COST}/time/{}", due.to_rfc3339_opts(SecondsFormat::Micros, true));
    let own = format!("§{plain}");
    for (key, status) in [(&plain, 200), (&own, 422)] {
        let key = HeaderValue::from_bytes(key.as_bytes()).expect("a value");
        let request = reqwest::Client::new()
            .post(format!("{}/api/ml/train", world.service.base))
            .bearer_auth(world.service.token(TENANT_A, "user"))
            .header("Idempotency-Key", key)
            .json(&json!({"tenant_id": TENANT_A, "model_type": COST}));
        assert_eq!(request.send().await.expect("an answer").status().as_u16(), status);
    }
    world.turn_and_rest(due).await;
    assert_eq!(world.document().await["last_outcome"], "unchanged");
    let named =
        format!("SELECT count(*) FROM training_jobs WHERE origin = 'schedule' AND idempotency_key = '{own}'");
    assert_eq!(world.service.count(&named).await, 1);
}

/// The host of the database is gone, or the way there is cut: nothing comes back, not even a word of that.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_falls_silent_in_a_look_ends_it() {
    let world = World::new(&[]).await;
    let direct = world.service.config.postgres.service();
    let upstream = format!("{}:{}", direct.host, direct.port).parse().expect("an address");
    let network = Relay::start(vec![upstream]).await;
    let (host, port) = (network.address.ip().to_string(), network.address.port());
    let database =
        Database::new(&ConnectConfig { host, port, ..direct }, &world.service.config.postgres.pool());
    let schedules = scheduler(&world.service, &database, world.service.config.retrain.clone());
    schedules.turn(Utc::now()).await.expect("looks");

    // It waits for this lock, and then for an answer that is on the way for ever.
    let held = scope(tenant(TENANT_A), world.database.tenant_transaction("test")).await;
    let mut held = held.expect("begins");
    let lock = "LOCK TABLE training_schedules IN ACCESS EXCLUSIVE MODE";
    sqlx::query(lock).execute(&mut *held).await.expect("locks");
    let silence = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        network.stall(true);
    };
    let look = tokio::time::timeout(Duration::from_secs(60), schedules.turn(Utc::now()));
    let (look, ()) = tokio::join!(look, silence);
    let error = look.expect("it does not wait for ever").expect_err("nobody answers");
    assert_eq!(error.code(), "unavailable");
    drop(held);
    network.stall(false);
    schedules.turn(Utc::now()).await.expect("looks again");
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
