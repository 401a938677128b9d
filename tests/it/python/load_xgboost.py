"""Loads a model that the service logged, with each loader that a data scientist would use, and predicts.

Argument: {"tracking_uri", "uris": [...], "rows": [{feature: value}]}. Prints {"<loader> <uri>": [prediction, ...]}.
"""
import json
import sys

import mlflow
import pandas as pd
import xgboost

request = json.loads(sys.argv[1])
mlflow.set_tracking_uri(request["tracking_uri"])
NUMBERED = ["residential", "commercial", "industrial", "mixed_use"]


def frame(uri):
    """The rows as the signature wants them: doubles, a category as its position in features.json."""
    features = json.loads(open(mlflow.artifacts.download_artifacts(f"{uri}/features.json")).read())
    features = features["features"] if isinstance(features, dict) else features
    columns = {}
    for feature in features:
        values = [row[feature["name"]] for row in request["rows"]]
        if feature["kind"] == "categorical":
            names = [NUMBERED[v - 1] if isinstance(v, int) else v for v in values]
            values = [None if n is None else feature["categories"].index(n) for n in names]
        columns[feature["name"]] = pd.Series(values, dtype="float64")
    return pd.DataFrame(columns), [("c" if f["kind"] == "categorical" else "q") for f in features]


answers = {}
for uri in request["uris"]:
    table, types = frame(uri)
    booster = mlflow.xgboost.load_model(uri)
    matrix = xgboost.DMatrix(table, feature_types=types, enable_categorical=True)
    answers[f"xgboost {uri}"] = [float(v) for v in booster.predict(matrix)]
    answers[f"pyfunc {uri}"] = [float(v) for v in mlflow.pyfunc.load_model(uri).predict(table)]
print(json.dumps(answers))
