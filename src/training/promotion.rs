//! Whether a new version is served: the rule, and the comparison with the champion on the same rows.

use std::sync::Arc;

use super::{evaluate, split::Split};
use crate::{
    catalog::{Family, ModelType},
    config::{PromotionConfig, PromotionPolicy},
    error::{Error, Result},
    features::{Column, Dataset},
    inference::{LoadedModel, ModelCache},
    registry::{ModelRecord, Registry, Score, Verdict},
};

/// The number by which versions of a family are compared.
#[derive(Debug, Clone, Copy)]
struct MainMetric {
    name: &'static str,
    /// What is to become smaller, from the metric: 0 is perfect.
    error: fn(f64) -> f64,
}

fn main_metric(family: Family) -> Option<MainMetric> {
    match family {
        Family::BoostedRegression => Some(MainMetric { name: "rmse", error: |rmse| rmse }),
        Family::RandomForest => Some(MainMetric { name: "auc_roc", error: |auc| 1.0 - auc }),
        // Nobody labelled the rows: a rate of anomalies is neither good nor bad.
        Family::IsolationForest => None,
    }
}

/// The rows that a training held out, as names and numbers, so that any model can predict them.
#[derive(Debug)]
pub(super) struct HeldOut {
    columns: Vec<Column>,
    /// Empty for an unsupervised model.
    actual: Vec<f64>,
    n_rows: usize,
    target: Option<String>,
}

impl HeldOut {
    /// Holds the validation rows out of the data set. Columns that the model does without end here.
    pub(super) fn take(dataset: &mut Dataset, split: &Split) -> Self {
        let rows = &split.validation;
        dataset.features.hold_out(rows);
        let left_out = std::mem::take(&mut dataset.left_out);
        let mut columns = dataset.schema.columns(dataset.features.held_out());
        columns.extend(left_out.iter().map(|column| column.take_rows(rows)));
        Self {
            columns,
            actual: rows.iter().filter_map(|&row| dataset.target.get(row).copied()).collect(),
            n_rows: rows.len(),
            target: dataset.schema.target.clone(),
        }
    }
}

/// The version that is served while a new one is trained.
#[derive(Debug, Clone)]
pub(super) struct Champion {
    record: ModelRecord,
    /// Or why it cannot be asked.
    model: Result<Arc<LoadedModel>, String>,
}

impl Champion {
    /// The champion of the open scope, ready to predict.
    ///
    /// # Errors
    /// Those of Postgres and of the artifact store; a damaged file is none: that champion loses.
    pub(super) async fn load(
        registry: &Registry,
        cache: &ModelCache,
        model_type: ModelType,
    ) -> Result<Option<Self>> {
        let Some(record) = registry.champion(model_type).await? else { return Ok(None) };
        let model = match cache.load(registry, &record).await {
            Ok(model) => Ok(model),
            Err(Error::CorruptArtifact { .. }) => Err("its file is missing or corrupt".to_owned()),
            Err(error) => return Err(error),
        };
        Ok(Some(Self { record, model }))
    }
}

/// How the new model and the champion stand.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Comparison {
    /// There is no champion.
    First,
    /// The family has no metric to compare by.
    NoLabels,
    /// The training held no rows out.
    NoHeldOutRows,
    /// The champion cannot predict these rows, or a metric is undefined on them.
    NotComparable(String),
    /// Both numbers.
    Scored(Score),
}

/// Holds the new model's number against the champion's on the same rows. CPU work: for the pool.
pub(super) fn compare(
    family: Family,
    value: Option<f64>,
    held_out: &HeldOut,
    champion: Option<&Champion>,
) -> Comparison {
    let Some(champion) = champion else { return Comparison::First };
    let Some(metric) = main_metric(family) else { return Comparison::NoLabels };
    if held_out.n_rows == 0 {
        return Comparison::NoHeldOutRows;
    }
    match champion_value(family, metric, held_out, champion) {
        Err(reason) => Comparison::NotComparable(reason),
        Ok(champion_value) => match value.filter(|value| value.is_finite()) {
            Some(value) => Comparison::Scored(Score { metric: metric.name, value, champion_value }),
            None => Comparison::NotComparable(format!("{} is undefined on the held-out rows", metric.name)),
        },
    }
}

