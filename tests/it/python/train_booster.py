"""Trains a small booster with a category and missing values; writes model, rows and predictions."""
import json, sys
import numpy as np
import xgboost

folder = sys.argv[1]
rng = np.random.default_rng(7)
names, types = ["size", "age", "kind"], ["q", "q", "c"]
rows = rng.normal(size=(500, 3))
rows[:, 2] = rng.integers(0, 4, 500)
target = 485 + 3 * rows[:, 0] - rows[:, 1] ** 2 + 2 * (rows[:, 2] == 2)
rows[rng.random((500, 3)) < 0.1] = np.nan
data = xgboost.DMatrix(rows, target, feature_names=names, feature_types=types)
booster = xgboost.train({"max_depth": 4, "eta": 0.3, "max_cat_to_onehot": 1}, data, 30)
booster.save_model(f"{folder}/model.json")
np.save(f"{folder}/rows.npy", rows)
np.save(f"{folder}/predictions.npy", booster.predict(data))
json.dump({"version": xgboost.__version__}, open(f"{folder}/about.json", "w"))
