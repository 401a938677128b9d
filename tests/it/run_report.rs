//! What a run shows to whoever opens it in MLflow: pictures, tables, the note, what it cost.

use binah_ml::dev::portfolio::TenantProfile;
use serde_json::{Value, json};

use crate::{
    python,
    support::{Service, TENANT_A, TENANT_B, servers},
};

/// One of each family.
const MODEL_TYPES: [&str; 3] = ["cost_forecasting", "risk_assessment", "anomaly_detection"];

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// Three trained models, read back by Python in this order.
async fn read_back(service: &Service, more: impl Fn(&str) -> Value) -> Vec<Value> {
    let mut run_ids = vec![];
    for model_type in MODEL_TYPES {
        let trained = service.train(TENANT_A, model_type, more(model_type)).await.ok();
        run_ids.push(trained["run_id"].clone());
    }
    let input = json!({"tracking_uri": service.config.mlflow.tracking_uri, "run_ids": run_ids}).to_string();
    let runs = python::run(python::script("it/python/read_report.py").arg(input));
    let runs: Vec<Value> = serde_json::from_str(&runs).expect("JSON");
    for (run, run_id) in runs.iter().zip(&run_ids) {
        assert_eq!(run["loaded_run"], *run_id, "the note's Python finds its own run");
    }
    runs
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_each_family_has_its_pictures_tables_and_note() {
    let service = Service::start().await;
    service.load_sample(TENANT_A, &TenantProfile::metropolitan()).await;
    let runs = read_back(&service, |_| json!({})).await;
    let [regression, classification, anomalies] = runs.as_slice() else { panic!("three runs") };

    let plots = |names: &[&str]| names.iter().map(|name| format!("plots/{name}.svg")).collect::<Vec<_>>();
    let expected = ["feature_importance", "learning_curve", "predicted_vs_actual", "residuals"];
    assert_eq!(keys(&regression["plots"]), plots(&expected));
    let expected = [
        "calibration_curve",
        "confusion_matrix",
        "feature_importance",
        "precision_recall_curve",
        "roc_curve",
    ];
    assert_eq!(keys(&classification["plots"]), plots(&expected));
    assert_eq!(keys(&anomalies["plots"]), plots(&["anomaly_scores", "feature_importance"]));
    for run in &runs {
        for (path, picture) in run["plots"].as_object().expect("pictures") {
            assert_eq!(picture["root"], "{http://www.w3.org/2000/svg}svg", "{path}");
            let title = picture["title"].as_str().expect("a title");
            assert!(!title.is_empty() && !title.contains("in-sample"), "{path}: {title}");
            assert!(picture["bytes"].as_u64().expect("a size") < 300_000, "{path}: {picture}");
        }
    }

    let common = ["data_profile.json", "feature_importance.json", "predictions.json"];
    for (run, columns) in [
        (regression, &["row", "actual", "predicted", "residual"][..]),
        (classification, &["row", "actual", "probability", "predicted"]),
        (anomalies, &["row", "score", "anomaly"]),
    ] {
        let mut tables = keys(&run["tables"]);
        tables.retain(|table| *table != "confusion_matrix.json");
        tables.sort_unstable();
        assert_eq!(tables, common);
        let predictions = &run["tables"]["predictions.json"];
        assert_eq!(predictions["columns"], json!(columns));
        assert!((1..=500).contains(&predictions["rows"].as_u64().expect("a count")), "{predictions}");
    }
    let confusion: [[f64; 2]; 2] =
        serde_json::from_value(classification["confusion"].clone()).expect("counts");
    let accuracy = (confusion[0][0] + confusion[1][1]) / confusion.iter().flatten().sum::<f64>();
    let logged = classification["metrics"]["accuracy"].as_f64().expect("a number");
    assert!((accuracy - logged).abs() < 1e-12, "{accuracy} in the table, {logged} as a metric");

    let curves = &regression["curves"];
    assert_eq!(keys(curves), ["curve/train_rmse", "curve/validation_rmse"]);
    for name in keys(curves) {
        let steps: Vec<_> =
            curves[name].as_array().expect("points").iter().map(|point| point[0].clone()).collect();
        assert_eq!(json!(steps), json!((0..steps.len()).collect::<Vec<_>>()), "{name}");
        assert!(steps.len() > 10, "{name}");
    }
    assert_eq!((&classification["curves"], &anomalies["curves"]), (&json!({}), &json!({})));

    for run in &runs {
        let note = run["note"].as_str().expect("a text");
        for section in ["### How good it is", "### What it goes by", "### In Python", "### Data", "### Cost"]
        {
            assert!(note.contains(section), "{section}: {note}");
        }
        assert!(note.chars().count() < 5_000, "MLflow 2.x would cut it");
        let metric = |name: &str| run["metrics"][format!("system/{name}")].as_f64().expect(name);
        let stages = ["read", "prepare", "fit", "evaluate", "export", "report"];
        let sum: f64 = stages.iter().map(|stage| metric(&format!("seconds_{stage}"))).sum();
        assert!((metric("training_seconds") - sum).abs() < 1e-9);
        assert!(metric("rows_per_second") > 0.0 && metric("model_bytes") > 100.0);
        assert!(metric("training_peak_memory_bytes") > metric("model_bytes"));
    }
    assert!(regression["metrics"]["baseline_rmse"].as_f64() > regression["metrics"]["rmse"].as_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_training_rows_say_so_and_names_are_text() {
    let service = Service::start().await;
    // Python's XGBoost takes no `<` in a name.
    let name = |model_type: &str| match model_type {
        "cost_forecasting" => r#"&lt;b onclick="alert(1)">"#,
        _ => "<script>alert(1)</script>",
    };
    let rows = |model_type: &str| {
        let row = |i: usize| {
            json!({
                (name(model_type)): i,
                "a|b`c": i % 7,
                "total_cost": i * 3 + i % 5,
                "high_risk": i % 7 > 3,
            })
        };
        json!({"data": (0..60).map(row).collect::<Vec<_>>(), "validation_split": 0})
    };
    let runs = read_back(&service, rows).await;
    for run in &runs {
        let plots = run["plots"].as_object().expect("pictures");
        for (path, picture) in plots {
            let says_so = picture["title"].as_str().expect("a title").contains("in-sample");
            // These two show the model and its making, not how it judges rows.
            let about_the_model = path.contains("feature_importance") || path.contains("learning_curve");
            assert_eq!(says_so, !about_the_model, "{path}: {picture}");
        }
        let note = run["note"].as_str().expect("a text");
        assert!(note.contains("too good"), "{note}");
        let in_code = MODEL_TYPES.map(name).iter().any(|name| note.contains(&format!("`{name}`")));
        assert!(in_code, "a name is code and no markup: {note}");
    }
}

/// Metrics of a run under `system/`, but for times.
async fn sizes(service: &Service, trained: &Value) -> Vec<(String, f64)> {
    let url = format!(
        "{}/api/2.0/mlflow/runs/get?run_id={}",
        service.config.mlflow.tracking_uri,
        trained["run_id"].as_str().expect("a run")
    );
    let run: Value = reqwest::get(url).await.expect("an answer").json().await.expect("JSON");
    let metrics = run["run"]["data"]["metrics"].as_array().expect("a list").iter();
    let named = metrics.map(|metric| {
        (metric["key"].as_str().expect("a name").to_owned(), metric["value"].as_f64().expect("a number"))
    });
    named.filter(|(name, _)| name.starts_with("system/") && !name.contains("second")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_does_not_tell_what_other_tenants_train() {
    let service =
        Service::start_with(&[("MLFLOW_TRACKING_URI", servers::mlflow().await), ("PROMOTION", "always")])
            .await;
    let rows = |n: usize| {
        let row = |i: usize| json!({"a": i * 37 % 101, "b": i % 13, "c": i * 7 % 11, "total_cost": i % 17, "high_risk": i.is_multiple_of(3)});
        (0..n).map(row).collect::<Vec<_>>()
    };
    for model_type in MODEL_TYPES {
        let small = json!({"data": rows(100)});
        let alone = service.train(TENANT_A, model_type, small.clone()).await.ok();
        let large = service.train(TENANT_B, model_type, json!({"data": rows(4_000)})).await.ok();
        let after = service.train(TENANT_A, model_type, small).await.ok();
        let (alone, large, after) =
            (sizes(&service, &alone).await, sizes(&service, &large).await, sizes(&service, &after).await);
        assert_eq!(alone, after, "the same training, the same sizes");
        let peak = |sizes: &[(String, f64)]| {
            sizes.iter().find(|(name, _)| name == "system/training_peak_memory_bytes").expect("the metric").1
        };
        assert!(peak(&large) > peak(&alone) + 3_000.0 * 4.0 * 4.0, "{model_type}: {large:?} {alone:?}");
    }
}
