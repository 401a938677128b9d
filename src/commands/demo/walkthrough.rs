//! What the demo does through HTTP: each tenant trains and asks each model.

use std::{path::Path, time::Duration};

use binah_ml::{
    auth::{Tokens, token::NewToken},
    catalog::ModelType,
    dev::real_data,
    error::BoxError,
};
use serde_json::{Map, Value, json};

use super::{client::Client, say};
use crate::commands::token::{TENANT_A, TENANT_B};

/// A tenant of its own for the public data sets, whose columns are not the catalog's.
const TENANT_C: &str = "cccccccc-cccc-cccc-cccc-cccccccccccc";

/// All that the summary tells.
pub(super) struct Report {
    pub(super) tenants: Vec<TenantReport>,
}

pub(super) struct TenantReport {
    pub(super) name: &'static str,
    pub(super) tenant: &'static str,
    pub(super) token: String,
    pub(super) models: Vec<ModelReport>,
}

/// One model: trained, then asked once.
pub(super) struct ModelReport {
    pub(super) model_type: ModelType,
    pub(super) data: &'static str,
    pub(super) trained: Result<Value, String>,
    pub(super) training_took: Duration,
    pub(super) predicted: Result<Value, String>,
    pub(super) prediction_took: Duration,
}

impl Report {
    pub(super) fn failures(&self) -> usize {
        let models = self.tenants.iter().flat_map(|tenant| &tenant.models);
        models.map(|model| usize::from(model.trained.is_err()) + usize::from(model.predicted.is_err())).sum()
    }
}

/// `graph`: whether the service joins the records with Neo4j.
pub(super) async fn run(
    client: &Client,
    tokens: &Tokens,
    folder: &Path,
    graph: bool,
) -> Result<Report, BoxError> {
    let stored = if graph { "stored records and the graph" } else { "stored records" };
    let mut tenants = vec![];
    for (name, tenant) in
        [("Tenant A, metropolitan portfolio", TENANT_A), ("Tenant B, regional portfolio", TENANT_B)]
    {
        let token = token(tokens, tenant)?;
        let mut models = vec![];
        for model_type in ModelType::all() {
            say(&format!("Training {model_type} for {name}"));
            let train = json!({ "tenant_id": tenant, "model_type": model_type.name });
            let features =
                model_type.features.iter().map(|f| (f.name.to_owned(), json!(f.example))).collect();
            models.push(model(client, &token, model_type, stored, train, features).await?);
        }
        tenants.push(TenantReport { name, tenant, token, models });
    }
    if let Some(tenant) = real_tenant(client, tokens, folder).await? {
        tenants.push(tenant);
    }
    Ok(Report { tenants })
}

fn token(tokens: &Tokens, tenant: &str) -> Result<String, BoxError> {
    let new = NewToken {
        user_id: "demo",
        tenant_id: tenant,
        email: "demo@example.com",
        role: "admin",
        expires_in: 86_400,
    };
    Ok(tokens.mint(&new)?)
}

async fn real_tenant(
    client: &Client,
    tokens: &Tokens,
    folder: &Path,
) -> Result<Option<TenantReport>, BoxError> {
    let (ames, credit) = match (real_data::ames(folder), real_data::credit(folder)) {
        (Ok(ames), Ok(credit)) => (ames, credit),
        (Err(error), _) | (_, Err(error)) => {
            say(&format!("Without the public data sets: {error}"));
            return Ok(None);
        }
    };
    let token = token(tokens, TENANT_C)?;
    let mut models = vec![];
    for (name, data, rows) in [
        ("cost_forecasting", "Ames house sales, sent inline", ames),
        ("risk_assessment", "credit data, sent inline", credit),
    ] {
        let Some(model_type) = ModelType::parse(name) else { continue };
        say(&format!("Training {name} on {data}: {} rows", rows.len()));
        let features = rows.first().cloned().unwrap_or_default();
        let train = json!({ "tenant_id": TENANT_C, "model_type": name, "data": rows });
        models.push(model(client, &token, model_type, data, train, features).await?);
    }
    Ok(Some(TenantReport { name: "Tenant C, public data sets", tenant: TENANT_C, token, models }))
}

async fn model(
    client: &Client,
    token: &str,
    model_type: ModelType,
    data: &'static str,
    train: Value,
    features: Map<String, Value>,
) -> Result<ModelReport, BoxError> {
    let trained = client.post("/api/ml/train", token, &train).await?;
    let predict =
        json!({ "tenant_id": train["tenant_id"], "model_type": model_type.name, "features": features });
    let predicted = client.post("/api/ml/predict", token, &predict).await?;
    let check = |status: u16, body: Value| match status {
        200 => Ok(body),
        _ => Err(format!("{status}: {}", body["detail"])),
    };
    Ok(ModelReport {
        model_type,
        data,
        training_took: trained.took,
        prediction_took: predicted.took,
        trained: check(trained.status, trained.body),
        predicted: check(predicted.status, predicted.body),
    })
}
