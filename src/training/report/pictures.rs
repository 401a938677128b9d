//! Which pictures a model's run gets, by its family, and what they show.

use super::Material;
use crate::{
    catalog::Family,
    chart::{self, Axis, Column, Figure, Layer, Scale, Tone, number},
    forest::metrics::{self, Ranking},
    tracking::ArtifactFile,
};

/// Bins of predicted probabilities.
const CALIBRATION_BINS: usize = 10;
/// Columns of the histogram of scores, about.
const SCORE_COLUMNS: f64 = 40.0;

/// All pictures of a run, below `plots/`. A curve that is undefined on the judged rows (one class only) is
/// left out.
#[must_use]
pub fn pictures(material: &Material<'_>) -> Vec<ArtifactFile> {
    let mut pictures = match material.family {
        Family::BoostedRegression => vec![
            Some(("predicted_vs_actual", predicted_vs_actual(material))),
            Some(("residuals", residuals(material))),
            Some(("learning_curve", learning_curve(material))),
        ],
        Family::RandomForest => {
            let labels = material.evaluation.judged.labels();
            let ranking = Ranking::new(&labels, &material.evaluation.judged.predicted);
            let ranking = ranking.as_ref();
            vec![
                ranking.map(|ranking| ("roc_curve", roc_curve(material, ranking))),
                ranking.map(|ranking| ("precision_recall_curve", precision_recall_curve(material, ranking))),
                Some(("confusion_matrix", confusion_matrix(material, &labels))),
                Some(("calibration_curve", calibration_curve(material, &labels))),
            ]
        }
        Family::IsolationForest => vec![Some(("anomaly_scores", anomaly_scores(material)))],
    };
    pictures.push(Some(("feature_importance", feature_importance(material))));
    let file = |(name, svg): (&str, String)| ArtifactFile::new(format!("plots/{name}.svg"), svg);
    pictures.into_iter().flatten().map(file).collect()
}

/// The title, which says when a picture flatters.
fn title(material: &Material<'_>, title: &str) -> String {
    if material.evaluation.judged.in_sample { format!("{title} (in-sample)") } else { title.to_owned() }
}

/// The rows that are shown, and the metrics that go with them.
fn subtitle(material: &Material<'_>, metrics: &[(&str, &str)]) -> String {
    let judged = &material.evaluation.judged;
    let rows = number::count(judged.rows.len() as u64);
    let kind = if judged.in_sample { "training rows, none were held out" } else { "held-out rows" };
    let value = |(name, label): &(&str, &str)| {
        let value = material.evaluation.metrics.get(*name)?.as_f64()?;
        Some(format!(" \u{b7} {label} {}", number::short(value)))
    };
    let metrics: String = metrics.iter().filter_map(value).collect();
    format!("{rows} {kind}{metrics}")
}

fn reference(points: Vec<(f64, f64)>, legend: &str) -> Layer {
    Layer::Line { points, tone: Tone::Muted, dashed: true, dots: false, legend: legend.to_owned() }
}

fn curve(points: Vec<(f64, f64)>, tone: Tone, legend: String) -> Layer {
    Layer::Line { points, tone, dashed: false, dots: false, legend }
}

/// From 0 to 1, with room for a line along the edge.
fn unit_scale() -> Scale {
    Scale::around([0.0, 1.0].into_iter())
}

/// The name of the dots: beyond some thousand they are no dots any more.
fn rows_legend(n_rows: usize) -> String {
    let many = n_rows > chart::MOST_POINTS;
    if many { "rows: the stronger, the more of them".to_owned() } else { "one row each".to_owned() }
}

fn predicted_vs_actual(material: &Material<'_>) -> String {
    let judged = &material.evaluation.judged;
    // One scale for both, so that the diagonal is where predictions are right.
    let scale = Scale::around(judged.actual.iter().chain(&judged.predicted).copied());
    let (low, high) = scale.ends();
    let points: Vec<_> = judged.actual.iter().copied().zip(judged.predicted.iter().copied()).collect();
    let figure = Figure {
        title: title(material, "Predicted against actual"),
        subtitle: subtitle(material, &[("r2", "R\u{b2}"), ("rmse", "RMSE"), ("mae", "MAE")]),
        x: Axis { label: format!("actual {}", material.target), scale },
        y: Axis { label: format!("predicted {}", material.target), scale },
        layers: vec![
            Layer::Points { legend: rows_legend(points.len()), points },
            reference(vec![(low, low), (high, high)], "predicted = actual"),
        ],
    };
    figure.svg()
}