fn champion_value(
    family: Family,
    metric: MainMetric,
    held_out: &HeldOut,
    champion: &Champion,
) -> Result<f64, String> {
    let model = champion.model.as_ref().map_err(Clone::clone)?;
    if model.schema.target != held_out.target {
        let name = |target: &Option<String>| target.as_deref().unwrap_or("nothing").to_owned();
        let (its, ours) = (name(&model.schema.target), name(&held_out.target));
        return Err(format!("it predicts '{its}', not '{ours}'"));
    }
    let rows = model.schema.matrix_by_name(&held_out.columns, held_out.n_rows).map_err(|lacking| {
        let named: Vec<_> = lacking.iter().take(5).map(|name| format!("'{name}'")).collect();
        let more = if lacking.len() > named.len() { " and others" } else { "" };
        format!("it needs {}{more}, which these rows do not have", named.join(", "))
    })?;
    evaluate::metric(family, metric.name, model, &rows, &held_out.actual)
        .ok_or_else(|| format!("its {} is undefined on the held-out rows", metric.name))
}

/// The new model's number, from its own evaluation.
pub(super) fn own_value(family: Family, metrics: &serde_json::Map<String, serde_json::Value>) -> Option<f64> {
    metrics.get(main_metric(family)?.name)?.as_f64()
}

/// The rule.
pub(super) fn decide(
    config: PromotionConfig,
    family: Family,
    comparison: &Comparison,
    champion: Option<&Champion>,
) -> Verdict {
    let label = champion.map(|champion| champion.record.version_label()).unwrap_or_default();
    let score = match comparison {
        Comparison::Scored(score) => Some(*score),
        _ => None,
    };
    let grounds = match comparison {
        Comparison::First => "it is the first version".to_owned(),
        Comparison::NoLabels => "without labels there is no metric to compare by".to_owned(),
        Comparison::NoHeldOutRows => format!("no rows were held out to compare with {label}"),
        Comparison::NotComparable(why) => format!("not comparable with {label}: {why}"),
        Comparison::Scored(Score { metric, value, champion_value }) => {
            let (value, champion_value) = (figure(*value), figure(*champion_value));
            format!("{metric} {value} against {champion_value} of {label} on the same held-out rows")
        }
    };
    let (promoted, decision, reason) = match (comparison, config.policy) {
        (Comparison::First, _) => (true, "first", grounds),
        (_, PromotionPolicy::Manual) => {
            (false, "manual", format!("PROMOTION=manual, an administrator decides ({grounds})"))
        }
        (_, PromotionPolicy::Always) => (true, "always", format!("PROMOTION=always ({grounds})")),
        (Comparison::NoLabels, _) => (true, "no_labels", grounds),
        (Comparison::NoHeldOutRows, _) => (true, "no_held_out_rows", grounds),
        (Comparison::NotComparable(_), _) => (true, "not_comparable", grounds),
        (Comparison::Scored(score), _) if is_better(family, *score, config.margin) => {
            (true, "better", grounds)
        }
        (Comparison::Scored(_), _) if config.margin > 0.0 => {
            (false, "not_better", format!("{grounds}; a margin of {} is asked for", config.margin))
        }
        (Comparison::Scored(_), _) => (false, "not_better", grounds),
    };
    Verdict {
        promoted,
        decision,
        reason,
        champion: champion.map(|champion| champion.record.id),
        champion_version: champion.map(|champion| champion.record.version),
        score,
        margin: config.margin,
    }
}

/// Six significant digits.
fn figure(value: f64) -> String {
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    let decimals = (5 - magnitude).clamp(0, 15) as usize;
    format!("{value:.decimals$}")
}

