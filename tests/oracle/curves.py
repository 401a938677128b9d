"""scikit-learn's curves of the labels and scores of curves.rs, as JSON on stdout.

usage: curves.py FILE   [{"labels", "scores"}]
"""

import json
import sys

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    precision_recall_curve,
    roc_curve,
)

answers = []
for case in json.load(open(sys.argv[1])):
    labels, scores = np.array(case["labels"]), np.array(case["scores"])
    fpr, tpr, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    precision, recall, pr_thresholds = precision_recall_curve(labels, scores)
    observed, predicted = calibration_curve(labels, scores, n_bins=10)
    answers.append(
        {
            "fpr": fpr.tolist(),
            "tpr": tpr.tolist(),
            # JSON has no infinity.
            "roc_thresholds": thresholds[1:].tolist(),
            "precision": precision.tolist(),
            "recall": recall.tolist(),
            "pr_thresholds": pr_thresholds.tolist(),
            "average_precision": average_precision_score(labels, scores),
            "observed": observed.tolist(),
            "predicted": predicted.tolist(),
            "brier_score": brier_score_loss(labels, scores),
        }
    )
print(json.dumps(answers))
