//! What the demo has to show, as a table for people.

use std::{
    io::{self, Write},
    time::Duration,
};

use serde_json::Value;

use super::walkthrough::{ModelReport, Report};

/// Where the servers of the demo are.
pub(super) struct Addresses<'a> {
    pub(super) api: &'a str,
    pub(super) mlflow: &'a str,
    pub(super) neo4j: Option<&'a str>,
}

pub(super) fn print(report: &Report, addresses: &Addresses<'_>, took: Duration) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for tenant in &report.tenants {
        writeln!(out, "\n{} ({})", tenant.name, tenant.tenant)?;
        for model in &tenant.models {
            write_model(&mut out, model)?;
        }
    }
    writeln!(out, "\nTokens (valid for a day)")?;
    for tenant in &report.tenants {
        writeln!(out, "  {}\n    {}", tenant.name, tenant.token)?;
    }
    writeln!(out, "\nAddresses")?;
    writeln!(out, "  API      {}", addresses.api)?;
    writeln!(out, "  API docs {}/docs", addresses.api)?;
    writeln!(out, "  MLflow   {}", addresses.mlflow)?;
    if let Some(neo4j) = addresses.neo4j {
        writeln!(out, "  Neo4j    {neo4j} (user neo4j, password in neo4j/password of the data folder)")?;
    }
    writeln!(out, "\nReady after {:.1} s, {} failed steps.", took.as_secs_f64(), report.failures())
}

fn write_model(out: &mut impl Write, model: &ModelReport) -> io::Result<()> {
    writeln!(out, "  {} on {}", model.model_type, model.data)?;
    match &model.trained {
        Err(reason) => writeln!(out, "    training FAILED, {reason}")?,
        Ok(answer) => {
            writeln!(
                out,
                "    trained in {} ms: {}",
                model.training_took.as_millis(),
                numbers(&answer["metrics"])
            )?;
            writeln!(out, "    {}", answer["message"].as_str().unwrap_or_default())?;
            match model.same_as_inline {
                Some(true) => writeln!(out, "    the metrics equal those of the inline rows, bit for bit")?,
                Some(false) => writeln!(out, "    the metrics DIFFER from those of the inline rows")?,
                None => {}
            }
        }
    }
    match &model.predicted {
        Err(reason) => writeln!(out, "    prediction FAILED, {reason}"),
        Ok(answer) => writeln!(
            out,
            "    predicted in {:.1} ms with {}: {}",
            model.prediction_took.as_secs_f64() * 1e3,
            answer["model_version"].as_str().unwrap_or_default(),
            numbers(&answer["prediction"])
        ),
    }
}

/// `name value` pairs with as many digits as one reads.
fn numbers(object: &Value) -> String {
    let Some(object) = object.as_object() else { return String::new() };
    let pairs = object.iter().filter(|(name, _)| !name.starts_with("train_") && *name != "value");
    let texts: Vec<_> = pairs.map(|(name, value)| format!("{name} {}", readable(value))).collect();
    texts.join(", ")
}

fn readable(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 || number.abs() >= 1000.0 => format!("{number:.0}"),
        Some(number) => format!("{number:.4}"),
        None => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    }
}
