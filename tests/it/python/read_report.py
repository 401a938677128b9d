"""What a data scientist finds in runs, through MLflow's Python client, as JSON on stdout.

usage: read_report.py {"tracking_uri", "run_ids": [...]}
"""

import io
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from contextlib import redirect_stdout

import mlflow

request = json.loads(sys.argv[1])
mlflow.set_tracking_uri(request["tracking_uri"])
client = mlflow.MlflowClient()


def read(run_id):
    run = mlflow.get_run(run_id)
    mlflow.set_experiment(experiment_id=run.info.experiment_id)
    files = {}
    for file in client.list_artifacts(run_id, "plots"):
        text = mlflow.artifacts.load_text(f"runs:/{run_id}/{file.path}")
        root = ElementTree.fromstring(text)
        files[file.path] = {"root": root.tag, "title": root.find("{*}title").text, "bytes": len(text)}
    tables = {}
    for entry in json.loads(run.data.tags["mlflow.loggedArtifacts"]):
        frame = mlflow.load_table(entry["path"], run_ids=[run_id])
        tables[entry["path"]] = {"columns": list(frame.columns), "rows": len(frame)}
    confusion = None
    if "confusion_matrix.json" in tables:
        frame = mlflow.load_table("confusion_matrix.json", run_ids=[run_id])
        confusion = frame[["predicted_0", "predicted_1"]].to_numpy().tolist()
    note = run.data.tags["mlflow.note.content"]
    # The note's own lines, as they stand.
    lines = {}
    with redirect_stdout(io.StringIO()):
        exec(re.search(r"```python\n(.*?)```", note, re.DOTALL).group(1), lines)
    curves = {
        name: [(point.step, point.value) for point in client.get_metric_history(run_id, name)]
        for name in sorted(run.data.metrics)
        if name.startswith("curve/")
    }
    return {
        "plots": files,
        "tables": tables,
        "confusion": confusion,
        "note": note,
        "loaded_run": lines["run"].info.run_id,
        "loaded": type(lines.get("model", lines.get("folder"))).__name__,
        "metrics": run.data.metrics,
        "curves": curves,
    }


print(json.dumps([read(run_id) for run_id in request["run_ids"]]))
