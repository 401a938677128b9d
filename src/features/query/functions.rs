//! The functions that a query may call. Everything else is refused.
//!
//! Left out on purpose: whatever executes text (`query_to_xml`, `ts_stat`), reads or changes the session or
//! the server (`current_setting`, `pg_*`), returns a set (`generate_series`, `unnest`), grows its
//! argument without bound (`repeat`, `lpad`, `string_agg`, `array_agg`), takes long without
//! looking at the clock (`factorial`), or gives another result every time (`random`).

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A value from values.
    Scalar,
    /// As [`Scalar`](Self::Scalar), but part of the grammar: it stands without a schema.
    Special,
    /// Part of the grammar and written without parentheses.
    Word,
    /// A value from rows; also with OVER.
    Aggregate,
    /// An aggregate with WITHIN GROUP.
    OrderedSet,
    /// Only with OVER.
    Window,
}

const SPECIAL: &[&str] = &["coalesce", "nullif", "greatest", "least", "grouping"];

const WORDS: &[&str] = &["current_date", "current_timestamp", "localtimestamp"];

const SCALAR: &[&str] = &[
    // Arithmetic.
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "ceiling",
    "cos",
    "cosh",
    "degrees",
    "div",
    "exp",
    "floor",
    "ln",
    "log",
    "log10",
    "mod",
    "pi",
    "pow",
    "power",
    "radians",
    "round",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    "width_bucket",
    // Text.
    "ascii",
    "btrim",
    "char_length",
    "character_length",
    "concat",
    "concat_ws",
    "initcap",
    "left",
    "length",
    "lower",
    "ltrim",
    "md5",
    "octet_length",
    "position",
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "regexp_replace",
    "regexp_substr",
    "replace",
    "reverse",
    "right",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "substring",
    "translate",
    "upper",
    // Time.
    "age",
    "date_bin",
    "date_part",
    "date_trunc",
    "isfinite",
    "make_date",
    "make_timestamp",
    "now",
    "to_char",
    "to_date",
    "to_number",
    "to_timestamp",
    // JSON.
    "json_array_length",
    "json_extract_path_text",
    "json_typeof",
    "jsonb_array_length",
    "jsonb_extract_path_text",
    "jsonb_typeof",
    // Missing values.
    "num_nonnulls",
    "num_nulls",
];

const AGGREGATE: &[&str] = &[
    "avg",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "every",
    "max",
    "min",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "sum",
    "var_pop",
    "var_samp",
    "variance",
];

const ORDERED_SET: &[&str] = &["mode", "percentile_cont", "percentile_disc"];

const WINDOW: &[&str] = &[
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

const KINDS: [(Kind, &[&str]); 6] = [
    (Kind::Scalar, SCALAR),
    (Kind::Special, SPECIAL),
    (Kind::Word, WORDS),
    (Kind::Aggregate, AGGREGATE),
    (Kind::OrderedSet, ORDERED_SET),
    (Kind::Window, WINDOW),
];

/// How the function of that name (lower case) is called; `None` if it is not allowed.
pub(super) fn kind(name: &str) -> Option<Kind> {
    KINDS.iter().find(|(_, names)| names.contains(&name)).map(|(kind, _)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_one_kind_and_of_a_plain_shape() {
        let names: Vec<&str> = KINDS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        for (i, name) in names.iter().enumerate() {
            assert!(!names[..i].contains(name), "{name} stands twice");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
            assert!(!name.starts_with("pg_") && !name.contains("xml") && !name.starts_with("lo_"), "{name}");
        }
    }
}
