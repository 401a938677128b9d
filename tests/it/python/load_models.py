"""Loads what was logged, as a data scientist does, and compares predictions bit by bit."""
import os, sys
os.environ["MLFLOW_TRACKING_URI"] = sys.argv[1]
import mlflow, mlflow.pyfunc, mlflow.xgboost
import numpy as np
import pandas as pd
import xgboost
from mlflow.models import Model

folder, booster_uri, booster_model, forest_uri = sys.argv[2:]
rows, expected = np.load(f"{folder}/rows.npy"), np.load(f"{folder}/predictions.npy")
names, types = ["size", "age", "kind"], ["q", "q", "c"]
frame = pd.DataFrame(rows, columns=names)

booster = mlflow.xgboost.load_model(booster_uri)
assert isinstance(booster, xgboost.Booster) and booster.feature_names == names, booster
data = xgboost.DMatrix(rows, feature_names=names, feature_types=types)
np.testing.assert_array_equal(booster.predict(data), expected)

for uri in (booster_uri, f"models:/{booster_model}/1", f"models:/{booster_model}@champion"):
    model = mlflow.pyfunc.load_model(uri)
    np.testing.assert_array_equal(model.predict(frame), expected)
    np.testing.assert_array_equal(model.predict(frame[names[::-1]].assign(unknown=1.0)), expected)
    assert model.metadata.signature.inputs.input_names() == names
try:
    model.predict(frame.drop(columns="age"))
    raise AssertionError("a missing column must be refused")
except mlflow.exceptions.MlflowException:
    pass

info = mlflow.models.get_model_info(booster_uri)
assert set(info.flavors) == {"xgboost", "python_function"}, info.flavors
example = Model.load(booster_uri).load_input_example(mlflow.artifacts.download_artifacts(booster_uri))
assert list(example.columns) == names and np.isnan(example["age"][0]), example

forest = Model.load(forest_uri)
assert set(forest.flavors) == {"binah"} and forest.signature.inputs.input_names() == ["age", "income"]
try:
    mlflow.pyfunc.load_model(forest_uri)
    raise AssertionError("a forest has no Python loader yet")
except mlflow.exceptions.MlflowException as error:
    assert "python_function" in str(error), error
print("compared", len(rows), "rows; largest difference 0")
