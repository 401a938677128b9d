use uuid::Uuid;

use super::*;
use crate::features::query::Relation;

const TENANT: Uuid = Uuid::from_u128(0xaaaa_aaaa_aaaa_aaaa_aaaa_aaaa_aaaa_aaaa);

fn check(text: &str) -> Result<CheckedQuery, Refusal> {
    CheckedQuery::parse(text, &Policy::records())
}

fn written(text: &str) -> String {
    check(text).unwrap_or_else(|refusal| panic!("{text}\n{refusal}")).sql(TENANT).trim().to_owned()
}

fn refused(text: &str) -> Refusal {
    match check(text) {
        Err(refusal) => refusal,
        Ok(checked) => panic!("passed: {text}\n{}", checked.sql(TENANT)),
    }
}

#[test]
fn what_a_data_scientist_writes_passes() {
    for text in [
        "SELECT * FROM cost_records",
        "select year, total_cost from cost_records where tenant_id = 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa';",
        "SELECT year AS y, total_cost / NULLIF(num_units, 0) AS per_unit FROM cost_records WHERE tenant_id = :tenant_id",
        "SELECT c.*, r.roi FROM public.cost_records c LEFT JOIN roi_records AS r USING (entity_id)",
        "SELECT a.year, b.year AS y2 FROM cost_records a JOIN cost_records b ON a.entity_id = b.entity_id AND a.year < b.year",
        "WITH m AS (SELECT property_type, avg(total_cost) AS mean FROM cost_records GROUP BY property_type) \
         SELECT c.year, m.mean, c.total_cost - m.mean AS target FROM cost_records c JOIN m ON m.property_type = c.property_type",
        "SELECT year, count(*) AS n, count(DISTINCT entity_id) AS e, sum(total_cost) FILTER (WHERE num_units > 3) AS big \
         FROM cost_records GROUP BY year HAVING count(*) > 1 ORDER BY 2 DESC NULLS LAST LIMIT 10 OFFSET 2",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total_cost) AS median FROM cost_records",
        "SELECT lag(total_cost, 1) OVER (PARTITION BY entity_id ORDER BY observed_at) AS before, \
                avg(total_cost) OVER w AS mean FROM cost_records \
         WINDOW w AS (ORDER BY id ROWS BETWEEN 3 PRECEDING AND CURRENT ROW)",
        "SELECT property_type, year, sum(total_cost) AS s FROM cost_records GROUP BY GROUPING SETS ((property_type), (year), ())",
        "SELECT property_type, sum(total_cost) AS s FROM cost_records GROUP BY ROLLUP (property_type)",
        "SELECT CASE WHEN year > 2000 THEN 1 ELSE 0 END AS target, coalesce(num_units, 0) AS u FROM cost_records",
        "SELECT EXTRACT(year FROM observed_at) AS y, date_trunc('month', observed_at) AS m, \
                age(now(), observed_at) AS a, to_char(observed_at, 'YYYY') AS t FROM cost_records",
        "SELECT year FROM cost_records UNION ALL (SELECT property_age FROM risk_records EXCEPT SELECT 3) ORDER BY 1",
        "SELECT DISTINCT ON (entity_id) entity_id, year FROM cost_records ORDER BY entity_id, observed_at DESC",
        "SELECT year::float8 AS y, CAST(num_units AS numeric(10, 2)) AS u FROM cost_records WHERE property_type ILIKE 'com%'",
        "SELECT year FROM cost_records WHERE year BETWEEN 1990 AND 2000 OR year IN (1, 2) OR year = ANY(ARRAY[3, 4]) \
            OR EXISTS (SELECT 1 FROM risk_records r WHERE r.entity_id = cost_records.entity_id) \
            OR property_type ~ '^com' OR NOT property_type SIMILAR TO 'x%' OR year IS DISTINCT FROM 5",
        "SELECT greatest(year, 3) AS g, substring(property_type from 1 for 3) AS p, trim(property_type) AS t, \
                position('a' in property_type) AS pos, upper(left(property_type, 1)) AS u, -year AS n, 2 ^ 3 AS pw, \
                round(total_cost::numeric, 2) AS r FROM cost_records",
        "SELECT observed_at + INTERVAL '1 day' AS t, DATE '2020-01-01' - observed_at::date AS d FROM cost_records",
        "SELECT x.m FROM (SELECT max(year) AS m FROM cost_records) x",
        "SELECT x.max FROM (SELECT max(year) FROM cost_records) x",
        "SELECT v.a FROM (VALUES (1, 'x'), (2, 'y')) AS v (a, b) CROSS JOIN LATERAL (SELECT v.b) z",
        "SELECT \"year\" AS \"Year built\" FROM \"cost_records\" /* note */ -- end",
        "SELECT YEAR, Total_Cost FROM Cost_Records",
        "SELECT year FROM cost_records FETCH FIRST 5 ROWS ONLY",
        "SELECT e.x FROM (SELECT '{\"a\": 1}'::jsonb ->> 'a' AS x) AS e",
    ] {
        written(text);
    }
}

/// What a table becomes.
fn walled(columns: &str, table: &str) -> String {
    format!("(SELECT {columns} FROM \"public\".\"{table}\" WHERE tenant_id = CAST('{TENANT}' AS uuid) )")
}

