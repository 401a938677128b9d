"""Seconds that scikit-learn needs for what benches/forest.rs does, as JSON on stdout.

usage: forest.py FILE N_ROWS N_FEATURES N_JOBS REPEATS
FILE holds float32: N_ROWS x N_FEATURES values row by row, then N_ROWS labels.
"""

import json
import sys
import time

import numpy as np
from sklearn.ensemble import IsolationForest, RandomForestClassifier


def fastest(repeats, work):
    """Least wall-clock seconds of some runs."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main():
    path, rows, features, jobs, repeats = sys.argv[1], *map(int, sys.argv[2:])
    data = np.fromfile(path, dtype=np.float32)
    x = data[: rows * features].reshape(rows, features)
    y = data[rows * features :].astype(int)
    forest = RandomForestClassifier(n_estimators=100, max_depth=10, n_jobs=jobs, random_state=0)
    isolation = IsolationForest(n_estimators=100, contamination=0.05, max_samples=min(256, rows), n_jobs=jobs, random_state=0)
    trees_only = IsolationForest(n_estimators=100, max_samples=min(256, rows), n_jobs=jobs, random_state=0)
    result = {
        "random_forest": fastest(repeats, lambda: forest.fit(x, y)),
        "isolation_forest": fastest(repeats, lambda: isolation.fit(x)),
        "isolation_trees": fastest(repeats, lambda: trees_only.fit(x)),
    }
    head = x[: min(rows, 1000)]
    result["predict_row"] = fastest(5, lambda: forest.predict_proba(x[:1]))
    result["predict_1000"] = fastest(5, lambda: forest.predict_proba(head))
    json.dump(result, sys.stdout)


main()
