"""What MLflow's Python client says of a run's inputs, as JSON on stdout.

usage: read_inputs.py {"tracking_uri": ..., "run_id": ...}
"""

import json
import sys

import mlflow

arguments = json.loads(sys.argv[1])
mlflow.set_tracking_uri(arguments["tracking_uri"])
run = mlflow.get_run(arguments["run_id"])
datasets = []
for entry in run.inputs.dataset_inputs:
    schema = mlflow.types.Schema.from_json(json.dumps(json.loads(entry.dataset.schema)["mlflow_colspec"]))
    datasets.append(
        {
            "name": entry.dataset.name,
            "digest": entry.dataset.digest,
            "context": {tag.key: tag.value for tag in entry.tags}["mlflow.data.context"],
            "source": mlflow.data.get_source(entry).to_dict(),
            "schema": [[column.name, column.type.name] for column in schema],
            "profile": json.loads(entry.dataset.profile),
        }
    )
table = mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/data_profile.json")
print(
    json.dumps(
        {
            "params": run.data.params,
            "tags": run.data.tags,
            "datasets": datasets,
            "profile": [dict(zip(table["columns"], row)) for row in table["data"]],
        }
    )
)
