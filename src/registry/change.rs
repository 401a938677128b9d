//! What administrators do to versions: aliases, rollback, deprecation.

use sqlx::query;
use uuid::Uuid;

use super::{
    Registry, Verdict,
    alias::{self, Alias},
    model::{self, ModelRecord},
    promotion,
};
use crate::{
    Error, Result,
    auth::Caller,
    catalog::ModelType,
    inference::VersionSelector,
    storage::{TenantTransaction, storable_text},
};

impl Registry {
    /// Points an alias to a version; the version.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a version that is not there, [`Error::Conflict`] for a deprecated one.
    pub async fn set_alias(
        &self,
        caller: &Caller,
        model_type: ModelType,
        alias: &Alias,
        version: &VersionSelector,
    ) -> Result<ModelRecord> {
        let mut transaction = self.changing("registry_set_alias", model_type).await?;
        let record = model::resolve(&mut transaction, model_type, version).await?;
        if record.status != "ready" {
            return Err(Error::Conflict(format!(
                "{} is {}; no alias can name it",
                record.name(),
                record.status
            )));
        }
        if alias.is_champion() {
            let reason = format!("set by {}", caller.user_id);
            crown(&mut transaction, caller, model_type, &record, "set", reason).await?;
        } else {
            let by = Some(caller.user_id.as_str());
            alias::set(&mut transaction, model_type, alias.as_str(), Some(record.id), by).await?;
        }
        transaction.commit().await?;
        Ok(record)
    }

    /// Takes an alias away.
    ///
    /// # Errors
    /// [`Error::Conflict`] for the champion: predictions need one; [`Error::NotFound`] if nothing has
    /// that alias.
    pub async fn remove_alias(&self, caller: &Caller, model_type: ModelType, alias: &Alias) -> Result<()> {
        if alias.is_champion() {
            let why = "The alias 'champion' can be moved, not taken away: predictions need it";
            return Err(Error::Conflict(why.to_owned()));
        }
        let mut transaction = self.changing("registry_remove_alias", model_type).await?;
        let taken = query(
            "UPDATE model_aliases SET model_id = NULL, set_by = $4, set_at = now()
              WHERE tenant_id = $1 AND model_type = $2 AND alias = $3 AND model_id IS NOT NULL",
        )
        .bind(transaction.tenant().uuid())
        .bind(model_type.name)
        .bind(alias.as_str())
        .bind(&*storable_text(&caller.user_id))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        match taken.rows_affected() {
            0 => Err(Error::NotFound(format!("No version of {model_type} has the alias '{alias}'"))),
            _ => Ok(()),
        }
    }

    /// Makes the champion before this one the champion again: both, that one first.
    ///
    /// # Errors
    /// [`Error::NotFound`] without a model, [`Error::Conflict`] if the history knows no earlier champion
    /// that is still ready.
    pub async fn rollback(
        &self,
        caller: &Caller,
        model_type: ModelType,
    ) -> Result<(ModelRecord, ModelRecord)> {
        let mut transaction = self.changing("registry_rollback", model_type).await?;
        let champion = model::resolve(&mut transaction, model_type, &VersionSelector::Champion).await?;
        let before = promotion::champion_before(&mut transaction, model_type, champion.id).await?;
        let nowhere =
            || Error::Conflict(format!("{} has no earlier champion to go back to", champion.name()));
        let before = by_id(&mut transaction, before.ok_or_else(nowhere)?).await?;
        let reason = format!("rolled back from {} by {}", champion.version_label(), caller.user_id);
        crown(&mut transaction, caller, model_type, &before, "rollback", reason).await?;
        transaction.commit().await?;
        Ok((before, champion))
    }

    /// Takes a version out of service: aliases and `latest` no longer find it, its number does. Done
    /// twice, it is done once.
    ///
    /// # Errors
    /// [`Error::Conflict`] for the champion, [`Error::NotFound`] for a version that is not there.
    pub async fn deprecate(
        &self,
        caller: &Caller,
        model_type: ModelType,
        version: &VersionSelector,
    ) -> Result<ModelRecord> {
        let mut transaction = self.changing("registry_deprecate", model_type).await?;
        let record = model::resolve(&mut transaction, model_type, version).await?;
        let champion = model::find(&mut transaction, model_type, &VersionSelector::Champion).await?;
        if champion.is_some_and(|champion| champion.id == record.id) {
            let name = record.name();
            return Err(Error::Conflict(format!(
                "{name} is the champion; make another version champion first"
            )));
        }
        query(
            "UPDATE ml_models SET status = 'deprecated', updated_at = now() WHERE id = $1 AND tenant_id = $2",
        )
        .bind(record.id)
        .bind(transaction.tenant().uuid())
        .execute(&mut *transaction)
        .await?;
        alias::clear(&mut transaction, model_type, record.id, None, Some(&caller.user_id)).await?;
        let record = by_id(&mut transaction, record.id).await?;
        transaction.commit().await?;
        Ok(record)
    }

    /// A transaction in which nobody else changes the versions of that type.
    async fn changing(&self, name: &'static str, model_type: ModelType) -> Result<TenantTransaction> {
        let mut transaction = self.database.tenant_transaction(name).await?;
        alias::lock(&mut transaction, model_type).await?;
        Ok(transaction)
    }
}

/// Makes a version the champion, with its line in the history; nothing if it is the champion by name.
async fn crown(
    transaction: &mut TenantTransaction,
    caller: &Caller,
    model_type: ModelType,
    record: &ModelRecord,
    decision: &'static str,
    reason: String,
) -> Result<()> {
    let champion = model::find(transaction, model_type, &VersionSelector::Champion).await?;
    if champion.as_ref().is_some_and(|champion| champion.id == record.id) {
        // It may be so only for being the newest.
        return alias::set(transaction, model_type, alias::CHAMPION, Some(record.id), Some(&caller.user_id))
            .await;
    }
    let verdict = Verdict {
        promoted: true,
        decision,
        reason,
        champion: champion.as_ref().map(|champion| champion.id),
        champion_version: champion.as_ref().map(|champion| champion.version),
        score: None,
        margin: 0.0,
    };
    promotion::apply(transaction, model_type, record.id, &verdict, Some(&caller.user_id)).await
}

async fn by_id(transaction: &mut TenantTransaction, id: Uuid) -> Result<ModelRecord> {
    model::by_id(transaction, id).await?.ok_or_else(|| Error::internal("a row just read is not there"))
}
