//! Templates: ours in the binary, the operator's from a folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::check;
use crate::catalog::ModelType;

/// Ours, by model type.
const DEFAULTS: [(&str, &str); 4] = [
    ("cost_forecasting", include_str!("templates/cost_forecasting.cypher")),
    ("risk_assessment", include_str!("templates/risk_assessment.cypher")),
    ("roi_prediction", include_str!("templates/roi_prediction.cypher")),
    ("anomaly_detection", include_str!("templates/anomaly_detection.cypher")),
];

/// A template that must not be used.
#[derive(Debug, thiserror::Error)]
#[error("Cypher template {file}: {reason}")]
pub struct TemplateError {
    /// Its file.
    pub file: String,
    /// Why, with the line where there is one.
    pub reason: String,
}

/// A template whose text was checked.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) file: String,
    pub(super) text: String,
    /// Names of the columns, in the order of RETURN.
    pub(super) columns: Vec<String>,
    /// Whether the server called it read-only.
    verified: AtomicBool,
}

impl Template {
    /// Checks `text`.
    ///
    /// # Errors
    /// When it could touch another tenant's nodes, or lacks `entity_id`.
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, TemplateError> {
        let refuse = |reason: String| TemplateError { file: file.to_owned(), reason };
        let columns = check::columns(text).map_err(|refusal| refuse(refusal.to_string()))?;
        if !columns.iter().any(|name| name == "entity_id") {
            return Err(refuse("RETURN must have a column entity_id".into()));
        }
        Ok(Self { file: file.to_owned(), text: text.to_owned(), columns, verified: AtomicBool::new(false) })
    }

    pub(super) fn has_column(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column == name)
    }

    pub(super) fn is_verified(&self) -> bool {
        self.verified.load(Ordering::Acquire)
    }

    pub(super) fn set_verified(&self) {
        self.verified.store(true, Ordering::Release);
    }
}

/// All templates.
#[derive(Debug)]
pub(super) struct Templates {
    defaults: Vec<(&'static str, Template)>,
    named: BTreeMap<String, Template>,
}

impl Templates {
    /// Ours and the `<name>.cypher` files of `folder`.
    ///
    /// # Errors
    /// The first template that is refused, or the folder that cannot be read.
    pub(super) fn load(folder: Option<&Path>) -> Result<Self, TemplateError> {
        let defaults = DEFAULTS
            .iter()
            .map(|(name, text)| Ok((*name, Template::parse(&format!("{name}.cypher"), text)?)))
            .collect::<Result<_, TemplateError>>()?;
        let named = folder.map_or(Ok(BTreeMap::new()), from_folder)?;
        Ok(Self { defaults, named })
    }

    pub(super) fn default_of(&self, model_type: ModelType) -> &Template {
        let found = self.defaults.iter().find(|(name, _)| *name == model_type.name);
        &found.expect("a test holds DEFAULTS against the catalog").1
    }

    pub(super) fn named(&self, name: &str) -> Option<&Template> {
        self.named.get(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Template> {
        self.defaults.iter().map(|(_, template)| template).chain(self.named.values())
    }
}

fn from_folder(folder: &Path) -> Result<BTreeMap<String, Template>, TemplateError> {
    let unreadable = |path: &Path, error: std::io::Error| TemplateError {
        file: path.display().to_string(),
        reason: error.to_string(),
    };
    let mut named = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        if path.extension().is_none_or(|extension| extension != "cypher") {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        named.insert(name, Template::parse(&path.display().to_string(), &text)?);
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_type_has_a_default_with_its_features_and_target() {
        let templates = Templates::load(None).expect("ours pass the check");
        assert_eq!(DEFAULTS.len(), ModelType::all().count());
        for model_type in ModelType::all() {
            let template = templates.default_of(model_type);
            for feature in model_type.features {
                assert!(template.has_column(feature.name), "{model_type} lacks {}", feature.name);
            }
            assert!(model_type.target.is_none_or(|target| template.has_column(target.name)), "{model_type}");
        }
    }

    #[test]
    fn a_bad_file_is_named_with_its_reason() {
        let folder = tempfile::tempdir().expect("scratch folder");
        let file = folder.path().join("all.cypher");
        std::fs::write(&file, "MATCH (n:Property)\nRETURN n.entityId AS entity_id").expect("written");
        let error = Templates::load(Some(folder.path())).expect_err("no tenant");
        assert_eq!(error.file, file.display().to_string());
        assert!(error.to_string().contains("line 1: this node must carry {tenantId: $tenantId}"), "{error}");
        std::fs::write(&file, "MATCH (n:Property {tenantId: $tenantId}) RETURN n.x AS x").expect("written");
        assert!(Templates::load(Some(folder.path())).expect_err("no id").reason.contains("entity_id"));
        assert!(Templates::load(Some(&folder.path().join("absent"))).is_err());
    }
}