fn residuals(material: &Material<'_>) -> String {
    let judged = &material.evaluation.judged;
    let pairs = judged.actual.iter().zip(&judged.predicted);
    let points: Vec<_> = pairs.map(|(actual, predicted)| (*predicted, actual - predicted)).collect();
    let x = Scale::around(points.iter().map(|point| point.0));
    let (low, high) = x.ends();
    let figure = Figure {
        title: title(material, "Residuals"),
        subtitle: subtitle(material, &[("rmse", "RMSE"), ("mae", "MAE")]),
        x: Axis { label: format!("predicted {}", material.target), scale: x },
        y: Axis {
            label: "residual (actual \u{2212} predicted)".to_owned(),
            scale: Scale::around(points.iter().map(|point| point.1).chain([0.0])),
        },
        layers: vec![
            Layer::Points { legend: rows_legend(points.len()), points },
            reference(vec![(low, 0.0), (high, 0.0)], "no error"),
        ],
    };
    figure.svg()
}

fn learning_curve(material: &Material<'_>) -> String {
    let curves = material.curves;
    let rounds = curves.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    let greatest = curves.iter().flat_map(|(_, values)| values).copied().fold(0.0, f64::max);
    let mut layers: Vec<_> = curves
        .iter()
        .map(|(name, values)| {
            let points = (1_u32..).zip(values).map(|(round, value)| (f64::from(round), *value)).collect();
            let (tone, legend) = match *name {
                "validation_rmse" => (Tone::First, "held-out rows"),
                _ => (Tone::Second, "training rows"),
            };
            curve(points, tone, legend.to_owned())
        })
        .collect();
    if material.n_trees < rounds {
        let round = material.n_trees as f64;
        let legend = format!("kept: the first {} rounds", material.n_trees);
        layers.push(reference(vec![(round, 0.0), (round, greatest * 1.03)], &legend));
    }
    let figure = Figure {
        title: "Learning curve".to_owned(),
        subtitle: format!("{} rounds of boosting, one tree each", number::count(rounds as u64)),
        x: Axis { label: "round".to_owned(), scale: Scale::new(1.0, rounds.max(2) as f64) },
        y: Axis { label: format!("RMSE of {}", material.target), scale: Scale::new(0.0, greatest * 1.03) },
        layers,
    };
    figure.svg()
}

fn roc_curve(material: &Material<'_>, ranking: &Ranking) -> String {
    let roc = ranking.roc_curve();
    let points = roc.false_positive_rate.into_iter().zip(roc.true_positive_rate).collect();
    let figure = Figure {
        title: title(material, "ROC curve"),
        subtitle: subtitle(material, &[("auc_roc", "area under the curve")]),
        x: Axis { label: "false positive rate".to_owned(), scale: unit_scale() },
        y: Axis { label: "true positive rate (recall)".to_owned(), scale: unit_scale() },
        layers: vec![
            reference(vec![(0.0, 0.0), (1.0, 1.0)], "guessing: area 0.5"),
            curve(points, Tone::First, "this model".to_owned()),
        ],
    };
    figure.svg()
}

fn precision_recall_curve(material: &Material<'_>, ranking: &Ranking) -> String {
    let curve_points = ranking.precision_recall_curve();
    // In steps: a straight line between two thresholds would promise what no threshold gives.
    let mut points = vec![];
    for (i, (&recall, &precision)) in curve_points.recall.iter().zip(&curve_points.precision).enumerate() {
        points.push((recall, precision));
        points.extend(curve_points.recall.get(i + 1).map(|&next| (next, precision)));
    }
    let prevalence = ranking.prevalence();
    let guessing = format!("guessing: {}", number::short(prevalence));
    let figure = Figure {
        title: title(material, "Precision and recall"),
        subtitle: subtitle(material, &[("average_precision", "average precision")]),
        x: Axis { label: "recall".to_owned(), scale: unit_scale() },
        y: Axis { label: "precision".to_owned(), scale: unit_scale() },
        layers: vec![
            reference(vec![(0.0, prevalence), (1.0, prevalence)], &guessing),
            curve(points, Tone::First, "this model".to_owned()),
        ],
    };
    figure.svg()
}