/// Whether the error shrank by more than the margin. An equal model is not better: the one that is known
/// stays.
fn is_better(family: Family, score: Score, margin: f64) -> bool {
    main_metric(family).is_some_and(|metric| {
        (metric.error)(score.value) < (metric.error)(score.champion_value) * (1.0 - margin)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGRESSION: Family = Family::BoostedRegression;

    fn scored(metric: &'static str, value: f64, champion_value: f64) -> Comparison {
        Comparison::Scored(Score { metric, value, champion_value })
    }

    fn verdict(policy: PromotionPolicy, margin: f64, family: Family, comparison: &Comparison) -> Verdict {
        decide(PromotionConfig { policy, margin }, family, comparison, None)
    }

    #[test]
    fn the_smaller_error_wins_and_a_tie_does_not() {
        use Family::RandomForest;
        for (family, metric, value, champion, margin, promoted) in [
            (REGRESSION, "rmse", 9.0, 10.0, 0.0, true),
            (REGRESSION, "rmse", 10.0, 10.0, 0.0, false),
            (REGRESSION, "rmse", 11.0, 10.0, 0.0, false),
            (REGRESSION, "rmse", 9.5, 10.0, 0.1, false),
            (REGRESSION, "rmse", 8.9, 10.0, 0.1, true),
            (REGRESSION, "rmse", 0.0, 0.0, 0.0, false),
            (RandomForest, "auc_roc", 0.91, 0.90, 0.0, true),
            (RandomForest, "auc_roc", 0.89, 0.90, 0.0, false),
            // The error has to shrink by a tenth: from 0.04 to below 0.036.
            (RandomForest, "auc_roc", 0.963, 0.96, 0.1, false),
            (RandomForest, "auc_roc", 0.965, 0.96, 0.1, true),
        ] {
            let verdict = verdict(PromotionPolicy::Auto, margin, family, &scored(metric, value, champion));
            let grounds = if promoted { "better" } else { "not_better" };
            assert_eq!(
                (verdict.promoted, verdict.decision),
                (promoted, grounds),
                "{metric} {value} {margin}"
            );
            assert!(verdict.reason.contains(&figure(value)), "{}", verdict.reason);
        }
    }

    #[test]
    fn figures_have_six_digits_whatever_their_size() {
        for (value, text) in [(0.0, "0.00000"), (1_234_567.8, "1234568"), (0.000_123_456_7, "0.000123457")] {
            assert_eq!(figure(value), text);
        }
    }

    #[test]
    fn what_cannot_be_compared_is_promoted_unless_a_person_decides() {
        let away = Comparison::NotComparable("it needs 'x'".to_owned());
        for (comparison, decision) in [
            (Comparison::First, "first"),
            (Comparison::NoLabels, "no_labels"),
            (Comparison::NoHeldOutRows, "no_held_out_rows"),
            (away, "not_comparable"),
        ] {
            let auto = verdict(PromotionPolicy::Auto, 0.5, REGRESSION, &comparison);
            assert_eq!((auto.promoted, auto.decision, auto.score), (true, decision, None));
            let manual = verdict(PromotionPolicy::Manual, 0.0, REGRESSION, &comparison);
            assert_eq!(manual.promoted, comparison == Comparison::First, "{comparison:?}");
        }
    }

    #[test]
    fn a_policy_overrules_the_numbers_and_keeps_them() {
        let (better, worse) = (scored("rmse", 1.0, 2.0), scored("rmse", 2.0, 1.0));
        let manual = verdict(PromotionPolicy::Manual, 0.0, REGRESSION, &better);
        let always = verdict(PromotionPolicy::Always, 0.0, REGRESSION, &worse);
        assert_eq!(
            (manual.promoted, manual.decision, always.promoted, always.decision),
            (false, "manual", true, "always")
        );
        assert!(manual.score.is_some() && always.score.is_some());
        assert!(always.reason.contains("2.00000 against 1.00000"), "{}", always.reason);
    }
}
