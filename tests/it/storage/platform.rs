//! What the platform's other services and fixtures do with the old tables.

use binah_ml::{auth::tenant::scope, catalog::ModelType, inference::VersionSelector, registry::resolve};
use sqlx::{query_as, query_scalar};

use crate::support::{TENANT_A, TENANT_B, TestDatabase, tenant};

#[tokio::test]
async fn fixtures_insert_several_rows_with_nulls() {
    let database = TestDatabase::new().await;
    let (a, b) = (tenant(TENANT_A), tenant(TENANT_B));
    let fixtures = format!(
        "INSERT INTO ml_models (id, tenant_id, model_type, model_name, model_version, mlflow_run_id,
             mlflow_model_uri, status, metrics, hyperparameters, created_by) VALUES
           (gen_random_uuid(), '{a}', 'cost_forecasting', 'Cost', 'v1.0', 'run1', 'models:/x', 'ready', '{{\"rmse\": 1}}', '{{}}', '{b}'),
           (gen_random_uuid(), '{a}', 'cost_forecasting', 'Cost', 'v1.0', 'run1', NULL, 'training', NULL, NULL, NULL),
           (gen_random_uuid(), '{b}', 'risk_assessment', 'Risk', '1.0.0', NULL, NULL, 'failed', NULL, NULL, NULL);
         INSERT INTO training_jobs (tenant_id, model_type, model_id, status, training_data_query, validation_split) VALUES
           ('{a}', 'cost_forecasting', NULL, 'queued', 'SELECT 1', 0.2),
           ('{a}', 'cost_forecasting', '{b}', 'completed', NULL, NULL);
         INSERT INTO predictions (tenant_id, model_id, model_type, model_version, input_features, prediction_result, confidence) VALUES
           ('{a}', '{a}', 'cost_forecasting', 'v1.0', '{{}}', '{{\"value\": 1}}', 0.87),
           ('{a}', NULL, 'cost_forecasting', NULL, NULL, NULL, NULL);
         INSERT INTO model_metadata (model_id, key, value)
           SELECT id, 'k', tenant_id::text FROM ml_models;
         INSERT INTO model_metadata (model_id, key, value) VALUES ('{a}', 'of no model', NULL);
         UPDATE ml_models SET status = 'deprecated' WHERE status = 'failed';"
    );
    database.as_owner(&fixtures).await;

    let service = database.service();
    scope(a, async {
        let mut tx = service.tenant_snapshot("test").await.expect("begins");
        let counts: (i64, i64, i64, i64) = query_as(
            "SELECT (SELECT count(*) FROM ml_models), (SELECT count(*) FROM training_jobs),
                    (SELECT count(*) FROM predictions), (SELECT count(*) FROM model_metadata)",
        )
        .fetch_one(&mut *tx)
        .await
        .expect("counts");
        assert_eq!(counts, (2, 2, 2, 2), "metadata of its own two models only");
        // Rows without files cannot be predicted with.
        let cost = ModelType::parse("cost_forecasting").expect("known");
        for version in [VersionSelector::Champion, VersionSelector::Latest, VersionSelector::Number(1)] {
            assert_eq!(resolve(&mut tx, cost, &version).await.expect_err("no files").code(), "not_found");
        }
    })
    .await;
    database.as_owner("TRUNCATE ml_models; DELETE FROM model_metadata; TRUNCATE training_jobs").await;
}

#[tokio::test]
async fn a_version_is_read_from_every_spelling() {
    let database = TestDatabase::new().await;
    let mut owner = database.owner_connection().await;
    for (text, version) in [
        ("1", Some(1)),
        ("v12", Some(12)),
        ("V3.0", Some(3)),
        ("2.0", Some(2)),
        ("0", None),
        ("1.5", None),
        ("1.0.0", None),
        ("v", None),
        ("champion", None),
        ("9999999999", None),
    ] {
        let read: Option<i32> = query_scalar(
            "INSERT INTO ml_models (tenant_id, model_type, model_version) VALUES ($1, 'x', $2) RETURNING version",
        )
        .bind(tenant(TENANT_A).uuid())
        .bind(text)
        .fetch_one(&mut owner)
        .await
        .expect("inserts");
        assert_eq!(read, version, "{text}");
    }
}

#[tokio::test]
async fn a_status_is_one_of_the_known() {
    let database = TestDatabase::new().await;
    let mut owner = database.owner_connection().await;
    for table in ["ml_models", "training_jobs"] {
        let statement =
            format!("INSERT INTO {table} (tenant_id, model_type, status) VALUES ($1, 'x', 'done')");
        let insert = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(tenant(TENANT_A).uuid());
        let error = insert.execute(&mut owner).await.expect_err("an unknown status");
        assert!(error.to_string().contains("check constraint"), "{error}");
    }
}