fn confusion_matrix(material: &Material<'_>, labels: &[u8]) -> String {
    let counts = super::tables::confusion(labels, &material.evaluation.judged.predicted);
    let names = [0, 1].map(|class| format!("{} = {class}", material.target));
    let shown = [("accuracy", "accuracy"), ("precision", "precision"), ("recall", "recall"), ("f1", "F1")];
    chart::matrix(
        &title(material, "Confusion matrix"),
        &subtitle(material, &shown),
        ["actual", "predicted: 1 above a probability of 0.5"],
        names.each_ref().map(String::as_str),
        counts,
    )
}

fn calibration_curve(material: &Material<'_>, labels: &[u8]) -> String {
    let predicted = &material.evaluation.judged.predicted;
    let bins = metrics::calibration_curve(labels, predicted, CALIBRATION_BINS);
    let width = 1.0 / CALIBRATION_BINS as f64;
    let columns = bins.iter().map(|bin| {
        // The bin that its mean lies in; a mean on an edge belongs below it.
        let from = ((bin.predicted / width).ceil() - 1.0).max(0.0) * width;
        Column { from, to: from + width, height: bin.rows as f64 / predicted.len() as f64 }
    });
    let figure = Figure {
        title: title(material, "Calibration"),
        subtitle: subtitle(material, &[("brier_score", "Brier score"), ("log_loss", "log loss")]),
        x: Axis { label: "predicted probability (mean of the bin)".to_owned(), scale: unit_scale() },
        y: Axis { label: format!("share with {} = 1", material.target), scale: unit_scale() },
        layers: vec![
            Layer::Columns {
                columns: columns.collect(),
                tone: Tone::Muted,
                legend: "share of the rows".to_owned(),
            },
            reference(vec![(0.0, 0.0), (1.0, 1.0)], "perfectly calibrated"),
            Layer::Line {
                points: bins.iter().map(|bin| (bin.predicted, bin.observed)).collect(),
                tone: Tone::First,
                dashed: false,
                dots: true,
                legend: "this model".to_owned(),
            },
        ],
    };
    figure.svg()
}

fn anomaly_scores(material: &Material<'_>) -> String {
    let (scores, offset) = (&material.evaluation.judged.predicted, material.offset);
    let x = Scale::around(scores.iter().copied().chain([offset]));
    let (low, high) = x.ends();
    let width = (high - low) / SCORE_COLUMNS;
    // The threshold is an edge: no column is on both sides.
    let first = ((low - offset) / width).floor();
    let mut counts = vec![0_u32; SCORE_COLUMNS as usize + 2];
    for score in scores.iter().filter(|score| score.is_finite()) {
        let column = (((score - offset) / width).floor() - first).max(0.0) as usize;
        let last = counts.len() - 1;
        counts[column.min(last)] += 1;
    }
    let columns = counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(i, &count)| {
        let from = offset + (first + i as f64) * width;
        Column { from, to: from + width, height: f64::from(count) }
    });
    let (unusual, normal): (Vec<_>, Vec<_>) = columns.partition(|column| column.from + width / 2.0 < offset);
    let tallest = f64::from(counts.iter().copied().max().unwrap_or(1)) * 1.05;
    let count =
        |columns: &[Column]| number::count(columns.iter().map(|column| column.height).sum::<f64>() as u64);
    let (n_unusual, n_normal) = (count(&unusual), count(&normal));
    let figure = Figure {
        title: title(material, "Anomaly scores"),
        subtitle: subtitle(material, &[("anomaly_rate", "share of anomalies")]),
        x: Axis { label: "score (the lower, the more unusual)".to_owned(), scale: x },
        y: Axis { label: "rows".to_owned(), scale: Scale::new(0.0, tallest) },
        layers: vec![
            Layer::Columns {
                columns: unusual,
                tone: Tone::Second,
                legend: format!("anomalies: {n_unusual}"),
            },
            Layer::Columns { columns: normal, tone: Tone::First, legend: format!("normal: {n_normal}") },
            reference(
                vec![(offset, 0.0), (offset, tallest)],
                &format!("threshold {}", number::short(offset)),
            ),
        ],
    };
    figure.svg()
}

fn feature_importance(material: &Material<'_>) -> String {
    let meaning = match material.family {
        Family::BoostedRegression => "Share of the total gain of all splits",
        Family::RandomForest => "Share of the total decrease in impurity of all splits",
        Family::IsolationForest => "Share of all splits, those near the roots weighted more",
    };
    let shares: Vec<_> = material.importance.iter().map(|(name, share)| (name.as_str(), *share)).collect();
    chart::bars("Feature importance", meaning, &shares)
}
