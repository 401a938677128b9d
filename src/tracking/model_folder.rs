//! The folder `model/` of a run: what `mlflow.*.load_model` reads, written without Python.
//!
//! `MLmodel` is YAML, of which JSON is a part: it is written as JSON. It says `mlflow_version`
//! 2.9.2 and leaves `required` out of the signature, so that 2.x and 3.x both load it.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::client::ArtifactFile;

/// Name of the folder in the run.
pub const MODEL_FOLDER: &str = "model";

/// Path of the document in the run.
const MLMODEL: &str = "model/MLmodel";

/// Named in the environment files; loading works under any version that has the libraries.
const PYTHON: &str = "3.11.7";
/// The oldest versions that the tests load the files with. The newest scikit-learn is 1.9.
const ONNX_VERSION: &str = "1.16.2";
const SKLEARN_VERSION: &str = "1.3.2";

/// What a reader of MLmodel must know of the features.
const FEATURES_NOTE: &str = "All columns are numbers, NaN where missing. A categorical column holds \
    codes: the position of the name in its categories, NaN for a name that is not among them.";

/// A model as MLflow keeps it: one folder, one or more flavors over it.
///
/// The signature makes every feature a `double`: MLflow then takes floats and missing values, puts
/// the columns in order, drops unknown ones and refuses a frame that lacks one. A categorical
/// feature is passed as its code; `metadata` of MLmodel and `features.json` name the codes.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    /// Features in the model's order.
    pub features: Vec<Feature>,
    /// What the folder can be loaded as; the first one with a Python loader is what
    /// `mlflow.pyfunc` uses.
    pub flavors: Vec<Flavor>,
    /// One row for the model's page, one value per feature; NaN is missing.
    pub input_example: Vec<f64>,
}

/// What a run's `model/` is made from.
pub trait Folder: Sync {
    /// The `MLmodel` document, see [`ModelFolder::mlmodel`].
    fn document(&self, run_id: &str, model_uuid: &str, created_at: DateTime<Utc>) -> Value;

    /// The files that are not kept elsewhere, with paths in the run; `MLmodel` last.
    fn contents(&self, mlmodel: &Value) -> Vec<ArtifactFile>;
}

impl Folder for ModelFolder {
    fn document(&self, run_id: &str, model_uuid: &str, created_at: DateTime<Utc>) -> Value {
        self.mlmodel(run_id, model_uuid, created_at)
    }

    fn contents(&self, mlmodel: &Value) -> Vec<ArtifactFile> {
        self.files(mlmodel)
    }
}

/// A [`ModelFolder`] of which only `MLmodel` is left to write, once there is a run: its document
/// without the run's id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RenderedFolder(Value);

impl RenderedFolder {
    /// The folder, and its other files.
    pub(super) fn of(
        folder: &ModelFolder,
        model_uuid: &str,
        created_at: DateTime<Utc>,
    ) -> (Self, Vec<ArtifactFile>) {
        let document = folder.mlmodel("", model_uuid, created_at);
        let mut files = folder.files(&document);
        files.retain(|file| file.path != MLMODEL);
        (Self(document), files)
    }
}

impl Folder for RenderedFolder {
    fn document(&self, run_id: &str, _: &str, _: DateTime<Utc>) -> Value {
        let mut document = self.0.clone();
        document["run_id"] = run_id.into();
        document
    }

    fn contents(&self, mlmodel: &Value) -> Vec<ArtifactFile> {
        vec![ArtifactFile::new(MLMODEL, format!("{mlmodel:#}"))]
    }
}

/// One feature of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Feature {
    /// Column name.
    pub name: String,
    /// What it holds.
    #[serde(flatten)]
    pub kind: FeatureKind,
}

/// What a feature holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FeatureKind {
    /// A number.
    Numeric,
    /// A category; its code is its position here.
    Categorical {
        /// Names in the order of their codes.
        categories: Vec<String>,
    },
}

/// One way to load the folder. A new one is a variant with its own file, entry, loader and
/// requirements; nothing else changes.
#[derive(Debug, Clone)]
pub enum Flavor {
    /// An `XGBRegressor` for `mlflow.xgboost`; `mlflow.pyfunc` answers its prediction in float32.
    Xgboost {
        /// libxgboost's JSON format, with feature names and a scalar `base_score` as
        /// [`crate::xgboost::train()`] writes it: 2.x reads `"[4.85E-1]"` without an error and predicts
        /// wrongly.
        model_json: Bytes,
        /// Version of the library that wrote it.
        version: String,
    },
    /// A graph for `mlflow.onnx`; `mlflow.pyfunc` answers a data frame of its outputs. Data only:
    /// loading it runs nothing, and it takes missing values under every version of its runtime.
    Onnx {
        /// The model file.
        model: Bytes,
        /// Name and type (`float`, `double`, `long`) of each output, one value a row.
        outputs: &'static [(&'static str, &'static str)],
    },
    /// An estimator for `mlflow.sklearn`. It is no `mlflow.pyfunc` model: that would answer labels
    /// without scores, and refuse missing values before scikit-learn 1.4.
    Sklearn {
        /// The pickle, which scikit-learn 1.3 to 1.9 read.
        pickle: Bytes,
    },
    /// Our own format, which no Python library loads. MLflow shows it and keeps it.
    Native {
        /// The registry's artifact.
        model: Bytes,
        /// `gradient_boosting`, `random_forest` or `isolation_forest`.
        family: &'static str,
    },
}

