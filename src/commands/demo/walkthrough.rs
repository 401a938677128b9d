//! What the demo does through HTTP: each tenant trains and asks each model.

use std::{path::Path, time::Duration};

use binah_ml::{
    auth::{Tokens, token::NewToken},
    catalog::ModelType,
    dev::real_data::AMES,
    error::BoxError,
};
use serde_json::{Map, Value, json};

use super::{client::Client, public::Imported, say};
use crate::commands::token::{TENANT_A, TENANT_B};

/// A tenant of its own for the public data sets, whose columns are not the catalog's.
pub(super) const TENANT_C: &str = "cccccccc-cccc-cccc-cccc-cccccccccccc";

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
    pub(super) data: String,
    pub(super) trained: Result<Value, String>,
    pub(super) training_took: Duration,
    pub(super) predicted: Result<Value, String>,
    pub(super) prediction_took: Duration,
    /// Whether its metrics are those of the same rows sent inline, where both were done.
    pub(super) same_as_inline: Option<bool>,
}

impl Report {
    pub(super) fn failures(&self) -> usize {
        let models = self.tenants.iter().flat_map(|tenant| &tenant.models);
        models
            .map(|model| {
                let differs = model.same_as_inline == Some(false);
                [model.trained.is_err(), model.predicted.is_err(), differs]
                    .map(usize::from)
                    .iter()
                    .sum::<usize>()
            })
            .sum()
    }
}

/// `graph`: whether the service joins the records with Neo4j.
pub(super) async fn run(
    client: &Client,
    tokens: &Tokens,
    folder: &Path,
    imported: &[Imported],
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
    if let Some(tenant) = real_tenant(client, tokens, folder, imported).await? {
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

/// The public data sets twice: sent inline, and read by a SELECT from what was imported of the same files.
async fn real_tenant(
    client: &Client,
    tokens: &Tokens,
    folder: &Path,
    imported: &[Imported],
) -> Result<Option<TenantReport>, BoxError> {
    let token = token(tokens, TENANT_C)?;
    let mut models = vec![];
    for Imported { set, query } in imported {
        let Some(model_type) = ModelType::parse(set.model_type) else { continue };
        let rows = set.rows(folder)?;
        let features = rows.first().cloned().unwrap_or_default();
        let name = set.model_type;
        say(&format!("Training {name} on {}: {} rows, inline and by SELECT", set.file, rows.len()));
        let train = json!({ "tenant_id": TENANT_C, "model_type": name, "data": rows });
        let data = if set.file == AMES.file { "Ames house sales" } else { "credit data" };
        let inline =
            model(client, &token, model_type, format!("{data}, sent inline"), train, features.clone())
                .await?;
        let train = json!({ "tenant_id": TENANT_C, "model_type": name, "training_data_query": query });
        let what = format!("{data}, imported: SELECT ... FROM {}", set.table);
        let mut selected = model(client, &token, model_type, what, train, features).await?;
        if let (Ok(inline), Ok(selected_answer)) = (&inline.trained, &selected.trained) {
            selected.same_as_inline = Some(inline["metrics"] == selected_answer["metrics"]);
        }
        models.extend([inline, selected]);
    }
    let name = "Tenant C, public data sets";
    Ok((!models.is_empty()).then_some(TenantReport { name, tenant: TENANT_C, token, models }))
}

async fn model(
    client: &Client,
    token: &str,
    model_type: ModelType,
    data: impl Into<String>,
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
        data: data.into(),
        same_as_inline: None,
        training_took: trained.took,
        prediction_took: predicted.took,
        trained: check(trained.status, trained.body),
        predicted: check(predicted.status, predicted.body),
    })
}
