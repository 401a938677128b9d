"""Looks at MLflow as one tenant's data scientist does: which experiments, runs and models are there, and what a
model says; and tries to reach what is another tenant's.

Argument: {"tracking_uri", "workspace" (null: none), "name", "rows": [{feature: number}], "foreign": [run ids]}. Prints
{"models", "experiments", "runs": [run ids], "predictions", "champion": version, "reached": foreign run ids}.
"""

import json
import os
import sys

request = json.loads(sys.argv[1])
os.environ["MLFLOW_TRACKING_URI"] = request["tracking_uri"]
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"

import mlflow
import mlflow.pyfunc
import pandas as pd
from mlflow.tracking import MlflowClient

if request["workspace"]:
    mlflow.set_workspace(request["workspace"])
client = MlflowClient()
name = request["name"]

rows = pd.DataFrame(request["rows"], dtype="float64")
predictions = [
    [float(value) for value in mlflow.pyfunc.load_model(f"models:/{name}{which}").predict(rows)]
    for which in ("/1", "@champion")
]
assert predictions[0] == predictions[1], predictions


def reachable(attempt):
    try:
        attempt()
        return True
    except mlflow.exceptions.MlflowException:
        return False


reached = [
    run_id
    for run_id in request["foreign"]
    if reachable(lambda: client.get_run(run_id))
    or reachable(lambda: mlflow.artifacts.download_artifacts(f"runs:/{run_id}/model"))
    or reachable(lambda: mlflow.pyfunc.load_model(f"runs:/{run_id}/model"))
]
print(
    json.dumps(
        {
            "models": [model.name for model in client.search_registered_models()],
            "experiments": [experiment.name for experiment in client.search_experiments()],
            "runs": [run.info.run_id for run in mlflow.search_runs(search_all_experiments=True, output_format="list")],
            "predictions": predictions[0],
            "champion": client.get_model_version_by_alias(name, "champion").version,
            "reached": reached,
        }
    )
)
