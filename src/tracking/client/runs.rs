//! Runs: create, search, values, end.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::super::TrackingError;
use super::limits::{
    self, DATASET_SCHEMA_BYTES, METRICS_PER_BATCH, PARAM_CHARS, PARAMS_PER_BATCH, TAG_CHARS,
};
use super::wire::{Dataset, DatasetColumn, Done, Metric, Pair, Run, RunCreated, RunStatus, RunsFound};
use super::{Client, ExperimentId, Repeat};

/// What a run starts with.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Shown name.
    pub name: String,
    /// Start; MLflow would store 1970 without it.
    pub started_at: DateTime<Utc>,
    /// First tags, at least the one by which the run is found again.
    pub tags: Vec<Pair>,
}

/// Values of a run. Logging the same values again changes nothing; another value of a known
/// param is refused.
#[derive(Debug, Clone, Default)]
pub struct RunValues {
    /// Text by name.
    pub params: Vec<(String, String)>,
    /// Points.
    pub metrics: Vec<Metric>,
    /// Text by name; overwritten when logged again.
    pub tags: Vec<(String, String)>,
}

impl Client {
    /// Creates a run. Not idempotent: search by tag first, and after a failure search again.
    ///
    /// # Errors
    /// [`TrackingError::Refused`] when the experiment is deleted or gone.
    pub async fn create_run(&self, experiment: &ExperimentId, run: &NewRun) -> Result<Run, TrackingError> {
        let tags: Vec<_> = run.tags.iter().map(|tag| pair(&tag.key, &tag.value, TAG_CHARS)).collect();
        let body = json!({
            "experiment_id": experiment.0,
            "run_name": run.name,
            "start_time": run.started_at.timestamp_millis(),
            "tags": tags,
        });
        self.post("runs/create", Repeat::Creates, &body).await.map(|RunCreated { run }| run)
    }

    /// The oldest run of the experiment with that tag.
    ///
    /// # Errors
    /// [`TrackingError::Invalid`] for a value with a quote.
    pub async fn find_run(
        &self,
        experiment: &ExperimentId,
        tag: &str,
        value: &str,
    ) -> Result<Option<Run>, TrackingError> {
        quotable("tag value", value)?;
        let body = json!({
            "experiment_ids": [experiment.0],
            "filter": format!("tags.`{tag}` = '{value}'"),
            "order_by": ["attributes.start_time ASC"],
            "max_results": 1,
        });
        let found: RunsFound = self.post("runs/search", Repeat::Idempotent, &body).await?;
        Ok(found.runs.into_iter().next())
    }

    /// The run of that id.
    ///
    /// # Errors
    /// As every call.
    pub async fn run(&self, run_id: &str) -> Result<Run, TrackingError> {
        self.get("runs/get", &[("run_id", run_id)]).await.map(|RunCreated { run }| run)
    }

    /// Runs of these experiments that are RUNNING, began before `before` and have the tag with that value;
    /// the oldest ones, at most 1,000.
    ///
    /// # Errors
    /// [`TrackingError::Invalid`] for a value with a quote.
    pub async fn running_runs(
        &self,
        experiments: &[ExperimentId],
        (tag, value): (&str, &str),
        before: DateTime<Utc>,
    ) -> Result<Vec<Run>, TrackingError> {
        quotable("tag value", value)?;
        let before = before.timestamp_millis();
        let filter = format!(
            "attributes.status = 'RUNNING' and tags.`{tag}` = '{value}' and attributes.start_time < {before}"
        );
        let ids: Vec<_> = experiments.iter().map(|experiment| &experiment.0).collect();
        let body = json!({
            "experiment_ids": ids,
            "filter": filter,
            "order_by": ["attributes.start_time ASC"],
            "max_results": 1000,
        });
        let found: RunsFound = self.post("runs/search", Repeat::Idempotent, &body).await?;
        Ok(found.runs)
    }

    /// Ends a run, or opens it again.
    ///
    /// # Errors
    /// As every call.
    pub async fn update_run(
        &self,
        run_id: &str,
        status: RunStatus,
        ended_at: DateTime<Utc>,
    ) -> Result<(), TrackingError> {
        let body = json!({"run_id": run_id, "status": status, "end_time": ended_at.timestamp_millis()});
        self.post("runs/update", Repeat::Idempotent, &body).await.map(|Done {}| ())
    }