#[test]
fn the_text_is_written_anew() {
    let relation = Relation {
        schema: "public".into(),
        name: "sales".into(),
        table: "sales".into(),
        columns: vec!["year".into(), "tenant_id".into()],
    };
    let policy = Policy { relations: vec![relation], ..Policy::default() };
    let sales = walled("\"year\", \"tenant_id\"", "sales");
    for (text, expected) in [
        (
            "select YEAR, lower('a''b') AS \"X\" /* hi */ from sales where tenant_id = :tenant_id -- end",
            format!(
                "SELECT \"year\" , pg_catalog.\"lower\" ( 'a''b' ) AS \"X\" FROM {sales} AS \"sales\" WHERE \
                 \"tenant_id\" = CAST('{TENANT}' AS uuid)"
            ),
        ),
        // A name of WITH is not a table of that name, and the other way round.
        (
            "WITH sales AS (SELECT year FROM public.sales s) SELECT - -year AS x FROM sales",
            format!(
                "WITH \"sales\" AS ( SELECT \"year\" FROM {sales} AS \"s\" ) SELECT - - \"year\" AS \"x\" FROM \"sales\""
            ),
        ),
    ] {
        let written = CheckedQuery::parse(text, &policy).expect("passes").sql(TENANT);
        assert_eq!(written.trim(), expected);
    }
}

/// sqlparser's own printing would end each of these literals early.
#[test]
fn literals_cannot_break_out() {
    for (text, literal) in [
        (r"SELECT 'a\''' AS x", r"E'a\\'''"),
        (r"SELECT '''''' AS x", "''''''"),
        (r"SELECT E'\\''' AS x", r"E'\\'''"),
        ("SELECT $x$'; DROP$x$ AS x", "'''; DROP'"),
        (r"SELECT '\' AS x", r"E'\\'"),
    ] {
        assert_eq!(written(text), format!("SELECT {literal} AS \"x\""), "{text}");
    }
    assert_eq!(refused("SELECT 1 AS \"a\"\"b\"").kind, "query_name");
    assert_eq!(refused(r#"SELECT 1 AS "a\""#).kind, "query_name");
}

#[test]
fn a_refusal_names_the_place() {
    let refusal = refused("SELECT year,\n       pg_sleep(1)\nFROM cost_records");
    assert_eq!((refusal.kind, refusal.at), ("query_function", Some((2, 8))));
    assert_eq!(refusal.to_string(), "The function 'pg_sleep' is not allowed (line 2, column 8)");
    assert_eq!(refused("SELECT\n  nothing FROM cost_records").at, Some((2, 3)));
    let refusal = refused("SELECT year FROM\n  ml_models");
    assert_eq!((refusal.kind, refusal.at), ("query_relation", Some((2, 3))));
    let refusal = refused("SELECT year FROM cost_records WHERE");
    assert_eq!(refusal.kind, "query_syntax");
    assert_eq!(refused("SELECT year FROM cost_records\nWHERE year = = 3").at, Some((2, 14)));
    assert_eq!(refused("SELECT 'abc").kind, "query_syntax");
}

#[test]
fn size_is_bounded_and_the_stack_is_safe() {
    let nested =
        |open: &str, close: &str, n: usize| format!("SELECT {}1{} AS x", open.repeat(n), close.repeat(n));
    for text in [
        "x".repeat(100_000),
        nested("(", ")", 5_000),
        nested("(", ")", 25),
        nested("(SELECT ", ")", 25),
        nested("CASE WHEN ", " THEN 1 END", 25),
        nested("abs(", ")", 25),
        format!("SELECT * FROM {}cost_records{}", "(".repeat(25), ")".repeat(25)),
        format!("SELECT {}TRUE AS x", "NOT ".repeat(5_000)),
        format!("SELECT {}1 AS x", "- ".repeat(5_000)),
        format!("SELECT * FROM cost_records{}", " JOIN cost_records ON TRUE".repeat(30)),
        format!("SELECT 1 AS x{}", " UNION SELECT 1".repeat(2_000)),
        format!("SELECT {} 1", "1,".repeat(4_000)),
    ] {
        let kind = refused(&text).kind;
        assert!(kind == "query_too_large" || kind == "query_syntax", "{kind}: {}", &text[..40]);
    }
    // As deep as a chain of operators can be; nesting as deep as it is taken.
    written(&format!("SELECT 1{} AS x", " + 1".repeat(2_900)));
    written(&format!("SELECT 1{} AS x", " OR TRUE".repeat(2_900)));
    for text in [
        nested("(", ")", 24),
        nested("(SELECT ", ")", 24),
        nested("abs(", ")", 24),
        nested("CASE WHEN TRUE THEN ", " END", 24),
        format!("SELECT * FROM {}cost_records{}", "(".repeat(23), ")".repeat(23)),
        format!("SELECT * FROM {}SELECT 1 AS x{}", "(".repeat(23), ") AS a".repeat(23)),
        format!("SELECT {}TRUE AS x", "NOT ".repeat(100)),
        format!("SELECT {}1 AS x", "- ".repeat(100)),
    ] {
        // Passes or not, but ends: the parser must not try 2^24 ways.
        if let Err(refusal) = check(&text) {
            assert_eq!(refusal.kind, "query_syntax", "{refusal}");
        }
    }
}
