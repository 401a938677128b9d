//! Which column of a result is what.

use super::Refusal;
use crate::{
    catalog::{FeatureKindSpec, ModelType},
    features::{
        postgres::{
            columns::{ColumnPlan, Role},
            wire::WireType,
        },
        schema::numbered,
    },
    storage::{ResultColumn, imported_tables::ROW_NUMBER},
};

/// Columns that describe a row, or only number it.
const NOT_FEATURES: [&str; 4] = ["tenant_id", "entity_id", "id", ROW_NUMBER];
/// When the row was observed.
const TIME: &str = "observed_at";
/// The target, if the catalog's name is not there.
const TARGET: &str = "target";
/// Most columns of a result.
const MAX_COLUMNS: usize = 1_000;
/// Most characters of a category's name.
pub(super) const MAX_TEXT: usize = 255;

/// What is read of a result.
#[derive(Debug)]
pub(super) struct ResultPlan {
    /// The columns that are read.
    pub(super) columns: Vec<ColumnPlan>,
    /// Their positions in the result.
    positions: Vec<usize>,
    /// How many columns the result has.
    width: usize,
    /// The columns that are not read.
    pub(super) skipped: Vec<String>,
}

/// Decides by name and type.
///
/// # Errors
/// A column without a name, twice the same name, a type that is no feature, no feature at all.
pub(super) fn plan(described: &[ResultColumn], model_type: ModelType) -> Result<ResultPlan, Refusal> {
    let catalog_target = model_type.target.map(|target| target.name);
    let has = |name: &str| described.iter().any(|column| column.name == name);
    let target = catalog_target.map(|name| if has(name) { name } else { TARGET });
    let mut plan = ResultPlan { columns: vec![], positions: vec![], width: described.len(), skipped: vec![] };
    if described.len() > MAX_COLUMNS {
        let message = format!("The result has more than {MAX_COLUMNS} columns");
        return Err(Refusal::whole("query_result_too_large", message));
    }
    for (position, ResultColumn { name, sql_type }) in described.iter().enumerate() {
        if name == "?column?" {
            let message = format!("Column {} of the result has no name; write AS name", position + 1);
            return Err(Refusal::whole("query_column", message));
        }
        if described[..position].iter().any(|column| column.name == *name) {
            let message = format!("The result has two columns '{name}'; rename one with AS");
            return Err(Refusal::whole("query_column", message));
        }
        if NOT_FEATURES.contains(&name.as_str()) {
            plan.skipped.push(name.clone());
            continue;
        }
        let Some(wire) = WireType::of(sql_type) else { return Err(no_feature(name, sql_type)) };
        let role = match wire {
            WireType::Timestamp | WireType::Date if name == TIME => Role::Time,
            _ if name == TIME => return Err(wrong_type(name, "must be a date or a timestamp")),
            WireType::Text if Some(name.as_str()) == target => {
                return Err(wrong_type(name, "is the target and must be a number; write CASE WHEN ... END"));
            }
            _ if Some(name.as_str()) == target => Role::Target,
            _ => feature(name, wire, model_type),
        };
        plan.columns.push(ColumnPlan { name: name.clone(), wire, role });
        plan.positions.push(position);
    }
    if let Some(target) = catalog_target
        && !plan.columns.iter().any(|column| column.role == Role::Target)
    {
        let message = format!("The result needs a column '{target}' or '{TARGET}', which the model learns");
        return Err(Refusal::whole("query_target", message));
    }
    if !plan.columns.iter().any(|column| matches!(column.role, Role::Number | Role::Category(_))) {
        return Err(Refusal::whole("query_column", "The result has no column that is a feature"));
    }
    Ok(plan)
}

fn feature(name: &str, wire: WireType, model_type: ModelType) -> Role {
    let catalog = model_type.features.iter().find(|feature| feature.name == name).map(|feature| feature.kind);
    match (catalog, wire) {
        (Some(FeatureKindSpec::Categorical { .. }), WireType::Timestamp | WireType::Date) => Role::Number,
        (Some(FeatureKindSpec::Categorical { .. }), _) | (_, WireType::Text) => {
            Role::Category(numbered(model_type, name))
        }
        _ => Role::Number,
    }
}

