"""scikit-learn's answers for forest.rs, as JSON on stdout.

usage: sklearn_forests.py forest TRAIN TEST   probabilities by seed, their accuracy and AUC
       sklearn_forests.py tree TRAIN TEST     probabilities of one tree over all rows and features
       sklearn_forests.py isolation TRAIN     scores by seed, offset of each
TRAIN and TEST are comma-separated without a header, the label last, a missing value empty.
"""

import json
import sys

import numpy as np
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.tree import DecisionTreeClassifier


def load(path):
    """Features as float32 and labels."""
    table = np.genfromtxt(path, delimiter=",", dtype=np.float32)
    return table[:, :-1], table[:, -1].astype(int)


def forest(train, test):
    (x, y), (test_x, test_y) = load(train), load(test)
    answer = {"probabilities": [], "accuracy": [], "auc": []}
    for seed in range(10):
        model = RandomForestClassifier(n_estimators=100, max_depth=10, random_state=seed).fit(x, y)
        p = model.predict_proba(test_x)[:, 1]
        answer["probabilities"].append(p.tolist())
        answer["accuracy"].append(accuracy_score(test_y, p > 0.5))
        answer["auc"].append(roc_auc_score(test_y, p))
    return answer


def tree(train, test):
    (x, y), (test_x, _) = load(train), load(test)
    model = DecisionTreeClassifier(max_depth=5, min_samples_leaf=20, random_state=0).fit(x, y)
    importance = model.feature_importances_.tolist()
    return {"probabilities": model.predict_proba(test_x)[:, 1].tolist(), "importance": importance}


def isolation(train):
    x, _ = load(train)
    answer = {"scores": [], "offset": []}
    for seed in range(2):
        model = IsolationForest(n_estimators=100, contamination=0.05, random_state=seed).fit(x)
        answer["scores"].append(model.score_samples(x).tolist())
        answer["offset"].append(float(model.offset_))
    return answer


json.dump(globals()[sys.argv[1]](*sys.argv[2:]), sys.stdout)
