//! Names that move between the versions of a type: `champion`, `challenger`, and what a tenant adds.

use sqlx::{FromRow, query, query_as};
use uuid::Uuid;

use crate::{
    Result,
    catalog::ModelType,
    storage::{TenantTransaction, storable_text},
};

/// Alias of the version that answers predictions which name none.
pub const CHAMPION: &str = "champion";
/// Alias of the version that was last trained and not promoted.
pub const CHALLENGER: &str = "challenger";

/// Longest alias in characters; MLflow takes 255.
const MAX_CHARS: usize = 64;

/// A name that MLflow and a URL can carry and that is no version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias(String);

impl Alias {
    /// What [`parse`](Self::parse) takes, for messages.
    pub const RULE: &str = "1 to 64 of a-z, 0-9, _ and -, a letter first; not 'latest', not 'v1'";

    /// `None` unless the text keeps to [`RULE`](Self::RULE).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        let is_version = text.strip_prefix('v').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
        let fits = text.len() <= MAX_CHARS
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(plain);
        (fits && text != "latest" && (!is_version || text == "v")).then(|| Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `champion`.
    #[must_use]
    pub fn is_champion(&self) -> bool {
        self.0 == CHAMPION
    }
}

impl std::fmt::Display for Alias {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an alias points.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct AliasTarget {
    /// Name of the model type.
    pub model_type: String,
    /// The alias.
    pub alias: String,
    /// Row in `ml_models`.
    pub model_id: Uuid,
}

/// Aliases of ready versions by model type and name, of one type or of all. Each type that has a
/// ready version has a champion here, whether a row says so or not.
pub(super) async fn all(
    transaction: &mut TenantTransaction,
    model_type: Option<ModelType>,
) -> Result<Vec<AliasTarget>> {
    let targets = query_as(
        "WITH ready AS (
             SELECT id, model_type, version FROM ml_models
              WHERE tenant_id = $1 AND ($2::text IS NULL OR model_type = $2)
                AND artifacts IS NOT NULL AND version IS NOT NULL AND status = 'ready'),
         named AS (
             SELECT a.model_type, a.alias, a.model_id
               FROM model_aliases a JOIN ready r ON r.id = a.model_id AND r.model_type = a.model_type
              WHERE a.tenant_id = $1),
         newest AS (
             SELECT DISTINCT ON (model_type) model_type, id FROM ready ORDER BY model_type, version DESC)
         SELECT model_type, alias, model_id FROM named
         UNION ALL
         SELECT n.model_type, 'champion', n.id FROM newest n
          WHERE NOT EXISTS (SELECT FROM named WHERE named.model_type = n.model_type AND alias = 'champion')
         ORDER BY 1, 2",
    )
    .bind(transaction.tenant().uuid())
    .bind(model_type.map(|model_type| model_type.name))
    .fetch_all(&mut **transaction)
    .await?;
    Ok(targets)
}

/// Points an alias to a version, or to none. Where it points there already, who set it stays.
pub(super) async fn set(
    transaction: &mut TenantTransaction,
    model_type: ModelType,
    alias: &str,
    model_id: Option<Uuid>,
    set_by: Option<&str>,
) -> Result<()> {
    query(
        "INSERT INTO model_aliases (tenant_id, model_type, alias, model_id, set_by) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, model_type, alias)
         DO UPDATE SET model_id = excluded.model_id, set_by = excluded.set_by, set_at = now()
          WHERE model_aliases.model_id IS DISTINCT FROM excluded.model_id",
    )
    .bind(transaction.tenant().uuid())
    .bind(model_type.name)
    .bind(alias)
    .bind(model_id)
    .bind(set_by.map(storable_text).as_deref())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Takes the aliases of a version away: all, or `only` that one.
pub(super) async fn clear(
    transaction: &mut TenantTransaction,
    model_type: ModelType,
    model_id: Uuid,
    only: Option<&str>,
    set_by: Option<&str>,
) -> Result<()> {
    query(
        "UPDATE model_aliases SET model_id = NULL, set_by = $4, set_at = now()
          WHERE tenant_id = $1 AND model_type = $2 AND model_id = $3 AND ($5::text IS NULL OR alias = $5)",
    )
    .bind(transaction.tenant().uuid())
    .bind(model_type.name)
    .bind(model_id)
    .bind(set_by.map(storable_text).as_deref())
    .bind(only)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Serialises what changes the versions and aliases of a type. The lock lasts until the transaction
/// ends; others wait for it.
pub(super) async fn lock(transaction: &mut TenantTransaction, model_type: ModelType) -> Result<()> {
    query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(format!("ml_models/{}/{model_type}", transaction.tenant()))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_never_a_version_and_fits_mlflow() {
        for good in ["champion", "challenger", "prod-2", "v", "v1b", "shadow_eu"] {
            assert!(Alias::parse(good).is_some(), "{good}");
        }
        let long = "a".repeat(65);
        for bad in ["", "latest", "v1", "v12", "1", "Prod", "a b", "a.b", "ä", "a\0", "-a", long.as_str()] {
            assert_eq!(Alias::parse(bad), None, "{bad:?}");
        }
    }
}
