use super::*;

/// Name, Cypher, expectation of each attack.
fn corpus() -> Vec<[String; 3]> {
    let text = include_str!("../../../../tests/attacks/cypher.tsv");
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        assert_eq!(fields.len(), 4, "{line}");
        [0, 1, 2].map(|i| fields[i].to_owned())
    })
    .collect()
}

#[test]
fn attacks_are_refused_for_the_reason_expected() {
    let corpus = corpus();
    let mut failures = vec![];
    for [name, cypher, expected] in &corpus {
        match columns(cypher) {
            Ok(_) if expected == "ok" => {}
            Err(refusal) if expected != "ok" && refusal.reason.contains(expected.as_str()) => {}
            other => failures.push(format!("{name}: expected {expected:?}, found {other:?}")),
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), corpus.len(), failures.join("\n"));
    assert!(corpus.iter().filter(|row| row[2] != "ok").count() >= 100);
}

#[test]
fn columns_are_told_in_order_and_refusals_with_their_line() {
    let text =
        "MATCH (n {tenantId: $tenantId})\nRETURN DISTINCT n.b AS b, toLower(n.a) AS `a`\nORDER BY b LIMIT 3";
    assert_eq!(columns(text), Ok(vec!["b".to_owned(), "a".to_owned()]));
    let refusal =
        columns("MATCH (n {tenantId: $tenantId})\n\nMATCH (m)\nRETURN m.x AS x").expect_err("m is free");
    assert_eq!(refusal.line, 3);
}

proptest::proptest! {
    /// Whatever is cut out of a good template or put into it: no panic, and what is accepted
    /// still has every node bound or known.
    #[test]
    fn mangled_templates_do_not_panic(start in 0_usize..900, length in 0_usize..60, put in "[(){}\\[\\]a-z:$'`/*\\-> ]{0,8}") {
        let text = include_str!("../templates/risk_assessment.cypher");
        let start = start.min(text.len());
        let end = (start + length).min(text.len());
        let mangled = format!("{}{put}{}", &text[..start], &text[end..]);
        if columns(&mangled).is_ok() {
            let patterns = mangled.lines().filter(|line| line.contains("MATCH (") && !line.trim_start().starts_with("//"));
            for line in patterns {
                proptest::prop_assert!(line.contains("tenantId: $tenantId"), "{}", line);
            }
        }
    }
}