impl Flavor {
    fn key(&self) -> &'static str {
        match self {
            Self::Xgboost { .. } => "xgboost",
            Self::Onnx { .. } => "onnx",
            Self::Sklearn { .. } => "sklearn",
            Self::Native { .. } => "binah",
        }
    }

    /// Size of the model's file, in bytes.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.file().bytes.len()
    }

    fn file(&self) -> ArtifactFile {
        match self {
            Self::Xgboost { model_json, .. } => ArtifactFile::new("model.json", model_json.clone()),
            Self::Onnx { model, .. } => ArtifactFile::new("model.onnx", model.clone()),
            Self::Sklearn { pickle } => ArtifactFile::new("model.pkl", pickle.clone()),
            Self::Native { model, .. } => ArtifactFile::new("model.binah", model.clone()),
        }
    }

    /// The flavor's entry in MLmodel.
    fn entry(&self) -> Value {
        match self {
            Self::Xgboost { version, .. } => json!({
                "code": null, "data": "model.json", "model_class": "xgboost.sklearn.XGBRegressor",
                "model_format": "json", "xgb_version": version,
            }),
            Self::Onnx { .. } => json!({
                "code": null, "data": "model.onnx", "onnx_version": ONNX_VERSION,
                "providers": ["CPUExecutionProvider"],
                // Threads share the trees out, and the order of their sum shows in its last digits.
                "onnx_session_options": {"intra_op_num_threads": 1, "execution_mode": "sequential"},
            }),
            Self::Sklearn { .. } => json!({
                "code": null, "pickled_model": "model.pkl", "serialization_format": "pickle",
                "sklearn_version": SKLEARN_VERSION,
            }),
            Self::Native { family, .. } => json!({
                "data": "model.binah", "features": "features.json", "family": family,
                "version": env!("CARGO_PKG_VERSION"),
            }),
        }
    }

    /// The module that makes it a `mlflow.pyfunc` model, and the signature of its answer.
    fn loader(&self) -> Option<(&'static str, Value)> {
        match self {
            Self::Xgboost { .. } => {
                let answer = json!([{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1]}}]);
                Some(("mlflow.xgboost", answer))
            }
            Self::Onnx { outputs, .. } => {
                let column = |(name, kind): &(&str, &str)| json!({"type": kind, "name": name});
                Some(("mlflow.onnx", outputs.iter().map(column).collect()))
            }
            Self::Sklearn { .. } | Self::Native { .. } => None,
        }
    }

    /// Lines of requirements.txt.
    fn requirements(&self) -> Vec<String> {
        match self {
            Self::Xgboost { version, .. } => vec![format!("xgboost=={version}"), "scikit-learn".into()],
            Self::Onnx { .. } => vec![format!("onnx>={ONNX_VERSION}"), "onnxruntime>=1.19.2".into()],
            Self::Sklearn { .. } => vec![format!("scikit-learn>={SKLEARN_VERSION},<1.10")],
            Self::Native { .. } => Vec::new(),
        }
    }
}

