"""What Python's XGBoost makes of rows and models that the Rust tests hand over.

Usage: xgboost_check.py regression|logistic FOLDER; xgboost/exchange.rs writes the
folder and reads the answer.
"""

import json
import sys
from pathlib import Path

import numpy as np
import xgboost as xgb

command, folder = sys.argv[1], Path(sys.argv[2])
request = json.loads((folder / "request.json").read_text())
columns = json.loads((folder / "columns.json").read_text())
threads = 1  # not the number that Rust trains with: the results must not depend on it


def matrix(name: str, target: np.ndarray | None = None) -> xgb.DMatrix:
    features = np.fromfile(folder / f"{name}.features", "<f4").reshape(len(columns["names"]), -1).T
    return xgb.DMatrix(
        features,
        np.fromfile(folder / f"{name}.target", "<f4") if target is None else target,
        feature_names=columns["names"],
        feature_types=["c" if c else "float" for c in columns["categorical"]],
        enable_categorical=True,
        nthread=threads,
    )


def regression() -> None:
    unseen = matrix("unseen")
    for suffix in ("json", "ubj"):
        model = xgb.Booster(model_file=folder / f"model.{suffix}")
        model.predict(unseen).astype("<f4").tofile(folder / f"predictions_{suffix}.f32")

    params = request["params"]
    rounds, patience = params.pop("n_estimators"), params.pop("early_stopping_rounds")
    training, validation, curves = matrix("training"), matrix("validation"), {}
    model = xgb.train(
        params
        | {"objective": "reg:squarederror", "tree_method": "hist", "nthread": threads}
        | {"seed": request["seed"], "seed_per_iteration": True},
        training,
        rounds,
        evals=[(training, "train"), (validation, "validation")],
        evals_result=curves,
        early_stopping_rounds=patience,
        verbose_eval=False,
    )
    best = model.best_iteration if patience else rounds - 1
    model[: best + 1].save_model(folder / "python.json")
    answer = {name: curve["rmse"] for name, curve in curves.items()}
    answer |= {"version": xgb.__version__, "best_iteration": best}
    (folder / "answer.json").write_text(json.dumps(answer))


def logistic() -> None:
    target = np.fromfile(folder / "training.target", "<f4")
    rows = matrix("training", (target > np.median(target) + 1).astype("f4"))
    params = {"objective": "binary:logistic", "tree_method": "hist", "max_depth": 4, "nthread": threads}
    model = xgb.train(params, rows, 40)
    model.save_model(folder / "python.json")
    model.predict(rows, output_margin=True).astype("<f4").tofile(folder / "margins.f32")


{"regression": regression, "logistic": logistic}[command]()
