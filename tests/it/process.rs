//! The program itself: its commands, its refusals, its signals.

use std::{
    collections::HashMap,
    process::{Command, Output, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

use crate::support::{TENANT_A, TestDatabase};

/// The program with these settings and no others of ours.
fn program(settings: &HashMap<String, String>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_binah-ml"));
    let folder = std::env::temp_dir();
    // No .env of the working folder has a say.
    command.current_dir(folder).env_remove("JWT_SECRET").env_remove("ENVIRONMENT").envs(settings);
    command
}

fn run(args: &[&str], settings: &[(&str, &str)]) -> Output {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    program(&settings).args(args).output().expect("runs")
}

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
        let output = run(&["serve"], &settings);
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && output.stdout.is_empty(), "{complaint}");
        assert!(complaint.contains(name) && complaint.trim_end().lines().count() == 1, "{complaint}");
    }
}

#[test]
fn sample_tokens_are_four_and_verify_as_they_say() {
    let output = run(&["token", "--samples"], &[]);
    let text = String::from_utf8(output.stdout).expect("text");
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
    let mut settings = HashMap::new();
    database.extend_settings(&mut settings);
    let doctor = |args: &[&str]| {
        let output = program(&settings).arg("doctor").args(args).output().expect("runs");
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

    settings.insert("POSTGRES_PORT".into(), "9".into());
    let output = program(&settings).args(["doctor", "--json"]).output().expect("runs");
    let report = json(&String::from_utf8(output.stdout).expect("text"));
    assert_eq!((output.status.code(), &report["verdict"]), (Some(2), &json!("not_checked")));
    settings.insert("POSTGRES_PORT".into(), "nine".into());
    let output = program(&settings).arg("doctor").output().expect("runs");
    assert_eq!(output.status.code(), Some(2), "a setting that is wrong is no finding");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_the_training_in_flight() {
    let models = tempfile::tempdir().expect("a folder");
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let database = TestDatabase::new().await;
    let mut settings = HashMap::from([
        ("API_HOST".to_owned(), "127.0.0.1".to_owned()),
        ("API_PORT".to_owned(), port.to_string()),
        ("MLFLOW_TRACKING_URI".to_owned(), "http://127.0.0.1:9".to_owned()),
        ("MODEL_REGISTRY_PATH".to_owned(), models.path().display().to_string()),
        (
            "DEPS".to_owned(),
            std::path::absolute(binah_ml::dev::deps()).expect("a path").display().to_string(),
        ),
    ]);
    database.extend_settings(&mut settings);
    let mut service = program(&settings).arg("serve").stderr(Stdio::null()).spawn().expect("starts");
    let base = format!("http://127.0.0.1:{port}");
    let client = reqwest::Client::new();
    for _ in 0..200 {
        if client.get(format!("{base}/health/ready")).send().await.is_ok_and(|r| r.status() == 200) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let token = String::from_utf8(run(&["token"], &[]).stdout).expect("text");
    let rows: Vec<_> = (0..2000).map(|i| json!({"x": i, "y": i % 37, "total_cost": i * i % 1013})).collect();
    let body = json!({"tenant_id": TENANT_A, "model_type": "cost_forecasting", "data": rows,
                      "config": {"n_estimators": 1500}});
    let training = tokio::spawn({
        let request = client.post(format!("{base}/api/ml/train")).bearer_auth(token.trim()).json(&body);
        async move { request.send().await.expect("an answer").status().as_u16() }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    kill(Pid::from_raw(service.id().cast_signed()), Signal::SIGTERM).expect("signals");
    assert_eq!(training.await.expect("joined"), 200, "the training in flight was finished");
    let status = tokio::task::block_in_place(|| service.wait()).expect("waits");
    assert!(status.success(), "{status}");
    assert!(client.get(format!("{base}/health")).send().await.is_err(), "nobody listens any more");
}