impl ModelFolder {
    /// The `MLmodel` document. The same arguments give the same document, so that a repeated
    /// upload changes nothing; `model_uuid` is 32 hex digits.
    #[must_use]
    pub fn mlmodel(&self, run_id: &str, model_uuid: &str, created_at: DateTime<Utc>) -> Value {
        let mut flavors: Map<String, Value> =
            self.flavors.iter().map(|flavor| (flavor.key().to_owned(), flavor.entry())).collect();
        let loader = self.flavors.iter().find_map(|flavor| Some((flavor.loader()?, flavor.file().path)));
        if let Some(((module, _), data)) = &loader {
            let entry = json!({
                "loader_module": module, "data": data, "python_version": PYTHON,
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
            });
            flavors.insert("python_function".to_owned(), entry);
        }
        let inputs: Vec<_> =
            self.features.iter().map(|f| json!({"type": "double", "name": f.name})).collect();
        let outputs = loader.map_or_else(
            || json!([{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]),
            |((_, outputs), _)| outputs,
        );
        let size: usize = self.flavors.iter().map(|flavor| flavor.file().bytes.len()).sum();
        json!({
            "artifact_path": MODEL_FOLDER,
            "run_id": run_id,
            "model_uuid": model_uuid,
            "mlflow_version": "2.9.2",
            "utc_time_created": created_at.format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
            "model_size_bytes": size,
            "flavors": flavors,
            "metadata": {"note": FEATURES_NOTE, "features": self.features},
            // The signature's parts are JSON texts inside the document.
            "signature": {
                "inputs": Value::from(inputs).to_string(), "outputs": outputs.to_string(), "params": null,
            },
            "saved_input_example_info": {
                "artifact_path": "input_example.json", "pandas_orient": "split", "type": "dataframe",
            },
        })
    }

    /// All files of the folder, with paths in the run; `MLmodel` last, so that a folder that
    /// has one is complete.
    #[must_use]
    pub fn files(&self, mlmodel: &Value) -> Vec<ArtifactFile> {
        let requirements = self.requirements();
        let columns: Vec<_> = self.features.iter().map(|feature| feature.name.as_str()).collect();
        let example = json!({"columns": columns, "data": [self.input_example]});
        let schema = json!({"format_version": 1, "features": self.features});
        let mut files: Vec<_> = self.flavors.iter().map(Flavor::file).collect();
        files.extend([
            ArtifactFile::new("features.json", format!("{schema:#}")),
            ArtifactFile::new("input_example.json", example.to_string()),
            ArtifactFile::new("requirements.txt", requirements.join("\n") + "\n"),
            ArtifactFile::new("conda.yaml", conda(&requirements)),
            ArtifactFile::new("python_env.yaml", python_env()),
            ArtifactFile::new("MLmodel", format!("{mlmodel:#}")),
        ]);
        for file in &mut files {
            file.path = format!("{MODEL_FOLDER}/{}", file.path);
        }
        files
    }

    fn requirements(&self) -> Vec<String> {
        let common = ["mlflow>=2.9.2", "numpy", "pandas"].map(str::to_owned);
        common.into_iter().chain(self.flavors.iter().flat_map(Flavor::requirements)).collect()
    }
}

fn conda(requirements: &[String]) -> String {
    let lines: String = requirements.iter().map(|line| format!("  - {line}\n")).collect();
    format!(
        "channels:\n- conda-forge\ndependencies:\n- python={PYTHON}\n- pip\n- pip:\n{lines}name: mlflow-env\n"
    )
}

fn python_env() -> String {
    format!(
        "python: {PYTHON}\nbuild_dependencies:\n- pip\n- setuptools\n- wheel\n\
         dependencies:\n- -r requirements.txt\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(flavors: Vec<Flavor>) -> ModelFolder {
        let size = Feature { name: "size".into(), kind: FeatureKind::Numeric };
        let categories = vec!["flat".into(), "house".into()];
        let kind = Feature { name: "kind".into(), kind: FeatureKind::Categorical { categories } };
        ModelFolder { features: vec![size, kind], flavors, input_example: vec![f64::NAN, 1.0] }
    }

    #[test]
    fn a_folder_of_our_own_format_claims_no_python_loader() {
        let native = Flavor::Native { model: Bytes::from_static(b"trees"), family: "random_forest" };
        let folder = folder(vec![native]);
        let mlmodel = folder.mlmodel("r", "u", DateTime::UNIX_EPOCH);
        let flavors: Vec<_> = mlmodel["flavors"].as_object().expect("a map").keys().collect();
        assert_eq!(flavors, ["binah"]);
        assert_eq!(mlmodel["utc_time_created"], "1970-01-01 00:00:00.000000");
        let files = folder.files(&mlmodel);
        assert_eq!(files.last().map(|file| file.path.as_str()), Some("model/MLmodel"));
        let text = |path: &str| {
            let file = files.iter().find(|file| file.path == path).expect("is there");
            String::from_utf8(file.bytes.to_vec()).expect("is text")
        };
        assert_eq!(text("model/input_example.json"), r#"{"columns":["size","kind"],"data":[[null,1.0]]}"#);
        let schema: Value = serde_json::from_str(&text("model/features.json")).expect("is JSON");
        assert_eq!(
            schema["features"],
            json!([{"name": "size", "kind": "numeric"},
                   {"name": "kind", "kind": "categorical", "categories": ["flat", "house"]}])
        );
    }

    #[test]
    fn the_first_flavor_with_a_loader_is_what_pyfunc_uses() {
        let bytes = Bytes::from_static(b"x");
        let outputs = &[("label", "long"), ("probability_1", "double")];
        let folder =
            folder(vec![Flavor::Sklearn { pickle: bytes.clone() }, Flavor::Onnx { model: bytes, outputs }]);
        let mlmodel = folder.mlmodel("r", "u", DateTime::UNIX_EPOCH);
        let pyfunc = &mlmodel["flavors"]["python_function"];
        assert_eq!(
            (&pyfunc["loader_module"], &pyfunc["data"]),
            (&json!("mlflow.onnx"), &json!("model.onnx"))
        );
        let outputs: Value =
            serde_json::from_str(mlmodel["signature"]["outputs"].as_str().expect("a text")).expect("JSON");
        assert_eq!(outputs[1], json!({"type": "double", "name": "probability_1"}));
        assert_eq!(mlmodel["metadata"]["features"][1]["categories"], json!(["flat", "house"]));
        assert_eq!(mlmodel["model_size_bytes"], 2);
    }
}