    /// Logs all values, in as few batches as MLflow's limits allow. Keys and long values are made
    /// to fit, see the limits file.
    ///
    /// Metrics that are not finite have a batch of their own, the last one: MLflow 2 does not
    /// recognise them when they come again, and refuses all that they come with.
    ///
    /// # Errors
    /// As every call; batches before the failed one are stored.
    pub async fn log_batch(&self, run_id: &str, values: &RunValues) -> Result<(), TrackingError> {
        let mut finite = values.clone();
        let not_finite: Vec<_> = finite.metrics.extract_if(.., |metric| !metric.value.is_finite()).collect();
        for batch in batches(run_id, &finite) {
            let Done {} = self.post("runs/log-batch", Repeat::Idempotent, &batch).await?;
        }
        let not_finite = RunValues { metrics: not_finite, params: vec![], tags: vec![] };
        for batch in batches(run_id, &not_finite) {
            match self.post("runs/log-batch", Repeat::Idempotent, &batch).await {
                Err(error) if !error.already_exists() => return Err(error),
                Ok(Done {}) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Sets or overwrites one tag.
    ///
    /// # Errors
    /// As every call.
    pub async fn set_tag(&self, run_id: &str, key: &str, value: &str) -> Result<(), TrackingError> {
        let Pair { key, value } = pair(key, value, TAG_CHARS);
        let body = json!({"run_id": run_id, "key": key, "value": value});
        self.merge("runs/set-tag", &body).await
    }

    /// Names the data set that the run was trained on; again is once (same name and digest).
    ///
    /// # Errors
    /// As every call.
    pub async fn log_inputs(&self, run_id: &str, dataset: &Dataset) -> Result<(), TrackingError> {
        let source: Map<_, _> =
            dataset.source.iter().map(|(name, text)| (name.clone(), json!(text))).collect();
        let elements = dataset.rows * dataset.columns.len() as u64;
        let body = json!({"run_id": run_id, "datasets": [{
            "dataset": {
                "name": limits::cut(&dataset.name, 500),
                "digest": limits::cut(&dataset.digest, 36),
                // The kind that takes any text by name; the others want a place to load from.
                "source_type": "code",
                "source": json!({"tags": source}).to_string(),
                "schema": colspec(&dataset.columns),
                "profile": json!({"num_rows": dataset.rows, "num_elements": elements}).to_string(),
            },
            "tags": [{"key": "mlflow.data.context", "value": "training"}],
        }]});
        self.merge("runs/log-inputs", &body).await
    }
}

/// The first columns, as many as MLflow keeps.
fn colspec(columns: &[DatasetColumn]) -> String {
    let mut left = DATASET_SCHEMA_BYTES - r#"{"mlflow_colspec":[]}"#.len();
    let specs = columns.iter().map_while(|column| {
        let kind = if column.is_text { "string" } else { "double" };
        let spec = json!({"type": kind, "name": column.name}).to_string();
        left = left.checked_sub(spec.len() + 1)?;
        Some(spec)
    });
    format!(r#"{{"mlflow_colspec":[{}]}}"#, specs.collect::<Vec<_>>().join(","))
}

fn pair(key: &str, value: &str, max_chars: usize) -> Pair {
    Pair::new(limits::key(key), limits::cut(value, max_chars))
}

/// Filters have no escapes for quotes.
pub(super) fn quotable(what: &'static str, value: &str) -> Result<(), TrackingError> {
    if value.contains(['\'', '"', '`', '\\']) {
        Err(TrackingError::Invalid { what, value: value.to_owned(), rule: "no quotes or backslashes" })
    } else {
        Ok(())
    }
}

fn batches(run_id: &str, values: &RunValues) -> Vec<Value> {
    let fit = |entries: &[(String, String)], max_chars| -> Vec<Pair> {
        let unique = limits::with_unique_keys(entries);
        unique
            .into_iter()
            .map(|(key, value)| Pair { key, value: limits::cut(value, max_chars).into() })
            .collect()
    };
    let (params, tags) = (fit(&values.params, PARAM_CHARS), fit(&values.tags, TAG_CHARS));
    let metrics: Vec<_> = values
        .metrics
        .iter()
        .map(|metric| Metric { key: limits::key(&metric.key), ..metric.clone() })
        .collect();

    let (mut params, mut tags, mut metrics) = (&params[..], &tags[..], &metrics[..]);
    let mut batches = Vec::new();
    while !(params.is_empty() && tags.is_empty() && metrics.is_empty()) {
        let some_params = take(&mut params, PARAMS_PER_BATCH);
        let some_tags = take(&mut tags, PARAMS_PER_BATCH);
        let some_metrics = take(&mut metrics, METRICS_PER_BATCH - some_params.len() - some_tags.len());
        batches.push(json!({
            "run_id": run_id, "params": some_params, "tags": some_tags, "metrics": some_metrics,
        }));
    }
    batches
}

/// Splits at most `n` entries off the front.
fn take<'a, T>(rest: &mut &'a [T], n: usize) -> &'a [T] {
    let (front, back) = rest.split_at(n.min(rest.len()));
    *rest = back;
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_data_set_shows_the_columns_that_fit() {
        let column = |i: usize| DatasetColumn { name: format!("wide \"{i}\""), is_text: i % 2 == 1 };
        let columns: Vec<_> = (0..10_000).map(column).collect();
        let text = colspec(&columns);
        assert!((DATASET_SCHEMA_BYTES - 100..=DATASET_SCHEMA_BYTES).contains(&text.len()), "{}", text.len());
        let shown: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(shown["mlflow_colspec"][1], json!({"type": "string", "name": "wide \"1\""}));
    }

    #[test]
    fn batches_keep_to_the_limits_and_lose_nothing() {
        let pairs = |n: usize| (0..n).map(|i| (format!("k{i}"), "x".repeat(7000))).collect();
        let point = |i: usize| Metric { key: "m".into(), value: i as f64, timestamp: 0, step: i as i64 };
        let values =
            RunValues { params: pairs(230), tags: pairs(120), metrics: (0..2500).map(point).collect() };
        let batches = batches("r", &values);
        let sizes: Vec<_> = batches
            .iter()
            .map(|batch| ["params", "tags", "metrics"].map(|kind| batch[kind].as_array().map_or(0, Vec::len)))
            .collect();
        assert_eq!(sizes, [[100, 100, 800], [100, 20, 880], [30, 0, 820]]);
        let length = |kind: &str| batches[0][kind][0]["value"].as_str().map(str::len);
        assert_eq!((length("params"), length("tags")), (Some(6000), Some(5000)));
    }
}
