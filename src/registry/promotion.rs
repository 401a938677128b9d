//! Decisions about the champion: made by a training or an administrator, kept for ever.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, FromRow, query, query_as};
use uuid::Uuid;

use super::alias::{self, CHALLENGER, CHAMPION};
use crate::{
    Result,
    catalog::ModelType,
    storage::{TenantTransaction, storable_text},
};

/// Most decisions of a version that are shown.
const SHOWN: i64 = 50;

/// What was decided about a version, and on what grounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Whether it becomes the champion.
    pub promoted: bool,
    /// Stable name of the grounds: `first`, `better`, `not_better`, `not_comparable`, ...
    pub decision: &'static str,
    /// The grounds for a person.
    pub reason: String,
    /// The champion that it was held against; `None` if there is none.
    pub champion: Option<Uuid>,
    /// That one's version.
    pub champion_version: Option<i32>,
    /// The numbers that were compared.
    pub score: Option<Score>,
    /// Share by which the error has to shrink.
    pub margin: f64,
}

impl Verdict {
    /// The version that stays the champion; `None` if the new one is served from now on.
    #[must_use]
    pub fn kept_champion(&self) -> Option<i32> {
        self.champion_version.filter(|_| !self.promoted)
    }
}

/// One metric of two models on the same held-out rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The metric's name.
    pub metric: &'static str,
    /// Of the new version.
    pub value: f64,
    /// Of the champion.
    pub champion_value: f64,
}

/// A decision as it is kept.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Promotion {
    /// The version that was decided about.
    pub model_id: Uuid,
    /// The champion until then.
    pub champion_id: Option<Uuid>,
    /// That one's version, if it is still known.
    pub champion_version: Option<i32>,
    /// As [`Verdict::decision`], or `set` or `rollback`.
    pub decision: String,
    /// Whether the version was champion from then on.
    pub promoted: bool,
    /// For a person.
    pub reason: String,
    /// What was compared.
    pub metric: Option<String>,
    /// The version's number.
    pub value: Option<f64>,
    /// The champion's number.
    pub champion_value: Option<f64>,
    /// Share by which the error had to shrink.
    pub margin: Option<f64>,
    /// User id; `None`: by a training.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: DateTime<Utc>,
}

/// Keeps a verdict and moves the aliases by it.
pub(super) async fn apply(
    transaction: &mut TenantTransaction,
    model_type: ModelType,
    model_id: Uuid,
    verdict: &Verdict,
    decided_by: Option<&str>,
) -> Result<()> {
    if verdict.promoted {
        alias::clear(transaction, model_type, model_id, Some(CHALLENGER), decided_by).await?;
        alias::set(transaction, model_type, CHAMPION, Some(model_id), decided_by).await?;
    } else {
        // Without a row the newest version would be the champion, which is the one that lost.
        alias::set(transaction, model_type, CHAMPION, verdict.champion, decided_by).await?;
        alias::set(transaction, model_type, CHALLENGER, Some(model_id), decided_by).await?;
    }
    let score = verdict.score;
    query(
        "INSERT INTO model_promotions (tenant_id, model_type, model_id, champion_id, decision, promoted, reason,
             metric, value, champion_value, margin, decided_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(transaction.tenant().uuid())
    .bind(model_type.name)
    .bind(model_id)
    .bind(verdict.champion)
    .bind(verdict.decision)
    .bind(verdict.promoted)
    .bind(&*storable_text(&verdict.reason))
    .bind(score.map(|score| score.metric))
    .bind(score.map(|score| score.value))
    .bind(score.map(|score| score.champion_value))
    .bind(score.map(|_| verdict.margin))
    .bind(decided_by.map(storable_text).as_deref())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

const COLUMNS: &str =
    "p.model_id, p.champion_id, c.version AS champion_version, p.decision, p.promoted, p.reason,
    p.metric, p.value, p.champion_value, p.margin, p.decided_by, p.decided_at";

/// Decisions about one version, newest first.
pub(super) async fn of_model(
    transaction: &mut TenantTransaction,
    model_type: ModelType,
    model_id: Uuid,
) -> Result<Vec<Promotion>> {
    let statement = format!(
        "SELECT {COLUMNS} FROM model_promotions p
           LEFT JOIN ml_models c ON c.id = p.champion_id AND c.tenant_id = p.tenant_id
          WHERE p.tenant_id = $1 AND p.model_type = $2 AND p.model_id = $3 ORDER BY p.id DESC LIMIT {SHOWN}"
    );
    let promotions = query_as(AssertSqlSafe(statement))
        .bind(transaction.tenant().uuid())
        .bind(model_type.name)
        .bind(model_id)
        .fetch_all(&mut **transaction)
        .await?;
    Ok(promotions)
}

/// The champion before `champion`, by the history and still ready. Rollbacks themselves do not count:
/// the second one goes one further back.
pub(super) async fn champion_before(
    transaction: &mut TenantTransaction,
    model_type: ModelType,
    champion: Uuid,
) -> Result<Option<Uuid>> {
    let steps: Vec<(Uuid, Option<Uuid>, bool)> = query_as(
        "SELECT p.model_id, p.champion_id,
                coalesce(c.status = 'ready' AND c.artifacts IS NOT NULL AND c.version IS NOT NULL, false)
           FROM model_promotions p
           LEFT JOIN ml_models c
             ON c.id = p.champion_id AND c.tenant_id = p.tenant_id AND c.model_type = p.model_type
          WHERE p.tenant_id = $1 AND p.model_type = $2 AND p.promoted AND p.decision <> 'rollback'
          ORDER BY p.id DESC",
    )
    .bind(transaction.tenant().uuid())
    .bind(model_type.name)
    .fetch_all(&mut **transaction)
    .await?;
    let mut current = champion;
    for (model_id, before, is_ready) in steps {
        if model_id != current {
            continue;
        }
        match before {
            Some(before) if is_ready && before != champion => return Ok(Some(before)),
            Some(before) => current = before,
            None => return Ok(None),
        }
    }
    Ok(None)
}
