use super::*;
use proptest::prelude::*;

/// A cell as the naive join sees it.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Missing,
    Number(f32),
    Name(String),
}

fn cell(table: &FeatureTable, column: &str, row: usize) -> Cell {
    let Some(column) = table.columns.iter().find(|c| c.name == column) else { return Cell::Missing };
    match &column.values {
        ColumnValues::Numeric(values) if values[row].is_nan() => Cell::Missing,
        ColumnValues::Numeric(values) => Cell::Number(values[row]),
        ColumnValues::Categorical { codes, .. } if codes[row] == MISSING => Cell::Missing,
        ColumnValues::Categorical { labels, codes } => Cell::Name(labels[codes[row] as usize].clone()),
    }
}

/// The rules of the module, one row and one cell at a time. The columns of a name have one kind here.
fn naive(postgres: &KeyedTable, neo4j: &KeyedTable, supervised: bool) -> Vec<(Vec<Cell>, f64)> {
    let names = ["a", "b", "c", "text"];
    let of_entity = |id: &str| -> Vec<usize> {
        (0..neo4j.entity_ids.len()).filter(|&row| neo4j.entity_ids[row] == id).collect()
    };
    let mut result = vec![];
    for (row, id) in postgres.entity_ids.iter().enumerate() {
        let mut cells = vec![];
        for name in names {
            let mut value = cell(&postgres.table, name, row);
            for &graph in &of_entity(id) {
                if value == Cell::Missing {
                    value = cell(&neo4j.table, name, graph);
                }
            }
            cells.push(value);
        }
        let mut target = postgres.table.target.get(row).copied().unwrap_or(f64::NAN);
        let is_only_row = postgres.entity_ids.iter().filter(|other| *other == id).count() == 1;
        for &graph in &of_entity(id) {
            if target.is_nan() && is_only_row {
                target = neo4j.table.target.get(graph).copied().unwrap_or(f64::NAN);
            }
        }
        result.push((cells, target));
    }
    for (row, id) in neo4j.entity_ids.iter().enumerate() {
        let own = &postgres.table.columns;
        let known = own.iter().filter(|own| cell(&neo4j.table, &own.name, row) != Cell::Missing).count();
        if postgres.entity_ids.contains(id) || (!supervised && 2 * known < own.len()) {
            continue;
        }
        let cells = names.map(|name| {
            let own = cell(&neo4j.table, name, row);
            let others = of_entity(id).into_iter().map(|graph| cell(&neo4j.table, name, graph));
            std::iter::once(own).chain(others).find(|value| *value != Cell::Missing).unwrap_or(Cell::Missing)
        });
        result.push((cells.to_vec(), neo4j.table.target.get(row).copied().unwrap_or(f64::NAN)));
    }
    result.retain(|(_, target)| !supervised || !target.is_nan());
    result
}

fn numbers(rows: usize) -> impl Strategy<Value = ColumnValues> {
    let value = prop_oneof![Just(f32::NAN), (0_i16..50).prop_map(f32::from)];
    proptest::collection::vec(value, rows).prop_map(ColumnValues::Numeric)
}

fn texts(rows: usize) -> impl Strategy<Value = ColumnValues> {
    let name = proptest::option::of(prop_oneof![Just("x"), Just("y"), Just("z")]);
    proptest::collection::vec(name, rows).prop_map(|names| categories(names.into_iter()))
}

/// Rows of few entities, so that many meet; `names` are the numeric columns beside `text`.
fn side(names: &'static [&'static str]) -> impl Strategy<Value = KeyedTable> {
    (0_usize..12).prop_flat_map(move |rows| {
        let ids = proptest::collection::vec((0..6).prop_map(|id| format!("e{id}")), rows);
        let columns = names.iter().map(|_| numbers(rows)).collect::<Vec<_>>();
        let target =
            proptest::collection::vec(prop_oneof![Just(f64::NAN), (0_i32..9).prop_map(f64::from)], rows);
        (ids, columns, texts(rows), target).prop_map(move |(entity_ids, values, text, target)| {
            let named = names.iter().map(|name| (*name).to_owned()).zip(values);
            let columns = named
                .chain([("text".to_owned(), text)])
                .map(|(name, values)| Column { name, values })
                .collect();
            let table = FeatureTable { n_rows: entity_ids.len(), columns, target, ..FeatureTable::default() };
            KeyedTable { entity_ids, table }
        })
    })
}

fn joined(postgres: KeyedTable, neo4j: KeyedTable, supervised: bool) -> (FeatureTable, JoinReport) {
    join(postgres, neo4j, supervised, usize::MAX).expect("no limit")
}

