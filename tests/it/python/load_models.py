"""Loads what the service logged with every loader, as a data scientist does, and compares predictions.

Argument: {"tracking_uri", "models": [{model_type, uri, name, rows, expected}]}. Prints
[versions, {"<flavor> <model type>": largest difference, relative above 1}].
"""

import json
import os
import pickle
import sys

request = json.loads(sys.argv[1])
os.environ["MLFLOW_TRACKING_URI"] = request["tracking_uri"]

import mlflow
import mlflow.onnx
import mlflow.pyfunc
import mlflow.sklearn
import mlflow.xgboost
import numpy as np
import onnxruntime
import pandas as pd
import sklearn
import xgboost
from mlflow.models import Model

old = tuple(int(part) for part in sklearn.__version__.split(".")[:2]) < (1, 4)
differences = {}


def compare(what, found, expected):
    found, expected = np.asarray(found, dtype="float64"), np.asarray(expected, dtype="float64")
    assert found.shape == expected.shape, (what, found.shape, expected.shape)
    difference = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    differences[what] = max(float(difference.max()), differences.get(what, 0.0))


def frame_of(rows, features):
    """The rows as the signature wants them: numbers, and a category's code by the model's metadata."""
    columns = {}
    for feature in features:
        values = [row[feature["name"]] for row in rows]
        if feature["kind"] == "categorical":
            values = [None if value is None else feature["categories"].index(value) for value in values]
        columns[feature["name"]] = pd.Series(values, dtype="float64")
    return pd.DataFrame(columns)


def allowing_missing(predict):
    """Before 1.4 scikit-learn's forests refuse missing values, though their trees route them."""
    with sklearn.config_context(assume_finite=old):
        return predict()


def answer_of(frame, model_type):
    """The service's number in what pyfunc or ONNX answered."""
    column = {"risk_assessment": "probability_1", "anomaly_detection": "anomaly_score"}.get(model_type)
    return frame if column is None else frame[column]


for model in request["models"]:
    model_type, uri, expected = model["model_type"], model["uri"], model["expected"]
    boosted = model_type == "cost_forecasting"
    info = mlflow.models.get_model_info(uri)
    names = info.signature.inputs.input_names()
    assert set(info.flavors) == {"python_function", "onnx", "binah", "xgboost" if boosted else "sklearn"}
    assert [feature["name"] for feature in info.metadata["features"]] == names
    frame = frame_of(model["rows"], info.metadata["features"])
    assert frame.isna().any(axis=None) and (frame["kind"] > 2).any()

    for address in (uri, f"models:/{model['name']}/1", f"models:/{model['name']}@champion"):
        loaded = mlflow.pyfunc.load_model(address)
        answers = loaded.predict(frame)
        compare(f"pyfunc {model_type}", answer_of(answers, model_type), expected)
        shuffled = loaded.predict(frame[names[::-1]].assign(unknown=1.0))
        np.testing.assert_array_equal(answer_of(shuffled, model_type), answer_of(answers, model_type))
        try:
            loaded.predict(frame.drop(columns="age"))
            raise AssertionError("a missing column must be refused")
        except mlflow.exceptions.MlflowException:
            pass
    example = Model.load(uri).load_input_example(mlflow.artifacts.download_artifacts(uri))
    assert list(example.columns) == names, example

    graph = mlflow.onnx.load_model(uri)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    answers = dict(zip(outputs, session.run(outputs, {"X": frame.to_numpy("float32")})))
    compare(f"onnx {model_type}", answer_of(answers["prediction"] if boosted else answers, model_type), expected)

    if boosted:
        regressor = mlflow.xgboost.load_model(uri)
        assert isinstance(regressor, xgboost.XGBRegressor), regressor
        compare(f"xgboost {model_type}", regressor.predict(frame), expected)
        assert regressor.get_params() and regressor.feature_importances_.shape == (len(names),)
        again = pickle.loads(pickle.dumps(regressor))
        np.testing.assert_array_equal(again.predict(frame), regressor.predict(frame))
        kinds = ["c" if feature["kind"] == "categorical" else "q" for feature in info.metadata["features"]]
        matrix = xgboost.DMatrix(frame, feature_types=kinds, enable_categorical=True)
        compare(f"xgboost booster {model_type}", regressor.get_booster().predict(matrix), expected)
        continue
    estimator = mlflow.sklearn.load_model(uri)
    if model_type == "risk_assessment":
        assert isinstance(estimator, sklearn.ensemble.RandomForestClassifier)
        found = allowing_missing(lambda: estimator.predict_proba(frame)[:, 1])
        assert estimator.feature_importances_.sum().round(9) == 1
    else:
        assert isinstance(estimator, sklearn.ensemble.IsolationForest)
        found = allowing_missing(lambda: estimator.score_samples(frame))
        np.testing.assert_array_equal(
            allowing_missing(lambda: estimator.predict(frame)), np.where(found < estimator.offset_, -1, 1)
        )
    # An anomaly's value is the score as the paper has it: higher is more abnormal.
    sign = -1.0 if model_type == "anomaly_detection" else 1.0
    compare(f"sklearn {model_type}", sign * found, expected)
    np.testing.assert_array_equal(answers["label"], allowing_missing(lambda: estimator.predict(frame)))
    pickle.loads(pickle.dumps(estimator))

modules = (mlflow, sklearn, xgboost, onnxruntime, np, pd)
print(json.dumps([{module.__name__: module.__version__ for module in modules}, differences]))
