//! The run's description: a page of Markdown for whoever finds the run.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::{
    super::task::{Task, Trained},
    peak_memory,
};
use crate::{
    catalog::Family,
    chart::number::{count, percent, short},
    inference::request::version_label,
    registry::{ModelRecord, Verdict},
    tracking::{JOB_TAG, ModelFolder},
};

/// MLflow 2.x takes 5,000 characters and would cut the rest off in the middle of a sentence.
const MOST_CHARS: usize = 4_900;
const WARNINGS: usize = 8;
const WARNING_CHARS: usize = 240;
const FEATURES: usize = 10;
const NAME_CHARS: usize = 60;

/// The page. Sections that do not fit any more are left out whole, the least important ones come last.
pub(super) fn note(
    task: &Task,
    trained: &Trained,
    record: &ModelRecord,
    verdict: &Verdict,
    folder: &ModelFolder,
) -> String {
    let mut note =
        format!("## {} {}\n\n{}\n", task.model_type, record.version_label(), task.model_type.summary);
    let evaluation = &trained.evaluation;
    let sections = [
        what(task, trained),
        quality(task.model_type.family, &evaluation.metrics, evaluation.judged.in_sample),
        served(verdict),
        warnings(&evaluation.warnings),
        load(task, folder),
        features(&trained.importance),
        data(task, trained),
        cost(trained),
    ];
    for section in sections.into_iter().filter(|section| !section.is_empty()) {
        if note.chars().count() + section.chars().count() < MOST_CHARS {
            note.push('\n');
            note.push_str(&section);
        }
    }
    note
}

fn served(verdict: &Verdict) -> String {
    match verdict.kept_champion() {
        None => format!("It became the champion: {}.\n", verdict.reason),
        Some(champion) => {
            format!(
                "**It is not served**, {} stays the champion: {}.\n",
                version_label(champion),
                verdict.reason
            )
        }
    }
}

fn what(task: &Task, trained: &Trained) -> String {
    let family = match task.model_type.family {
        Family::BoostedRegression => "A regression by gradient boosting (XGBoost)",
        Family::RandomForest => "A classification by a random forest",
        Family::IsolationForest => "An anomaly detection by an isolation forest",
    };
    let judged = match trained.n_validation {
        0 => "No rows were held out.".to_owned(),
        n => format!("It was judged on **{}** other rows ({} split).", count(n as u64), trained.split.name()),
    };
    let schema = &trained.model.schema;
    let target =
        schema.target.as_deref().map(|name| format!(" predicting {}", code(name))).unwrap_or_default();
    format!(
        "{family}{target} from {} features of **{}** rows. {judged}\n",
        schema.features.len(),
        count(trained.n_train as u64)
    )
}

fn quality(family: Family, metrics: &Map<String, Value>, in_sample: bool) -> String {
    let value = |name: &str| metrics.get(name).and_then(Value::as_f64);
    let kind = if in_sample { "rows it was trained on: too good" } else { "held-out rows" };
    let mut text =
        format!("### How good it is\n\n| metric | {kind} | training rows | meaning |\n|---|---|---|---|\n");
    for (name, meaning) in meanings(family) {
        let Some(judged) = value(name) else { continue };
        let trained = value(&format!("train_{name}")).map(short).unwrap_or_default();
        let _ = writeln!(text, "| {name} | {} | {trained} | {meaning} |", short(judged));
    }
    if let (Some(rmse), Some(baseline)) = (value("rmse"), value("baseline_rmse")) {
        let _ = writeln!(
            text,
            "\nAlways predicting the mean of the training rows has an RMSE of {}; {}.",
            short(baseline),
            compared(1.0 - rmse / baseline, "smaller", "larger")
        );
    }
    if let (Some(accuracy), Some(baseline)) = (value("accuracy"), value("baseline_accuracy")) {
        let _ = writeln!(
            text,
            "\nAlways saying the more frequent class is right for {} of the rows, this model for {}. Guessing has an AUC of 0.5.",
            percent(baseline),
            percent(accuracy)
        );
    }
    text
}

/// How this model's error compares with another's.
fn compared(gain: f64, better: &str, worse: &str) -> String {
    match gain {
        gain if !gain.is_finite() => "the held-out rows are all the same".to_owned(),
        gain if gain >= 0.0 => format!("this model's is {} {better}", percent(gain)),
        gain => format!("**this model's is {} {worse}**", percent(-gain)),
    }
}

fn meanings(family: Family) -> &'static [(&'static str, &'static str)] {
    match family {
        Family::BoostedRegression => &[
            ("rmse", "typical error in the target's unit; large errors count more"),
            ("mae", "mean error in the target's unit"),
            ("r2", "share of the variance explained: 1 is perfect, 0 the mean"),
        ],
        Family::RandomForest => &[
            ("auc_roc", "chance that a row of class 1 scores above one of class 0"),
            ("average_precision", "mean precision over all recalls"),
            ("accuracy", "share of the rows predicted right"),
            ("precision", "share of class 1 among rows predicted 1"),
            ("recall", "share of class 1 that is predicted 1"),
            ("f1", "harmonic mean of precision and recall"),
            ("log_loss", "mean surprise of the probabilities: 0 is perfect"),
            ("brier_score", "mean squared error of the probabilities: 0 is perfect"),
        ],
        Family::IsolationForest => &[
            ("anomaly_rate", "share of the rows below the threshold"),
            ("anomalies_detected", "number of rows below the threshold"),
        ],
    }
}

fn warnings(warnings: &[String]) -> String {
    if warnings.is_empty() {
        return String::new();
    }
    let mut text = "### Warnings\n\n".to_owned();
    for warning in warnings.iter().take(WARNINGS) {
        let _ = writeln!(text, "- {}", plain(warning, WARNING_CHARS));
    }
    if warnings.len() > WARNINGS {
        let _ = writeln!(text, "- and {} more, in the answer of the training", warnings.len() - WARNINGS);
    }
    text
}

