//! What a query may name, and how large it may be.

use crate::{
    catalog,
    storage::imported_tables::{self, ImportedTable},
};

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
    /// What a query calls it.
    pub name: String,
    /// Its name in the database, which a query cannot use if it is another one.
    pub table: String,
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
    /// Schema and name in the database of every relation.
    #[must_use]
    pub fn tables(&self) -> Vec<(&str, &str)> {
        self.relations.iter().map(|relation| (relation.schema.as_str(), relation.table.as_str())).collect()
    }

    /// The policy with a tenant's own tables besides.
    #[must_use]
    pub fn with_imported(mut self, tables: impl IntoIterator<Item = ImportedTable>) -> Self {
        self.relations.extend(tables.into_iter().map(|table| {
            let own = ["tenant_id", imported_tables::ROW_NUMBER].map(str::to_owned);
            let columns = table.columns.into_iter().map(|column| column.name);
            Relation {
                schema: imported_tables::SCHEMA.to_owned(),
                name: table.name,
                table: table.physical_name,
                columns: own.into_iter().chain(columns).collect(),
            }
        }));
        self
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
                table: model_type.table.into(),
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
