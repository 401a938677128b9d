//! A training on an imported table learns what the same rows teach inline.

use std::path::{Path, PathBuf};

use binah_ml::{
    dev::real_data::{self, DataSet},
    import::Options,
};
use serde_json::{Value, json};

use crate::support::{
    Service, TENANT_A, TENANT_B,
    imports::{file, import, into_table},
    tenant,
};

/// Trains inline, imports the file, trains by the SELECT; both answers.
async fn both_ways(service: &Service, model: &str, set: &DataSet, path: &Path) -> [Value; 2] {
    let rows = set.rows(path.parent().expect("a folder")).expect("rows");
    let inline = service.train(TENANT_A, model, json!({ "data": rows })).await.ok();
    let options = Options { trim: true, ..Options::default() };
    let owner = service.config.postgres.owner();
    let (plan, _) =
        import(&owner, tenant(TENANT_A), path, into_table(set.table), options).await.expect("imports");
    assert_eq!(plan.rows as usize, rows.len());
    let query = set.select(&plan.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>());
    let selected = service.train(TENANT_A, model, json!({ "training_data_query": query })).await.ok();
    // Another tenant's FROM of that name finds nothing.
    let other = service.train(TENANT_B, model, json!({ "training_data_query": query })).await;
    assert_eq!(other.kinds(), ["query_relation"]);
    // The model takes the same features.
    let mut features = rows[0].clone();
    features.remove(set.target);
    service.predict(TENANT_A, model, Value::Object(features)).await.ok();
    [inline, selected]
}

#[tokio::test(flavor = "multi_thread")]
async fn ames_and_credit_train_to_the_same_metrics_bit_for_bit() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join(real_data::DEFAULT_FOLDER);
    let folder = std::env::var_os("REAL_DATA").map_or_else(beside, PathBuf::from);
    if !folder.is_dir() {
        return eprintln!("skipped: {} is absent", folder.display());
    }
    let service = Service::start_without_mlflow().await;
    for (model, set) in [("cost_forecasting", &real_data::AMES), ("risk_assessment", &real_data::CREDIT)] {
        let [inline, selected] = both_ways(&service, model, set, &folder.join(set.file)).await;
        assert_eq!(inline["metrics"], selected["metrics"], "{model}");
        assert!(!inline["metrics"].as_object().expect("metrics").is_empty());
    }
}

/// The same with rows made up, where the public data are absent.
#[tokio::test(flavor = "multi_thread")]
async fn rows_with_holes_and_categories_train_to_the_same_metrics() {
    let mut text = "lot,Kind,fence,grade,sale_price\n".to_owned();
    for i in 0..300_u32 {
        let lot = if i % 11 == 0 { "NA".to_owned() } else { (f64::from(i * 37 % 101) / 3.0).to_string() };
        let (kind, fence) = (["a", "b ", " c"][i as usize % 3], if i % 4 == 0 { "" } else { "wood" });
        text.push_str(&format!("{lot},{kind},{fence},{},{}\n", i % 5, 1000 + i * 53 % 211));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(&folder, real_data::AMES.file, text.replace(",Kind,", ",kind,"));
    let service = Service::start_without_mlflow().await;
    let [inline, selected] = both_ways(&service, "cost_forecasting", &real_data::AMES, &path).await;
    assert_eq!(inline["metrics"], selected["metrics"]);
}
