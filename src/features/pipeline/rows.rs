//! Cells and rows: what counts as missing, and which rows are usable.

use std::collections::HashMap;

use crate::{
    catalog::ModelType,
    features::{
        ColumnValues, FeatureTable,
        schema::{category_of_text, numbered},
        table::MISSING,
    },
};

/// Names as a request would spell them, whatever the source: without spaces around, a number that
/// stands for a name as that name. Names that become one are one category; an empty name is missing.
pub(super) fn clean_categories(table: &mut FeatureTable, model_type: ModelType) {
    for column in &mut table.columns {
        let ColumnValues::Categorical { labels, codes } = &mut column.values else { continue };
        let numbered = numbered(model_type, &column.name);
        let clean: Vec<String> = labels.iter().map(|label| category_of_text(label, &numbered)).collect();
        if clean == *labels && !labels.iter().any(String::is_empty) {
            continue;
        }
        labels.clear();
        let mut position = HashMap::new();
        let recoded: Vec<u32> = clean
            .into_iter()
            .map(|label| {
                if label.is_empty() {
                    return MISSING;
                }
                *position.entry(label).or_insert_with_key(|label: &String| {
                    labels.push(label.clone());
                    labels.len() as u32 - 1
                })
            })
            .collect();
        for code in codes.iter_mut().filter(|code| **code != MISSING) {
            *code = recoded[*code as usize];
        }
    }
}

/// Makes infinite features missing: no tree can split on them, and libxgboost refuses them.
pub(super) fn blank_infinite(table: &mut FeatureTable) -> Vec<String> {
    let mut warnings = vec![];
    for column in &mut table.columns {
        let ColumnValues::Numeric(values) = &mut column.values else { continue };
        let mut blanked = 0;
        for value in values.iter_mut().filter(|value| value.is_infinite()) {
            *value = f32::NAN;
            blanked += 1;
        }
        if blanked > 0 {
            let name = &column.name;
            warnings.push(format!(
                "{blanked} values of '{name}' are infinite or too large; they count as missing"
            ));
        }
    }
    warnings
}

/// Drops rows that have no target or no feature.
pub(super) fn retain_usable(table: &mut FeatureTable) {
    let is_usable = |row: usize| {
        table.target.get(row).is_none_or(|target| !target.is_nan())
            && table.columns.iter().any(|column| match &column.values {
                ColumnValues::Numeric(values) => !values[row].is_nan(),
                ColumnValues::Categorical { codes, .. } => codes[row] != MISSING,
            })
    };
    let usable: Vec<bool> = (0..table.n_rows).map(is_usable).collect();
    if usable.iter().all(|&keep| keep) {
        return;
    }
    for column in &mut table.columns {
        match &mut column.values {
            ColumnValues::Numeric(values) => keep(values, &usable),
            ColumnValues::Categorical { codes, .. } => keep(codes, &usable),
        }
    }
    keep(&mut table.target, &usable);
    keep(&mut table.observed_at, &usable);
    table.n_rows = usable.iter().filter(|&&keep| keep).count();
}

fn keep<T>(values: &mut Vec<T>, usable: &[bool]) {
    let mut flags = usable.iter();
    values.retain(|_| flags.next().copied().unwrap_or(false));
}
