//! The program itself: its commands, its refusals, its signals.

use serde_json::json;

use crate::support::{Client, Program, TENANT_A, TestDatabase, servers};

#[test]
fn production_refuses_to_start_in_one_line_that_names_the_setting() {
    let production = ("ENVIRONMENT", "production");
    for (settings, name) in [
        (vec![production, ("POSTGRES_PASSWORD", "p")], "JWT_SECRET"),
        (vec![production, ("POSTGRES_PASSWORD", "p"), ("JWT_SECRET", "short")], "JWT_SECRET"),
        (
            vec![
                production,
                ("POSTGRES_PASSWORD", "p"),
                ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
                ("ENABLE_TENANT_ISOLATION", "false"),
            ],
            "ENABLE_TENANT_ISOLATION",
        ),
        (vec![("API_PORT", "eighty")], "API_PORT"),
    ] {
        let output = Program::new(&settings).run(&["serve"]);
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && output.stdout.is_empty(), "{complaint}");
        assert!(complaint.contains(name) && complaint.trim_end().lines().count() == 1, "{complaint}");
    }
}

#[test]
fn sample_tokens_are_four_and_verify_as_they_say() {
    let text = Program::new(&[]).prints(&["token", "--samples"]);
    let tokens: Vec<_> = text.lines().filter(|line| line.starts_with("eyJ")).collect();
    assert_eq!(tokens.len(), 4, "{text}");
    let config = binah_ml::config::Config::from_lookup(&|_| None).expect("defaults");
    let verifier = binah_ml::auth::Tokens::new(config.token);
    let callers: Vec<_> = tokens
        .iter()
        .map(|token| verifier.authenticate(Some(format!("Bearer {token}").as_bytes())).ok())
        .collect();
    let [Some(admin), Some(other), Some(user), None] = &callers[..] else { panic!("{callers:?}") };
    assert!(admin.is_admin() && !user.is_admin());
    assert!(admin.tenant == user.tenant && admin.tenant != other.tenant);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_speaks_by_its_exit_status_and_in_json() {
    let database = TestDatabase::new().await;
    database.as_owner(&format!("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC", database.owner.database)).await;
    let doctor = |args: &[&str]| {
        let output = Program::with_database(&database, &[]).run(&[&["doctor"], args].concat());
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(complaint, "");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("one JSON object");
    let (status, text) = doctor(&[]);
    assert_eq!(status, Some(0), "{text}");
    assert!(
        text.trim_end().lines().last().is_some_and(|line| line.starts_with("Tenants are isolated")),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "colours belong on a terminal");
    let (status, text) = doctor(&["--json"]);
    assert_eq!(
        (status, &json(&text)["verdict"], &json(&text)["findings"]),
        (Some(0), &json!("clean"), &json!([]))
    );

    database.as_owner("ALTER TABLE predictions NO FORCE ROW LEVEL SECURITY").await;
    let (status, text) = doctor(&[]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("error table_without_force public.predictions"), "{text}");
    let (status, text) = doctor(&["--json"]);
    let finding = json!({
        "code": "table_without_force", "severity": "error", "group": "tables", "object": "public.predictions",
        "problem": "row-level security does not bind the table's owner, nor what runs with its rights",
        "mend": {"sql": "ALTER TABLE public.predictions FORCE ROW LEVEL SECURITY;"},
    });
    assert_eq!((status, &json(&text)["findings"]), (Some(1), &json!([finding])));
    assert_eq!((&json(&text)["format"], &json(&text)["errors"]), (&json!(1), &json!(1)));

    let with_port = |port| Program::with_database(&database, &[("POSTGRES_PORT", port)]);
    let output = with_port("9").run(&["doctor", "--json"]);
    let report = json(&String::from_utf8(output.stdout).expect("text"));
    assert_eq!((output.status.code(), &report["verdict"]), (Some(2), &json!("not_checked")));
    let output = with_port("nine").run(&["doctor"]);
    assert_eq!(output.status.code(), Some(2), "a setting that is wrong is no finding");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_the_training_in_flight() {
    let database = TestDatabase::new().await;
    let program = Program::with_database(&database, &[("MLFLOW_TRACKING_URI", servers::NOBODY)]);
    let service = program.serve().await;
    let client = Client::new(service.base.clone(), &program.config());
    let training = tokio::spawn(async move {
        let rows: Vec<_> =
            (0..2000).map(|i| json!({"x": i, "y": i % 37, "total_cost": i * i % 1013})).collect();
        let more = json!({"data": rows, "config": {"n_estimators": 1500}});
        client.train(TENANT_A, "cost_forecasting", more).await.status
    });
    let running = "SELECT count(*) FROM training_jobs WHERE status = 'training'";
    service.until("the training has begun", async || database.count(running).await == 1).await;
    let base = service.base.clone();
    service.stop().await;
    assert_eq!(training.await.expect("joined"), 200, "the training in flight was finished");
    assert!(reqwest::get(format!("{base}/health")).await.is_err(), "nobody listens any more");
}