fn no_feature(name: &str, sql_type: &str) -> Refusal {
    let sql_type = sql_type.to_lowercase();
    let hint = match sql_type.as_str() {
        "interval" => "; write EXTRACT(epoch FROM ...)",
        "json" | "jsonb" => "; take a value out with ->> and cast it",
        "uuid" => "; cast it to text",
        _ => "",
    };
    wrong_type(name, &format!("has the type {sql_type}, which is no feature{hint}"))
}

fn wrong_type(name: &str, what: &str) -> Refusal {
    Refusal::whole("query_type", format!("The column '{name}' {what}"))
}

impl ResultPlan {
    /// The query around `sql` that sends what is read: texts cut so that no value is large. Its
    /// columns are known by position, whatever their names.
    pub(super) fn select(&self, sql: &str, limit: usize) -> String {
        let names: Vec<String> = (0..self.width).map(|position| format!("c{position}")).collect();
        let read = self.columns.iter().zip(&self.positions).map(|(column, &position)| match column.wire {
            WireType::Text => format!("pg_catalog.left(c{position}::pg_catalog.text, {})", MAX_TEXT + 1),
            _ => format!("c{position}"),
        });
        let read = read.collect::<Vec<_>>().join(", ");
        let limit = limit.min(i64::MAX as usize);
        format!("SELECT {read} FROM ({sql}\n) AS result ({}) LIMIT {limit}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(model: &str, columns: &[(&str, &str)]) -> Result<ResultPlan, Refusal> {
        let columns: Vec<_> = columns
            .iter()
            .map(|(name, sql_type)| ResultColumn { name: (*name).into(), sql_type: (*sql_type).into() })
            .collect();
        plan(&columns, ModelType::parse(model).expect("a catalog type"))
    }

    #[test]
    fn roles_follow_name_and_type() {
        let plan = planned(
            "cost_forecasting",
            &[
                ("tenant_id", "UUID"),
                ("observed_at", "TIMESTAMPTZ"),
                ("property_type", "INT4"),
                ("roof", "TEXT"),
                ("built", "DATE"),
                ("total_cost", "NUMERIC"),
                ("target", "FLOAT8"),
            ],
        )
        .expect("planned");
        let roles: Vec<_> = plan.columns.iter().map(|column| &column.role).collect();
        assert!(matches!(
            roles.as_slice(),
            [Role::Time, Role::Category(numbered), Role::Category(none), Role::Number, Role::Target, Role::Number]
                if numbered.len() == 4 && none.is_empty()
        ));
        assert_eq!(plan.skipped, ["tenant_id"]);
        let select = plan.select("SELECT 1", 10);
        assert!(
            select.starts_with("SELECT c1, c2, pg_catalog.left(c3::pg_catalog.text, 256), c4"),
            "{select}"
        );
        assert!(select.ends_with("AS result (c0, c1, c2, c3, c4, c5, c6) LIMIT 10"), "{select}");
    }

    #[test]
    fn what_is_no_table_of_features_is_refused() {
        for (columns, kind) in [
            (&[("a", "FLOAT8")][..], "query_target"),
            (&[("target", "FLOAT8")], "query_column"),
            (&[("target", "FLOAT8"), ("?column?", "INT4")], "query_column"),
            (&[("target", "FLOAT8"), ("a", "INT4"), ("a", "INT4")], "query_column"),
            (&[("target", "FLOAT8"), ("a", "RECORD")], "query_type"),
            (&[("target", "TEXT"), ("a", "INT4")], "query_type"),
            (&[("target", "INT4"), ("a", "INT4"), ("observed_at", "TEXT")], "query_type"),
        ] {
            assert_eq!(planned("cost_forecasting", columns).expect_err("refused").kind, kind, "{columns:?}");
        }
        assert!(
            planned("anomaly_detection", &[("a", "INT4")]).is_ok(),
            "an unsupervised model has no target"
        );
    }
}
