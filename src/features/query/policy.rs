//! What a query may name, and how large it may be.

use crate::catalog;

/// The relations that a query may read, and its limits.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// The relations. Each has row-level security for the login of the queries.
    pub relations: Vec<Relation>,
    /// The limits.
    pub limits: Limits,
}

/// A table that a query may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The columns that a query may name.
    pub columns: Vec<String>,
}

/// How large a query may be. What is larger is refused before anything else happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the text.
    pub bytes: usize,
    /// Words, numbers and signs.
    pub tokens: usize,
    /// Parentheses and CASE within one another.
    pub depth: usize,
    /// Relations and sub-selects in FROM, all together.
    pub relations: usize,
}

impl Default for Limits {
    /// 32 KiB, 6,000 tokens, 24 levels, 24 relations.
    fn default() -> Self {
        Self { bytes: 32 * 1024, tokens: 6_000, depth: 24, relations: 24 }
    }
}

impl Policy {
    /// Schema and name of every relation.
    #[must_use]
    pub fn tables(&self) -> Vec<(&str, &str)> {
        self.relations.iter().map(|relation| (relation.schema.as_str(), relation.name.as_str())).collect()
    }

    /// The record tables of the catalog.
    #[must_use]
    pub fn records() -> Self {
        let relations = catalog::ModelType::all().map(|model_type| {
            let own = ["tenant_id", "id", "entity_id", "observed_at"];
            let features = model_type.features.iter().map(|feature| feature.name);
            let columns = own.into_iter().chain(features).chain(model_type.target.map(|target| target.name));
            Relation {
                schema: "public".into(),
                name: model_type.table.into(),
                columns: columns.map(Into::into).collect(),
            }
        });
        Self { relations: relations.collect(), limits: Limits::default() }
    }

    /// The relation that `name` means: in any listed schema if none is given, `public` first.
    pub(super) fn relation(&self, schema: Option<&str>, name: &str) -> Option<&Relation> {
        let mut named = self.relations.iter().filter(|relation| relation.name == name);
        match schema {
            Some(schema) => named.find(|relation| relation.schema == schema),
            None => {
                let named: Vec<_> = named.collect();
                named.iter().find(|relation| relation.schema == "public").or(named.first()).copied()
            }
        }
    }
}
