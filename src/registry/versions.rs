//! Versions as people look at them: pages of them, and one with all that is known of it.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, query_as, query_scalar};
use uuid::Uuid;

use super::{
    Registry,
    alias::{self, AliasTarget},
    model::{self, COLUMNS, ModelRecord, ModelRow},
    promotion::{self, Promotion},
};
use crate::{Result, catalog::ModelType, inference::VersionSelector};

/// Which versions are asked for; nothing set: all of them.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this type.
    pub model_type: Option<ModelType>,
    /// That an alias of this name points to.
    pub alias: Option<String>,
    /// In this state.
    pub state: Option<State>,
}

/// State of a version that can be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// In service.
    Ready,
    /// Answers by its number only.
    Deprecated,
}

impl State {
    /// Name in the table and the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Deprecated => "deprecated",
        }
    }
}

/// A version's place in the order of the list: model types by name, versions from the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The type.
    pub model_type: ModelType,
    /// The version.
    pub version: i32,
}

/// A version and its aliases.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// The row.
    pub record: ModelRecord,
    /// Names that point to it.
    pub aliases: Vec<String>,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// In the order of [`Position`].
    pub versions: Vec<Version>,
    /// Where the next page begins: behind this place; `None`: this is the last one.
    pub next: Option<Position>,
}

/// A version with all that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionDetail {
    /// The version.
    pub version: Version,
    /// Where its rows came from; `None` for versions before 0006.
    pub data_source: Option<String>,
    /// Decisions about it, newest first.
    pub promotions: Vec<Promotion>,
}

impl Registry {
    /// At most `limit` versions behind `after`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list(&self, filter: &Filter, after: Option<Position>, limit: usize) -> Result<Page> {
        let mut transaction = self.database.tenant_snapshot("registry_list").await?;
        let mut aliases = Aliases::new(alias::all(&mut transaction, filter.model_type).await?);
        let named = filter.alias.as_deref().map(|alias| aliases.models(alias));
        // One more than asked for tells whether there is a next page.
        let statement = format!(
            "SELECT {COLUMNS} FROM ml_models
              WHERE tenant_id = $1 AND artifacts IS NOT NULL AND version IS NOT NULL
                AND status = ANY($2) AND model_type = ANY($3) AND ($4::uuid[] IS NULL OR id = ANY($4))
                AND ($5::text IS NULL OR model_type > $5 OR (model_type = $5 AND version < $6))
              ORDER BY model_type, version DESC LIMIT $7"
        );
        let states = filter.state.map_or(vec![State::Ready, State::Deprecated], |state| vec![state]);
        let types: Vec<_> = filter.model_type.map_or_else(|| ModelType::all().collect(), |one| vec![one]);
        let rows: Vec<ModelRow> = query_as(AssertSqlSafe(statement))
            .bind(transaction.tenant().uuid())
            .bind(states.into_iter().map(State::name).collect::<Vec<_>>())
            .bind(types.into_iter().map(|model_type| model_type.name).collect::<Vec<_>>())
            .bind(named)
            .bind(after.map(|after| after.model_type.name))
            .bind(after.map(|after| after.version))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1))
            .fetch_all(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let mut records: Vec<_> = rows.into_iter().filter_map(ModelRow::into_record).collect();
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records
            .last()
            .filter(|_| more)
            .map(|last| Position { model_type: last.model_type, version: last.version });
        let versions = records.into_iter().map(|record| aliases.version(record)).collect();
        Ok(Page { versions, next })
    }

    /// One version with all that is known of it.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) if the tenant has no such version.
    pub async fn detail(&self, model_type: ModelType, version: &VersionSelector) -> Result<VersionDetail> {
        let mut transaction = self.database.tenant_snapshot("registry_detail").await?;
        let record = model::resolve(&mut transaction, model_type, version).await?;
        let mut aliases = Aliases::new(alias::all(&mut transaction, Some(model_type)).await?);
        let promotions = promotion::of_model(&mut transaction, model_type, record.id).await?;
        let data_source: Option<Option<String>> = query_scalar(
            "SELECT value FROM model_metadata WHERE tenant_id = $1 AND model_id = $2 AND key = 'data_source' LIMIT 1",
        )
        .bind(transaction.tenant().uuid())
        .bind(record.id)
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(VersionDetail { version: aliases.version(record), data_source: data_source.flatten(), promotions })
    }

    /// What MLflow is to know of the aliases of a type: each alias with the version that it points to, or
    /// none where it was taken away; and the versions named, with that of `touched`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn aliases(
        &self,
        model_type: ModelType,
        touched: Option<Uuid>,
    ) -> Result<(Vec<(String, Option<Uuid>)>, Vec<VersionDetail>)> {
        let mut transaction = self.database.tenant_snapshot("registry_aliases").await?;
        let targets = alias::all(&mut transaction, Some(model_type)).await?;
        let known: Vec<String> = query_scalar(
            "SELECT alias FROM model_aliases WHERE tenant_id = $1 AND model_type = $2 ORDER BY alias",
        )
        .bind(transaction.tenant().uuid())
        .bind(model_type.name)
        .fetch_all(&mut *transaction)
        .await?;
        let gone = known.into_iter().filter(|name| !targets.iter().any(|target| target.alias == *name));
        let pointing = targets.iter().map(|target| (target.alias.clone(), Some(target.model_id)));
        let pointers: Vec<_> = pointing.chain(gone.map(|alias| (alias, None))).collect();
        let mut ids: Vec<Uuid> = targets.iter().map(|target| target.model_id).chain(touched).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut aliases = Aliases::new(targets);
        let mut versions = vec![];
        for id in ids {
            let Some(record) = model::by_id(&mut transaction, id).await? else { continue };
            let promotions = promotion::of_model(&mut transaction, model_type, id).await?;
            versions.push(VersionDetail { version: aliases.version(record), data_source: None, promotions });
        }
        transaction.commit().await?;
        Ok((pointers, versions))
    }
}

/// Aliases by the model that they point to.
struct Aliases(HashMap<Uuid, Vec<String>>);

impl Aliases {
    fn new(targets: Vec<AliasTarget>) -> Self {
        let mut by_model: HashMap<Uuid, Vec<String>> = HashMap::new();
        for target in targets {
            by_model.entry(target.model_id).or_default().push(target.alias);
        }
        Self(by_model)
    }

    fn models(&self, alias: &str) -> Vec<Uuid> {
        let has = |names: &[String]| names.iter().any(|name| name == alias);
        self.0.iter().filter(|(_, names)| has(names)).map(|(id, _)| *id).collect()
    }

    fn version(&mut self, record: ModelRecord) -> Version {
        let mut aliases = self.0.remove(&record.id).unwrap_or_default();
        aliases.sort_unstable();
        Version { record, aliases }
    }
}
