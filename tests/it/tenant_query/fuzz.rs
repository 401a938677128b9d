//! Random allowed statements against two databases that differ in the other tenant's values only: rows, number of
//! rows and error must not differ.
//!
//! `FUZZ_STATEMENTS` and `FUZZ_SEED` set how many and which; the long run is
//! `cargo test --test it -- --ignored a_hundred_thousand --nocapture`.

use std::time::Instant;

use crate::{
    tenant_query::grammar::Grammar,
    tenant_query::world::{CANARY, Outcome, TAME, World, checked, quick, raw, records},
};

#[derive(Debug, Default)]
struct Report {
    statements: usize,
    with_rows: usize,
    failed: usize,
    refused: usize,
    /// One side ran out of time: nothing to compare.
    timeouts: usize,
    /// The text as written anew fails otherwise than the user's own: the plan is another one.
    other_error: usize,
    /// With the wall off, an error that comes from a foreign row.
    parser_alone_errors: usize,
    /// Statements, of those tried without any wall, that another tenant's rows change: the oracle sees.
    changed_without_walls: usize,
    /// Slower than three times the other side and by more than 20 ms.
    slow_on_one_side: usize,
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn fuzz(statements: u64) {
    let seed = setting("FUZZ_SEED", 1);
    let tame = World::sized(4, &records('b', 40, TAME), quick()).await;
    let canary = World::sized(4, &records('b', 40, CANARY), quick()).await;
    let (mut tame_walled, mut canary_walled) = (tame.signed_session().await, canary.signed_session().await);
    let mut unwalled = canary.unwalled_session().await;
    for session in [&mut tame_walled, &mut canary_walled, &mut unwalled] {
        session.set("statement_timeout TO 500").await;
    }
    let mut report = Report::default();
    let begun = Instant::now();
    for i in 0..statements {
        let text = Grammar::statement(seed.wrapping_mul(1_000_003).wrapping_add(i));
        report.statements += 1;
        if report.statements % 2_000 == 0 {
            println!("{:?} {report:?}", begun.elapsed());
        }
        let written = match checked(&text) {
            Ok(written) => written,
            Err("query_too_large") => {
                report.refused += 1;
                continue;
            }
            Err(kind) => panic!("the grammar makes allowed statements only; {kind}: {text}"),
        };
        let started = Instant::now();
        let left = tame_walled.ask(&written).await;
        let between = Instant::now();
        let right = canary_walled.ask(&written).await;
        let (first, second) = (between - started, between.elapsed());
        let (slow, fast) = (first.max(second).as_secs_f64(), first.min(second).as_secs_f64());
        report.slow_on_one_side += usize::from(slow > 3.0 * fast && slow - fast > 0.02);
        if timed_out(&left) || timed_out(&right) {
            report.timeouts += 1;
            continue;
        }
        assert_eq!(left, right, "both layers, statement {i}: {text}");
        match &left {
            Outcome::Rows(rows) => report.with_rows += usize::from(!rows.is_empty()),
            Outcome::Failed(_) => report.failed += 1,
        }

        let own = raw(&text);
        let (own_left, own_right) = (tame_walled.ask(&own).await, canary_walled.ask(&own).await);
        if !timed_out(&own_left) && !timed_out(&own_right) {
            assert_eq!(own_left, own_right, "the database alone, statement {i}: {text}");
            match (&own_left, &left) {
                (Outcome::Rows(own), Outcome::Rows(written)) => {
                    assert_eq!(own, written, "written anew it means something else, statement {i}: {text}");
                }
                _ => report.other_error += usize::from(own_left != left),
            }
        }

        if i % 10 == 0 {
            report.changed_without_walls += usize::from(unwalled.ask(&own).await != left);
        }
        let open = unwalled.ask(&written).await;
        match (&open, &left) {
            (Outcome::Rows(open), Outcome::Rows(walled)) => {
                assert_eq!(open, walled, "the parser alone, statement {i}: {text}");
            }
            _ => report.parser_alone_errors += usize::from(open != left),
        }
    }
    println!("{report:?}");
    assert!(report.with_rows > report.statements / 10, "{report:?}");
    assert!(report.changed_without_walls > report.statements / 50, "{report:?}");
    assert!(report.refused < report.statements / 20, "{report:?}");
}

fn timed_out(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(error) if error.starts_with("57014"))
}

#[tokio::test]
async fn a_thousand_random_statements() {
    fuzz(setting("FUZZ_STATEMENTS", 1_000)).await;
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn a_hundred_thousand_random_statements() {
    fuzz(setting("FUZZ_STATEMENTS", 100_000)).await;
}
