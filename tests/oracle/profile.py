"""numpy's and pandas' summary of the rows of profile.rs, and their digest by hashlib, as JSON on stdout.

usage: profile.py FILE   {"rows": {"columns": [{"name", "numbers" | "labels"}], "target"}, "edges"}
"""

import hashlib
import json
import struct
import sys

import numpy as np
import pandas as pd

SHARES = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]


def summary(values, edges):
    series = pd.Series(values)
    described = series.describe()
    present = series.dropna().to_numpy()
    assert np.allclose(edges, np.unique(np.quantile(present, np.arange(1, 20) / 20)), rtol=1e-6), edges
    bins = np.digitize(present, edges, right=True)
    return {
        "count": int(described["count"]),
        "missing": int(series.isna().sum()),
        "mean": described["mean"],
        "std": described["std"],
        "min": described["min"],
        "max": described["max"],
        "quantiles": np.quantile(present, SHARES).tolist(),
        "counts": np.bincount(bins, minlength=len(edges) + 1).tolist(),
    }


def categories(labels):
    counts = pd.Series(labels).value_counts().sort_index()
    missing = sum(label is None for label in labels)
    return {"count": int(counts.sum()), "missing": missing, "counts": counts.tolist()}


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def digest(rows):
    """As src/features/pipeline/digest.rs describes it."""
    total = hashlib.sha256(b"binah-ml rows 1\n" + struct.pack("<Q", len(rows["target"])))
    for column in rows["columns"]:
        if "numbers" in column:
            values = np.array(column["numbers"], dtype=np.float64).astype("<f4") + np.float32(0)
            data = np.where(np.isnan(values), np.uint32(0x7FC00000), values.view("<u4")).astype("<u4")
            total.update(b"n" + text(column["name"]))
        else:
            codes, names = pd.factorize(np.array(column["labels"], dtype=object))
            data = codes.astype("<i4").view("<u4")
            total.update(b"c" + text(column["name"]) + struct.pack("<Q", len(names)))
            total.update(b"".join(text(name) for name in names))
        total.update(hashlib.sha256(data.tobytes()).digest())
    total.update(hashlib.sha256(np.array(rows["target"], dtype="<f8").tobytes()).digest())
    total.update(hashlib.sha256(b"").digest())
    return total.hexdigest()


sent = json.load(open(sys.argv[1]))
rows, edges = sent["rows"], sent["edges"]
answer = {"features": [], "digest": digest(rows)}
for column, own_edges in zip(rows["columns"], edges):
    if "numbers" in column:
        answer["features"].append(summary(np.array(column["numbers"], dtype=np.float64), own_edges))
    else:
        answer["features"].append(categories(column["labels"]))
answer["target"] = summary(np.array(rows["target"]), edges[-1])
print(json.dumps(answer))
