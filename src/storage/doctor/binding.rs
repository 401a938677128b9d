//! Whether a policy's expression, as the server prints it, binds rows to the transaction's tenant.
//!
//! An allow list: what is not known to bind does not bind. The server prints with every parenthesis, and with
//! a schema before each function and operator that is not its own, so that nothing can pose as one of these.

use crate::storage::Worker;

/// What proves the tenant to a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// The setting `app.tenant_id`: enough for the service, whose statements are its own.
    Setting,
    /// The service's signature: enough for statements that a tenant wrote.
    Signature,
}

const SETTINGS: [&str; 3] = [
    "NULLIF(current_setting('app.tenant_id'::text, true), ''::text)",
    "current_setting('app.tenant_id'::text, true)",
    "current_setting('app.tenant_id'::text)",
];

/// Whether `expression` is, word for word, the condition under which a queue is open to its worker.
pub(in crate::storage) fn is_of_worker(expression: &str, worker: Worker) -> bool {
    bare(expression) == worker.condition()
}

/// The proof that `expression` asks of every row that it lets pass; `None` if it lets others pass too, or may.
pub(super) fn proof(expression: &str) -> Option<Proof> {
    let expression = bare(expression);
    let conjuncts = split_and(expression);
    if conjuncts.len() > 1 {
        return conjuncts.into_iter().filter_map(proof).max_by_key(|proof| *proof == Proof::Signature);
    }
    let (column, value) = expression.split_once(" = ")?;
    if !matches!(column, "tenant_id" | "(tenant_id)::text") {
        return None;
    }
    let mut value = bare(value);
    if let Some(select) = value.strip_prefix("SELECT ") {
        // The column's name is the server's own addition.
        value = select.rsplit_once(" AS ").map_or(select, |(value, _)| value);
    }
    let value = ["::uuid", "::text"].iter().find_map(|cast| value.strip_suffix(cast)).unwrap_or(value);
    match bare(value) {
        "sec.verified_tenant()" => Some(Proof::Signature),
        setting if SETTINGS.contains(&setting) => Some(Proof::Setting),
        _ => None,
    }
}

/// Without the parentheses that enclose all of it.
fn bare(expression: &str) -> &str {
    let expression = expression.trim();
    match expression.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) if depths(inner).all(|(_, depth)| depth >= 0) => bare(inner),
        _ => expression,
    }
}

/// The parts that AND joins outside all parentheses.
fn split_and(expression: &str) -> Vec<&str> {
    const AND: &str = " AND ";
    let mut parts = vec![];
    let mut start = 0;
    for (at, depth) in depths(expression) {
        if depth == 0 && at >= start && expression[at..].starts_with(AND) {
            parts.push(&expression[start..at]);
            start = at + AND.len();
        }
    }
    parts.push(&expression[start..]);
    parts
}

/// Where each character outside quotes stands, and in how many parentheses, those it closes not counted.
fn depths(expression: &str) -> impl Iterator<Item = (usize, i32)> {
    let (mut depth, mut quote) = (0, None);
    expression.char_indices().filter_map(move |(at, c)| {
        match (quote, c) {
            (Some(open), _) => {
                if c == open {
                    quote = None;
                }
                return None;
            }
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            _ => {}
        }
        Some((at, depth))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_open_under_its_own_words_only() {
        let single = "(tenant_id = COALESCE((NULLIF(current_setting('app.worker_tenant'::text, true), ''::text))::uuid, tenant_id))";
        let own = format!("((current_setting('app.worker'::text, true) = 'tracking'::text) AND {single})");
        assert!(is_of_worker(&own, Worker::Tracking) && proof(&own).is_none());
        for other in [
            format!("((current_setting('app.worker'::text, true) = 'other'::text) AND {single})"),
            format!("((current_setting('app.worker'::text) = 'tracking'::text) AND {single})"),
            format!("((public.current_setting('app.worker'::text, true) = 'tracking'::text) AND {single})"),
            format!(
                "(((current_setting('app.worker'::text, true) = 'tracking'::text) AND {single}) OR true)"
            ),
            format!("((current_setting('app.worker'::text, true) <> 'tracking'::text) AND {single})"),
            format!("((current_setting('app.worker'::text, true) = 'tracking'::text) OR {single})"),
            "(current_setting('app.worker'::text, true) = 'tracking'::text)".to_owned(),
            single.to_owned(),
            "true".to_owned(),
            String::new(),
        ] {
            assert!(!is_of_worker(&other, Worker::Tracking), "{other}");
        }
    }

    #[test]
    fn what_binds_and_what_only_looks_like_it() {
        let setting =
            "( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS \"nullif\")";
        let signed = "( SELECT sec.verified_tenant() AS verified_tenant)";
        for (expression, expected) in [
            (format!("(tenant_id = {setting})"), Some(Proof::Setting)),
            (format!("(tenant_id = {signed})"), Some(Proof::Signature)),
            ("(tenant_id = sec.verified_tenant())".into(), Some(Proof::Signature)),
            ("(tenant_id = (current_setting('app.tenant_id'::text))::uuid)".into(), Some(Proof::Setting)),
            (
                "((tenant_id)::text = current_setting('app.tenant_id'::text, true))".into(),
                Some(Proof::Setting),
            ),
            (format!("((tenant_id = {setting}) AND (id > 0))"), Some(Proof::Setting)),
            (
                format!("((id > 0) AND (tenant_id = {setting}) AND (tenant_id = {signed}))"),
                Some(Proof::Signature),
            ),
            ("true".into(), None),
            (String::new(), None),
            (format!("((tenant_id = {setting}) OR true)"), None),
            (format!("((tenant_id = {setting}) OR ((tenant_id = {setting}) AND (id > 0)))"), None),
            (format!("(NOT (tenant_id = {setting}))"), None),
            (format!("((tenant_id = {setting}) IS NOT FALSE)"), None),
            ("(tenant_id = tenant_id)".into(), None),
            ("(tenant_id <> sec.verified_tenant())".into(), None),
            ("(tenant_id OPERATOR(public.=) sec.verified_tenant())".into(), None),
            ("(tenant_id = (public.current_setting('app.tenant_id'::text))::uuid)".into(), None),
            ("(tenant_id = (current_setting('app.other'::text))::uuid)".into(), None),
            ("(tenant_id = COALESCE(sec.verified_tenant(), tenant_id))".into(), None),
            ("(note = ' AND (tenant_id = sec.verified_tenant()) AND '::text)".into(), None),
            ("((note = ')'::text) OR (a AND (tenant_id = sec.verified_tenant())))".into(), None),
        ] {
            assert_eq!(proof(&expression), expected, "{expression}");
        }
    }
}