/// Lines of Python that run as they stand, once the tracking address is set.
fn load(task: &Task, folder: &ModelFolder) -> String {
    let document = folder.mlmodel("", "", task.started_at);
    let flavor =
        ["xgboost", "sklearn", "onnx"].into_iter().find(|name| document["flavors"].get(name).is_some());
    let (import, read) = match flavor {
        Some(flavor) => {
            (format!("import mlflow, mlflow.{flavor}"), format!("model = mlflow.{flavor}.load_model"))
        }
        None => ("import mlflow".to_owned(), "folder = mlflow.artifacts.download_artifacts".to_owned()),
    };
    format!(
        "### In Python\n\n```python\n{import}\n\
         [run] = mlflow.search_runs(search_all_experiments=True, output_format=\"list\",\n    \
         filter_string=\"tags.`{JOB_TAG}` = '{}'\")\n\
         {read}(f\"runs:/{{run.info.run_id}}/model\")\n```\n",
        task.claim.job_id
    )
}

fn features(importance: &[(String, f64)]) -> String {
    let mut shares: Vec<_> = importance.iter().filter(|(_, share)| *share > 0.0).collect();
    if shares.is_empty() {
        return "### Features\n\nNo feature helped: the trees have no useful split.\n".to_owned();
    }
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut text = "### What it goes by\n\n".to_owned();
    for (name, share) in shares.iter().take(FEATURES) {
        let _ = writeln!(text, "1. {} {}", code(name), percent(*share));
    }
    text
}

fn data(task: &Task, trained: &Trained) -> String {
    let from = match trained.origin.source {
        "inline" => "sent with the request".to_owned(),
        "postgres" => format!("table {}", code(task.model_type.table)),
        "joined" => format!("table {} joined with Neo4j", code(task.model_type.table)),
        "query" => "the tenant's own SELECT".to_owned(),
        "cypher" => "a Cypher template".to_owned(),
        other => other.to_owned(),
    };
    let mut text = format!("### Data\n\n- Rows: {from}\n");
    if let Some(hash) = &task.query_hash {
        let _ = writeln!(text, "- SHA-256 of the query: `{hash}`");
    }
    if let Some(join) = &trained.origin.join {
        let _ = writeln!(text, "- {join}");
    }
    if trained.dropped_rows > 0 {
        let _ = writeln!(text, "- {} unusable rows were left out", count(trained.dropped_rows as u64));
    }
    let _ = writeln!(text, "- Digest: `{}`", trained.digest);
    text
}

fn cost(trained: &Trained) -> String {
    let seconds = &trained.seconds;
    let bytes = |bytes: usize| spaced(&short(bytes as f64));
    let stages = [
        ("reading", seconds.read),
        ("preparing", seconds.prepare),
        ("fitting", seconds.fit),
        ("evaluating", seconds.evaluate),
        ("exporting", seconds.export),
        ("drawing", seconds.report),
    ];
    let stages = stages.map(|(stage, seconds)| format!("{stage} {seconds:.3} s")).join(", ");
    format!(
        "### Cost\n\n{:.3} s ({stages}), {} rows a second in fitting; the model has {}B, and rows and trees took up to \
         {}B of memory.\n",
        seconds.working(),
        short(trained.n_train as f64 / seconds.fit),
        bytes(trained.native.len()),
        bytes(peak_memory(trained))
    )
}

/// `1.2 k` before a unit stays as it is, a bare number gets the space.
fn spaced(number: &str) -> String {
    if number.contains(' ') { number.to_owned() } else { format!("{number} ") }
}

/// Anybody's text as a code span.
fn code(name: &str) -> String {
    let quiet = |c: char| if c.is_control() || c == '`' { '\'' } else { c };
    let mut text: String = name.chars().take(NAME_CHARS).map(quiet).collect();
    if name.chars().nth(NAME_CHARS).is_some() {
        text.push('\u{2026}');
    }
    format!("`{text}`")
}

/// Anybody's text as text: nothing in it is markup.
fn plain(text: &str, most: usize) -> String {
    let mut plain = String::new();
    for c in text.chars().take(most) {
        match c {
            '<' | '>' | '[' | ']' | '`' | '*' | '_' | '|' | '\\' | '#' | '!' => plain.extend(['\\', c]),
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    if text.chars().nth(most).is_some() {
        plain.push('\u{2026}');
    }
    plain
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_warnings_are_no_markup() {
        assert_eq!(code("a`<b>\n"), "`a'<b>'`");
        assert_eq!(plain("<img> [x](y)", 99), r"\<img\> \[x\](y)");
        let long = warnings(&vec!["[".repeat(999); 20]);
        assert!(long.lines().count() == 2 + WARNINGS + 1 && long.contains("and 12 more"), "{long}");
    }

    #[test]
    fn quality_is_compared_with_the_simplest_model() {
        let metrics = json!({"rmse": 25.0, "train_rmse": 20.0, "baseline_rmse": 100.0, "r2": 0.9375});
        let metrics = metrics.as_object().expect("an object");
        let text = quality(Family::BoostedRegression, metrics, false);
        assert!(
            text.contains("| rmse | 25 | 20 |") && text.contains("this model's is 75.0% smaller"),
            "{text}"
        );
        let worse = json!({"rmse": 150.0, "baseline_rmse": 100.0});
        let text = quality(Family::BoostedRegression, worse.as_object().expect("an object"), true);
        assert!(text.contains("**this model's is 50.0% larger**") && text.contains("too good"), "{text}");
    }
}