proptest! {
    #[test]
    fn the_join_is_the_naive_join(
        postgres in side(&["a", "b"]), neo4j in side(&["b", "c"]), supervised: bool
    ) {
        let expected = naive(&postgres, &neo4j, supervised);
        let (table, report) = joined(postgres, neo4j, supervised);
        prop_assert_eq!(table.n_rows, expected.len());
        prop_assert_eq!(report.rows_joined, expected.len());
        for (row, (cells, target)) in expected.iter().enumerate() {
            let found: Vec<Cell> = ["a", "b", "c", "text"].iter().map(|name| cell(&table, name, row)).collect();
            prop_assert_eq!(&found, cells, "row {}", row);
            if supervised {
                prop_assert_eq!(table.target[row], *target);
            }
        }
        prop_assert_eq!(table.target.len(), if supervised { table.n_rows } else { 0 });
        prop_assert!(table.columns.iter().all(|column| column.values.len() == table.n_rows));
        let cells = report.cells_postgres + report.cells_neo4j + report.cells_missing;
        prop_assert_eq!(cells, table.n_rows * table.columns.len());
        let missing: usize = table.columns.iter().map(|column| column.values.missing()).sum();
        prop_assert_eq!(report.cells_missing, missing);
    }
}

fn keyed(ids: &[&str], columns: Vec<(&str, ColumnValues)>, target: Vec<f64>) -> KeyedTable {
    let columns =
        columns.into_iter().map(|(name, values)| Column { name: name.to_owned(), values }).collect();
    let entity_ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    KeyedTable {
        table: FeatureTable { n_rows: ids.len(), columns, target, ..FeatureTable::default() },
        entity_ids,
    }
}

#[test]
fn each_side_fills_what_the_other_lacks() {
    let postgres = keyed(
        &["p1", "p2", "p3"],
        vec![("size", ColumnValues::Numeric(vec![1.0, f32::NAN, f32::NAN]))],
        vec![10.0, 20.0, f64::NAN],
    );
    let neo4j = keyed(
        &["p2", "p1", "p9", "p8"],
        vec![
            ("size", ColumnValues::Numeric(vec![2.0, 7.0, 9.0, 8.0])),
            ("deals", ColumnValues::Numeric(vec![5.0, 6.0, f32::NAN, 1.0])),
        ],
        vec![f64::NAN, f64::NAN, 90.0, f64::NAN],
    );
    let (table, report) = joined(postgres.clone(), neo4j.clone(), true);
    assert_eq!(table.target, [10.0, 20.0, 90.0], "p3 and p8 have no target");
    assert_eq!(table.columns[0].values, ColumnValues::Numeric(vec![1.0, 2.0, 9.0]));
    assert_eq!(cell(&table, "deals", 0), Cell::Number(6.0));
    assert_eq!(cell(&table, "deals", 2), Cell::Missing);
    let expected = JoinReport {
        rows_postgres: 3,
        rows_neo4j: 4,
        rows_joined: 3,
        rows_both: 2,
        cells_postgres: 1,
        cells_neo4j: 4,
        cells_missing: 1,
        cells_both: 1,
        columns_of_two_kinds: vec![],
    };
    assert_eq!(report, expected);
    let message =
        "joined 3 rows from 3 of Postgres and 4 of Neo4j: 1 values from Postgres, 4 from Neo4j, 1 missing";
    assert_eq!(report.to_string(), message);
    assert_eq!(joined(postgres, neo4j, false).0.n_rows, 5);
}

#[test]
fn a_column_of_two_kinds_is_postgres_s_alone() {
    let text = categories([Some("x"), None].into_iter());
    let postgres = keyed(&["e1", "e2"], vec![("kind", text.clone())], vec![]);
    let neo4j = keyed(&["e2"], vec![("kind", ColumnValues::Numeric(vec![3.0]))], vec![]);
    let (table, report) = joined(postgres.clone(), neo4j, false);
    assert_eq!(table.columns[0].values, text);
    assert_eq!(report.columns_of_two_kinds, ["kind"]);
    // No value at all is of no kind.
    let empty = keyed(&["e1", "e2"], vec![("kind", ColumnValues::Numeric(vec![f32::NAN; 2]))], vec![]);
    let (table, report) = joined(empty, postgres, false);
    assert_eq!(table.columns[0].values, text);
    assert_eq!(report.columns_of_two_kinds, Vec::<String>::new());
}

#[test]
fn times_are_completed() {
    let mut postgres = keyed(&["e1", "e2"], vec![], vec![]);
    postgres.table.observed_at = vec![1.0, f64::NAN];
    let mut neo4j = keyed(&["e2", "e1"], vec![], vec![]);
    neo4j.table.observed_at = vec![2.0, 3.0];
    assert_eq!(joined(postgres, neo4j, false).0.observed_at, [1.0, 2.0]);
}

#[test]
fn both_sides_together_have_a_limit() {
    let side = |ids: &[&str]| keyed(ids, vec![("a", ColumnValues::Numeric(vec![1.0; ids.len()]))], vec![]);
    let join_within = |max_rows| join(side(&["e1", "e2"]), side(&["e2", "e3", "e4"]), false, max_rows);
    assert_eq!(join_within(4).expect("within it").0.n_rows, 4);
    assert_eq!(join_within(3), Err(TooManyRows(4)));
}
