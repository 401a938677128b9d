//! What the caller learns of a failure of the server: a sentence of ours, chosen by SQLSTATE.

use std::time::Duration;

use super::Refusal;

/// The refusal for a SQLSTATE. Source: PostgreSQL's documentation, appendix A.
pub(super) fn refusal(sqlstate: &str, timeout: Duration) -> Refusal {
    let (kind, message) = match sqlstate {
        "57014" => {
            let message = format!("The query took longer than {} s", timeout.as_secs_f64());
            return Refusal::whole("query_timeout", message);
        }
        "22012" => ("query_value", "The query divides by zero"),
        "22003" => ("query_value", "A number is out of range"),
        "22P02" | "22007" | "22008" | "22018" => {
            ("query_value", "A text is no value of the type that it is used as")
        }
        "2201B" => ("query_value", "A regular expression is malformed"),
        "2201E" | "2201F" | "2201G" => {
            ("query_value", "A logarithm, power or width_bucket has an argument that it is not defined for")
        }
        "21000" => ("query_value", "A sub-select in an expression gives more than one row"),
        "42883" => ("query_type", "A function or operator does not take arguments of these types"),
        "42804" | "42846" | "42P18" | "42P22" => ("query_type", "The types of two parts do not fit together"),
        "42703" | "42P10" => ("query_column", "A column is not where the query looks for it"),
        "42P01" | "42P09" => ("query_relation", "A table or alias is not where the query looks for it"),
        "42702" | "42712" | "42725" => ("query_column", "A name may mean two things; write alias.column"),
        "42803" | "42P20" => (
            "query_grouping",
            "A column must stand in GROUP BY or in an aggregate, or an aggregate stands in the wrong place",
        ),
        "42601" | "42611" => ("query_syntax", "Postgres cannot read the query"),
        "42501" => ("query_not_allowed", "The query reads what it may not"),
        "25006" => ("query_not_allowed", "The query would change data"),
        "55P03" => ("query_timeout", "A table was locked for too long"),
        code => match code.get(..2) {
            Some("22") => ("query_value", "A value does not fit the function that it is given to"),
            Some("42") => ("query_syntax", "Postgres cannot read the query"),
            Some("53" | "54") => ("query_too_large", "The query needs more memory or disk than it may take"),
            Some("0A") => ("query_not_allowed", "Postgres does not support this combination"),
            _ => ("query_failed", "The query failed"),
        },
    };
    Refusal::whole(kind, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_sentence() {
        let kind = |code| refusal(code, Duration::from_secs(1)).kind;
        assert_eq!(kind("22012"), "query_value");
        assert_eq!(kind("22P99"), "query_value");
        assert_eq!(kind("53200"), "query_too_large");
        assert_eq!(kind("57014"), "query_timeout");
        assert_eq!(kind("XX000"), "query_failed");
        assert_eq!(kind(""), "query_failed");
    }
}
