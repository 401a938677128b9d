use std::collections::HashMap;

use super::*;

fn config(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let settings: HashMap<_, _> = settings.iter().copied().collect();
    Config::from_lookup(&|name| settings.get(name).map(|value| (*value).to_owned()))
}

fn refusal(settings: &[(&str, &str)]) -> String {
    config(settings).expect_err("must be refused").to_string()
}

const OWN_SECRET: (&str, &str) = ("JWT_SECRET", "0123456789abcdef0123456789abcdef");
const PRODUCTION: (&str, &str) = ("ENVIRONMENT", "production");
const PASSWORD: (&str, &str) = ("POSTGRES_PASSWORD", "p");

#[test]
fn nothing_set_is_development() {
    let config = config(&[]).expect("defaults");
    assert_eq!(config.environment, Environment::Development);
    assert_eq!((config.api.port, config.postgres.port), (8098, 5432));
    assert_eq!(config.token.secret.expose_secret(), DEVELOPMENT_SECRET);
    assert!(config.tenant_isolation && config.neo4j.is_none() && !config.log.json);
}

#[test]
fn the_sample_file_is_complete_and_means_the_defaults() {
    let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
    let sample: HashMap<String, String> =
        dotenvy::from_path_iter(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example"))
            .expect("the sample file")
            .collect::<Result<_, _>>()
            .expect("parses");
    let lookup = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        sample.get(name).cloned()
    };
    let from_sample = Config::from_lookup(&lookup).expect("the sample file is valid");
    let neo4j = |name: &str| if name == "NEO4J_URI" { Some("bolt://x".to_owned()) } else { lookup(name) };
    assert!(Config::from_lookup(&neo4j).expect("valid").neo4j.is_some());
    assert_eq!(format!("{from_sample:?}"), format!("{:?}", config(&[]).expect("defaults")));
    let in_sample: std::collections::BTreeSet<_> = sample.into_keys().collect();
    assert_eq!(in_sample, asked.into_inner(), "every setting stands in .env.example, and no other");
}

#[test]
fn production_refuses_what_development_forgives() {
    assert!(config(&[PRODUCTION, OWN_SECRET, PASSWORD]).is_ok());
    assert_eq!(
        refusal(&[PRODUCTION, PASSWORD]),
        "JWT_SECRET is unset or the development default; set a secret of your own"
    );
    assert!(refusal(&[PRODUCTION, PASSWORD, ("JWT_SECRET", DEVELOPMENT_SECRET)]).starts_with("JWT_SECRET "));
    assert!(refusal(&[PRODUCTION, PASSWORD, ("JWT_SECRET", "short")]).starts_with("JWT_SECRET is shorter"));
    assert_eq!(refusal(&[PRODUCTION, OWN_SECRET]), "POSTGRES_PASSWORD is not set");
    assert!(
        refusal(&[PRODUCTION, OWN_SECRET, PASSWORD, ("ENABLE_TENANT_ISOLATION", "false")])
            .starts_with("ENABLE_TENANT_ISOLATION ")
    );
    assert!(!config(&[("ENABLE_TENANT_ISOLATION", "false")]).expect("allowed").tenant_isolation);
}

#[test]
fn a_bad_value_names_its_setting() {
    for (name, value) in [
        ("API_PORT", "eighty"),
        ("API_PORT", "70000"),
        ("METRICS_PORT", "-1"),
        ("ENVIRONMENT", "prod"),
        ("AUTO_RETRAIN", "maybe"),
        ("RETRAIN_SCHEDULE", "daily"),
        ("RETRAIN_SCHEDULE", "0 24 * * *"),
        ("RETRAIN_TIME_ZONE", "Berlin"),
        ("RETRAIN_JITTER_SECONDS", "-1"),
        ("RETRAIN_CHECK_SECONDS", "0"),
        ("MLFLOW_TRACKING_URI", "./mlruns"),
        ("MLFLOW_MODEL_NAME", "{model_type}"),
        ("MLFLOW_MODEL_NAME", "{tenant_id}"),
        ("MLFLOW_WORKSPACES", "maybe"),
        ("SINGLE_TENANT", "acme"),
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "0"),
        ("NEO4J_URI", "http://x"),
        ("NEO4J_QUERY_TIMEOUT_SECONDS", "0"),
        ("CORS_ORIGINS", "localhost"),
        ("LOG_LEVEL", "a=b=c"),
        ("LOG_FORMAT", "xml"),
        ("JWT_ALGORITHM", "none"),
        ("TRAINING_QUEUE", "0"),
        ("POSTGRES_MAX_CONNECTIONS", "99999999999"),
    ] {
        // Neo4j's settings count where Neo4j is on.
        let graph = ("NEO4J_URI", "bolt://x");
        let message =
            refusal(&if name == graph.0 { vec![(name, value)] } else { vec![graph, (name, value)] });
        assert!(message.starts_with(&format!("{name} ")), "{message}");
        assert!(!message.contains('\n'), "one line: {message}");
    }
}

