"""Loads exported models as a data scientist does and compares their predictions with ours.

Usage: load_exports.py FOLDER; export.rs writes the folder and reads the answer:
[versions, {model: {library, onnx, onnx_threads, onnx_labels, importance}}], differences as their largest.
"""

import json
import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import sklearn
import xgboost
from sklearn.base import clone

warnings.simplefilter("error")  # above all sklearn's InconsistentVersionWarning
folder = Path(sys.argv[1])
old = tuple(int(part) for part in sklearn.__version__.split(".")[:2]) < (1, 4)


def allowing_missing(predict):
    """Before 1.4 forests refuse missing values, though their trees route them."""
    with sklearn.config_context(assume_finite=old):
        return predict()


def forest(model, frame, expected, about):
    assert type(model).__name__ == "RandomForestClassifier" and model.classes_.tolist() == [0, 1]
    probabilities = allowing_missing(lambda: model.predict_proba(frame))
    assert probabilities.shape == (len(frame), 2)
    labels = allowing_missing(lambda: model.predict(frame))
    np.testing.assert_array_equal(labels, (expected > 0.5).astype(int))
    importance = np.abs(model.feature_importances_ - about["importance"]).max()
    assert isinstance(model.score(frame.fillna(0.0), labels), float)
    present = frame.dropna()  # what every version takes without further ado
    assert len(present) > 1000
    np.testing.assert_allclose(model.predict_proba(present)[:, 1], expected[present.index], atol=1e-12)
    # The trees of a forest know no names, in scikit-learn's own forests as well.
    assert model.estimators_[0].decision_path(present.to_numpy()).shape[0] == len(present)
    return np.abs(probabilities[:, 1] - expected).max(), importance


def isolation(model, frame, expected, about):
    assert type(model).__name__ == "IsolationForest"
    assert model.offset_ == about["offset"]
    scores = allowing_missing(lambda: model.score_samples(frame))
    decision = allowing_missing(lambda: model.decision_function(frame))
    np.testing.assert_array_equal(decision, scores - model.offset_)
    labels = allowing_missing(lambda: model.predict(frame))
    np.testing.assert_array_equal(labels, np.where(decision < 0, -1, 1))
    assert (labels != np.where(expected < about["offset"], -1, 1)).sum() == 0
    return np.abs(scores - expected).max(), None


def estimator(path, frame, expected, about):
    model = pickle.loads(path.read_bytes())
    params = model.get_params()
    for name, value in about["params"].items():
        assert params[name] == value, (name, params[name], value)
    assert model.feature_names_in_.tolist() == about["names"] and model.n_features_in_ == len(about["names"])
    compare = forest if about["family"] == "random_forest" else isolation
    answer = compare(model, frame, expected, about)
    again = compare(pickle.loads(pickle.dumps(model)), frame, expected, about)
    assert answer == again, (answer, again)
    fresh = clone(model).set_params(n_estimators=2).fit(frame.fillna(0.0).head(300), expected[:300] > np.median(expected[:300]))
    assert len(fresh.estimators_) == 2 and repr(model)
    return answer


def booster(path, frame, expected, about):
    model = xgboost.XGBRegressor()
    model.load_model(path)
    assert model.get_booster().feature_names == about["names"]
    predictions = model.predict(frame)
    types = ["c" if flag else "q" for flag in about["categorical"]]
    data = xgboost.DMatrix(frame, feature_types=types, enable_categorical=True)
    np.testing.assert_array_equal(model.get_booster().predict(data), predictions)
    return np.abs(predictions - expected).max(), None


def through_onnx(path, rows, expected, about, threads):
    """Largest difference, relative where a prediction is above 1, and rows with another label."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    out = dict(zip(names, session.run(None, {"X": rows})))
    assert all(values.shape == (len(rows),) for values in out.values()), out
    assert session.run(None, {"X": rows[:0]})[0].shape == (0,)
    one_by_one = [dict(zip(names, session.run(None, {"X": rows[i : i + 1]}))) for i in range(50)]
    labels = None
    if about["family"] == "random_forest":
        np.testing.assert_allclose(out["probability_0"], 1 - out["probability_1"], atol=1e-15)
        name, labels = "probability_1", expected > 0.5
    elif about["family"] == "isolation_forest":
        np.testing.assert_array_equal(out["anomaly_score"], -out["score_samples"])
        np.testing.assert_array_equal(out["decision_function"], out["score_samples"] - about["offset"])
        name, labels = "score_samples", np.where(expected < about["offset"], -1, 1)
    else:
        name = "prediction"
    np.testing.assert_allclose([row[name][0] for row in one_by_one], out[name][:50], rtol=1e-5)
    difference = np.abs(out[name] - expected) / np.maximum(1.0, np.abs(expected))
    return float(difference.max()), 0 if labels is None else int((out["label"] != labels).sum())


answers = {}
for path in sorted(p for p in folder.iterdir() if p.is_dir()):
    about = json.loads((path / "about.json").read_text())
    rows = np.fromfile(folder / "rows.f32", "<f4").reshape(-1, len(about["names"]))
    expected = np.fromfile(path / "expected.f64", "<f8")
    assert np.isnan(rows).any() and len(rows) == len(expected)
    frame = pd.DataFrame(rows, columns=about["names"]).astype("float64")
    boosted = about["family"] == "gradient_boosting"
    load, file = (booster, "model.json") if boosted else (estimator, "model.pkl")
    library, importance = load(path / file, frame, expected, about)
    onnx.checker.check_model(str(path / "model.onnx"), full_check=True)
    difference, labels = through_onnx(path / "model.onnx", rows, expected, about, threads=1)
    with_threads, _ = through_onnx(path / "model.onnx", rows, expected, about, threads=0)
    answers[path.name] = {
        "library": float(library), "onnx": difference, "onnx_threads": with_threads, "onnx_labels": labels,
        "importance": None if importance is None else float(importance),
    }
modules = (sklearn, xgboost, onnxruntime, onnx, np, pd)
print(json.dumps([{module.__name__: module.__version__ for module in modules}, answers]))
