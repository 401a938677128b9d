"""Reads where a registered model's aliases point, and predicts one row by each.

Argument: {"tracking_uri", "name", "aliases": [...], "row": {feature: number}}. Prints {alias: {"run_id", "tags", "prediction"}},
null for an alias that is not there.
"""
import json
import sys

import mlflow
import pandas as pd
from mlflow.tracking import MlflowClient

request = json.loads(sys.argv[1])
mlflow.set_tracking_uri(request["tracking_uri"])
row = pd.DataFrame([request["row"]], dtype="float64")
answers = {}
for alias in request["aliases"]:
    try:
        version = MlflowClient().get_model_version_by_alias(request["name"], alias)
    except mlflow.exceptions.MlflowException as error:
        assert "not found" in str(error), error
        answers[alias] = None
        continue
    model = mlflow.pyfunc.load_model(f"models:/{request['name']}@{alias}")
    prediction = float(model.predict(row)[0])
    answers[alias] = {"run_id": version.run_id, "tags": version.tags, "prediction": prediction}
print(json.dumps(answers))