#[test]
fn a_name_without_the_tenant_needs_tenants_that_are_apart() {
    let plain = ("MLFLOW_MODEL_NAME", "{model_type}");
    assert_eq!(
        refusal(&[plain, ("MLFLOW_WORKSPACES", "false")]),
        "MLFLOW_MODEL_NAME must contain {model_type}, and {tenant_id} unless MLFLOW_WORKSPACES or SINGLE_TENANT is set"
    );
    let tenant = "AAAAAAAA-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
    let tracker = |setting: (&str, &str)| config(&[plain, setting]).expect("valid").tracker().expect("valid");
    let workspaces = tracker(("MLFLOW_WORKSPACES", "true"));
    assert_eq!((workspaces.workspaces, workspaces.single_tenant), (true, None));
    let single = tracker(("SINGLE_TENANT", tenant));
    assert_eq!((single.workspaces, single.single_tenant), (false, Some(tenant.to_lowercase())));
    assert_eq!(single.model_name, "{model_type}");
    for setting in [("MLFLOW_WORKSPACES", "true"), ("SINGLE_TENANT", tenant)] {
        let message = refusal(&[setting, ("MLFLOW_MODEL_NAME", "{tenant_id}")]);
        assert!(message.starts_with("MLFLOW_MODEL_NAME must contain {model_type}"), "{message}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let printed = format!(
        "{:?}",
        config(&[
            ("POSTGRES_PASSWORD", "hush-1"),
            ("NEO4J_URI", "bolt://x"),
            ("NEO4J_PASSWORD", "hush-2"),
            OWN_SECRET
        ])
    );
    assert!(!printed.contains("hush") && !printed.contains(OWN_SECRET.1), "{printed}");
}

#[test]
fn the_graph_takes_its_settings_and_the_limit_of_rows() {
    assert!(config(&[("CYPHER_TEMPLATES_DIR", "t")]).expect("valid").graph().is_none(), "no NEO4J_URI");
    let graph = config(&[
        ("NEO4J_URI", "bolt+s://x"),
        ("NEO4J_CA_FILE", "ca.pem"),
        ("NEO4J_MAX_CONNECTIONS", "3"),
        ("NEO4J_CONNECT_TIMEOUT_SECONDS", "5"),
        ("NEO4J_QUERY_TIMEOUT_SECONDS", "7"),
        ("TRAINING_MAX_ROWS", "11"),
        ("CYPHER_TEMPLATES_DIR", "t"),
    ]);
    let graph = graph.expect("valid").graph().expect("on");
    assert_eq!((graph.ca_certificate, graph.templates), (Some("ca.pem".into()), Some("t".into())));
    assert_eq!((graph.max_connections, graph.max_rows), (3, 11));
    assert_eq!((graph.connect_timeout.as_secs(), graph.query_timeout.as_secs()), (5, 7));
}

#[test]
fn promotion_is_by_the_metric_unless_it_is_not() {
    let promotion = |settings: &[(&str, &str)]| config(settings).expect("valid").promotion;
    assert_eq!(promotion(&[]), PromotionConfig { policy: PromotionPolicy::Auto, margin: 0.0 });
    let manual = promotion(&[("PROMOTION", "Manual"), ("PROMOTION_MARGIN", "0.05")]);
    assert_eq!(manual, PromotionConfig { policy: PromotionPolicy::Manual, margin: 0.05 });
    assert_eq!(
        refusal(&[("PROMOTION", "never")]),
        "PROMOTION must be one of auto, manual, always, not 'never'"
    );
    for bad in ["1", "-0.1", "nan"] {
        assert_eq!(
            refusal(&[("PROMOTION_MARGIN", bad)]),
            "PROMOTION_MARGIN must be a share from 0 to below 1"
        );
    }
}

#[test]
fn retraining_is_at_two_in_the_night_of_its_time_zone() {
    let retrain = |settings: &[(&str, &str)]| config(settings).expect("valid").retrain;
    let default = retrain(&[]);
    assert_eq!((default.enabled, default.cron.to_string()), (false, "0 2 * * * UTC".to_owned()));
    assert_eq!((default.jitter.as_secs(), default.check.as_secs()), (900, 60));
    let own = retrain(&[
        ("AUTO_RETRAIN", "true"),
        ("RETRAIN_SCHEDULE", "30 4 * * SUN"),
        ("RETRAIN_TIME_ZONE", "Asia/Tokyo"),
        ("RETRAIN_JITTER_SECONDS", "0"),
    ]);
    assert_eq!((own.enabled, own.cron.to_string()), (true, "30 4 * * SUN Asia/Tokyo".to_owned()));
    assert_eq!(own.jitter.as_secs(), 0);
    assert_eq!(
        refusal(&[("RETRAIN_SCHEDULE", "0 24 * * *")]),
        "RETRAIN_SCHEDULE is no good: '0 24 * * *': '24' is no hour of a cron expression"
    );
}
