//! Python loads what was logged and predicts the same numbers.

use std::ffi::OsStr;
use std::fs;

use binah_ml::tracking::{Feature, FeatureKind, Flavor, ModelFolder};

use super::{tracker, training};
use crate::python;

#[tokio::test]
async fn python_loads_a_booster_and_predicts_the_same() {
    let uri = super::uri().await;
    let tracker = tracker(&uri);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    python::run(python::script("it/python/train_booster.py").arg(path));

    let forest = training();
    let mut boosted = training();
    boosted.model_type = "cost_forecasting".into();
    let about: serde_json::Value =
        serde_json::from_slice(&fs::read(path.join("about.json")).expect("is there")).expect("JSON");
    let model_json = fs::read(path.join("model.json")).expect("is there");
    let categories = ["flat", "house", "shop", "office"].map(str::to_owned).into();
    boosted.model = ModelFolder {
        features: vec![
            Feature { name: "size".into(), kind: FeatureKind::Numeric },
            Feature { name: "age".into(), kind: FeatureKind::Numeric },
            Feature { name: "kind".into(), kind: FeatureKind::Categorical { categories } },
        ],
        flavors: vec![Flavor::Xgboost {
            model_json: model_json.into(),
            version: about["version"].as_str().expect("a version").into(),
        }],
        input_example: vec![0.5, f64::NAN, 2.0],
    };
    let forest = tracker.log(&forest).await.expect("logs the forest");
    let boosted = tracker.log(&boosted).await.expect("logs the booster");
    let alias =
        tracker.client().set_alias(&boosted.registered_model, "champion", &boosted.registered_version);
    alias.await.expect("sets the alias");

    let (model_uri, name, forest_uri) = (boosted.model_uri, boosted.registered_model, forest.model_uri);
    let arguments: [&OsStr; 5] =
        [uri.as_str().as_ref(), path.as_ref(), model_uri.as_ref(), name.as_ref(), forest_uri.as_ref()];
    python::run(python::script("it/python/load_models.py").args(arguments));
}
