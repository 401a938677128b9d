//! From a file's values to the same values in SQL.

use std::{fs, path::Path};

use binah_ml::import::{ColumnType, ImportError, Options};
use proptest::prelude::*;

use super::rows;
use crate::{
    python,
    support::{
        TENANT_A, TestDatabase,
        imports::{file, import, import_text, into_table},
        tenant,
    },
};

/// Column names and types of a plan.
fn columns(plan: &binah_ml::import::Plan) -> Vec<(&str, String)> {
    plan.columns.iter().map(|column| (column.name.as_str(), column.kind.to_string())).collect()
}

#[tokio::test]
async fn each_column_gets_the_narrowest_type_and_its_values() {
    let database = TestDatabase::new().await;
    let text = "Sale Price,1st Flr,n,ok,day,seen,zip,note\r\n\
                1.5,10,-3,true,2024-02-29,2024-02-29T10:00:00Z,02134,\"a \"\"b\"\", c\"\r\n\
                NA,,9007199254740993,False,1969-12-31,2024-03-01 12:00:00.25+02:00,1,\"two\nlines\"\r\n\
                1e300,7,0,,,2024-03-01,99999, blank \r\n";
    let (plan, loaded) =
        import_text(&database.owner, tenant(TENANT_A), "Mixed", text).await.expect("imports");
    assert_eq!(loaded.rows, 3);
    let types = [
        ("sale_price", "double precision"),
        ("_1st_flr", "bigint"),
        ("n", "bigint"),
        ("ok", "boolean"),
        ("day", "date"),
        ("seen", "timestamptz"),
        ("zip", "text"),
        ("note", "text"),
    ];
    assert_eq!(columns(&plan), types.map(|(name, kind)| (name, kind.to_owned())));
    assert_eq!((plan.columns[0].nulls, plan.columns[0].example.as_deref()), (1, Some("1.5")));
    assert_eq!(
        rows(&database.owner, "mixed", "import_row, sale_price, _1st_flr, n, ok, day, seen, zip, note").await,
        [
            [
                "1",
                "1.5",
                "10",
                "-3",
                "true",
                "2024-02-29",
                "2024-02-29T10:00:00+00:00",
                "02134",
                "a \"b\", c"
            ],
            [
                "2",
                "NULL",
                "NULL",
                "9007199254740993",
                "false",
                "1969-12-31",
                "2024-03-01T10:00:00.25+00:00",
                "1",
                "two\nlines"
            ],
            ["3", "1e+300", "7", "0", "NULL", "NULL", "2024-03-01T00:00:00+00:00", "99999", " blank "],
        ]
    );
}

#[tokio::test]
async fn given_types_and_skipped_columns_hold() {
    let database = TestDatabase::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = file(&folder, "f.tsv", "Zip Code\tn\tjunk\n02134\t1\tx\n10001\t2\ty\n");
    let options = Options {
        types: vec![("Zip Code".into(), ColumnType::Integer), ("n".into(), ColumnType::Text)],
        skip: vec!["junk".into()],
        delimiter: b'\t',
        ..Options::default()
    };
    let (plan, _) =
        import(&database.owner, tenant(TENANT_A), &file, into_table("f"), options).await.expect("imports");
    assert_eq!(columns(&plan), [("zip_code", "integer".to_owned()), ("n", "text".to_owned())]);
    assert_eq!(rows(&database.owner, "f", "zip_code, n").await, [["2134", "1"], ["10001", "2"]]);
}

#[tokio::test]
async fn a_bad_file_is_refused_with_its_place_and_changes_nothing() {
    let database = TestDatabase::new().await;
    let who = tenant(TENANT_A);
    import_text(&database.owner, who, "t", "a,b\n1,2\n").await.expect("imports");
    for (text, message) in [
        ("a,b\n1,2\n3,x\n", "line 3, column b: 'x' is no bigint"),
        ("a,b\n1,2\n3\n", "line 3: 1 fields, but the header has 2"),
        ("a,b\n", "has no rows"),
        ("", "1 to 998"),
        ("a,c\n1,2\n", "the file has columns that t lacks: c; the file lacks columns that t needs: b"),
        ("a,Tenant ID\n1,2\n", "--skip Tenant ID"),
    ] {
        let error = import_text(&database.owner, who, "t", text).await.expect_err(text).to_string();
        assert!(error.contains(message), "{text:?}: {error}");
    }
    let nul = import_text(&database.owner, who, "other", "a\nx\0y\n").await.expect_err("refused");
    assert!(matches!(nul, ImportError::Value { .. }), "{nul}");
    for name in ["cost_records", "ml_models", "pg_x", "a b", ""] {
        let refused = import_text(&database.owner, who, name, "a\n1\n").await;
        assert!(matches!(refused, Err(ImportError::Argument(_))), "{name}: {refused:?}");
    }
    assert_eq!(rows(&database.owner, "t", "a, b").await, [["1", "2"]]);
}

/// A value of CSV: text that is easily taken for syntax, and everything else.
fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| number.to_string()),
        2 => any::<i64>().prop_map(|number| number.to_string()),
        2 => "[ ,;\"'\\\\\n\ra-zA-Z0-9é€\t-]{0,12}",
        1 => "\\PC{0,20}",
        1 => Just("NA".to_owned()),
    ]
}

/// What a cell is in a column of text.
fn stored(cell: &str) -> String {
    let missing = binah_ml::import::NULLS.contains(&cell);
    if missing { "NULL".to_owned() } else { cell.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_text_and_number_comes_back_as_it_was() {
    let database = TestDatabase::new().await;
    let runtime = tokio::runtime::Handle::current();
    let check = |cells: Vec<(String, f64)>, crlf: bool| {
        let mut writer = csv::WriterBuilder::new();
        let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = writer.terminator(terminator).from_writer(vec![]);
        writer.write_record(["text", "number"]).expect("written");
        for (text, number) in &cells {
            writer.write_record([text, &number.to_string()]).expect("written");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let file = file(&folder, "f.csv", writer.into_inner().expect("written"));
        let types = vec![("text".into(), ColumnType::Text), ("number".into(), ColumnType::Double)];
        let options = Options { types, ..Options::default() };
        let destination = binah_ml::import::Destination::Table { name: "any".into(), replace: true };
        runtime.block_on(async {
            import(&database.owner, tenant(TENANT_A), &file, destination, options).await.expect("imports");
            rows(&database.owner, "any", "text, number").await
        })
    };
    tokio::task::block_in_place(|| {
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(40));
        let number = any::<f64>().prop_filter("finite", |number| number.is_finite());
        let cells = prop::collection::vec((cell(), number), 1..40);
        let ran = runner.run(&(cells, any::<bool>()), |(cells, crlf)| {
            let read = check(cells.clone(), crlf);
            prop_assert_eq!(read.len(), cells.len());
            for ((text, number), read) in cells.iter().zip(&read) {
                prop_assert_eq!(&read[0], &stored(text));
                prop_assert_eq!(read[1].parse::<f64>().expect("a number"), *number);
            }
            Ok(())
        });
        ran.expect("as it was");
    });
}

/// Files that pandas wrote, of every codec; each row as it should read.
#[tokio::test]
async fn parquet_of_pandas_comes_as_pandas_has_it() {
    let database = TestDatabase::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    python::run(python::script("python/write_parquet.py").arg(folder.path()));
    for codec in ["snappy", "zstd", "gzip", "none", "small_groups", "spark"] {
        let path = folder.path().join(format!("{codec}.parquet"));
        let options = Options { skip: vec!["tags".into()], ..Options::default() };
        let (plan, loaded) = import(&database.owner, tenant(TENANT_A), &path, into_table(codec), options)
            .await
            .unwrap_or_else(|error| panic!("{codec}: {error}"));
        assert_eq!(loaded.rows, 20_000, "{codec}");
        let types: Vec<String> = plan.columns.iter().map(|column| column.kind.to_string()).collect();
        assert_eq!(
            types.join(" "),
            "bigint bigint double precision double precision boolean text date timestamptz double precision bigint \
             timestamptz",
            "{codec}"
        );
        let all = "i, small, x, f, ok, \"größe\", day, seen, amount, u, nanos";
        let read = rows(&database.owner, codec, all).await;
        assert_eq!(
            read[0],
            [
                "0",
                "0",
                "NULL",
                "0.25",
                "NULL",
                "wert 0",
                "2024-01-01",
                "2024-01-01T00:00:00+00:00",
                "0.01",
                "4294967295",
                "2024-01-01T00:00:00.000001+00:00"
            ],
            "{codec}"
        );
        assert_eq!(
            read[19_999],
            [
                "19999",
                "31",
                "6666.333333333333",
                "0.25",
                "true",
                "wert 0",
                "2024-01-01",
                "2024-01-01T05:33:19+00:00",
                "200",
                "4294947296",
                "2024-01-01T00:00:00.019999+00:00"
            ],
            "{codec}"
        );
        assert_eq!(read.iter().filter(|row| row[5] == "NULL").count(), 2_857, "{codec}");
    }
}

#[tokio::test]
async fn nested_columns_and_broken_files_are_refused_by_name() {
    let database = TestDatabase::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    python::run(python::script("python/write_parquet.py").arg(folder.path()));
    let refused = async |path: &Path| {
        let options = Options::default();
        let refused = import(&database.owner, tenant(TENANT_A), path, into_table("x"), options).await;
        refused.expect_err("refused").to_string()
    };
    let nested = refused(&folder.path().join("zstd.parquet")).await;
    assert!(nested.contains("tags") && nested.contains("--skip"), "{nested}");
    let whole = fs::read(folder.path().join("none.parquet")).expect("read");
    let cut = file(&folder, "cut.parquet", &whole[..whole.len() / 2]);
    assert!(refused(&cut).await.contains("cut.parquet"));
    let text = file(&folder, "text.parquet", "a,b\n1,2\n");
    assert!(refused(&text).await.contains("text.parquet"));
    assert!(refused(&folder.path().join("absent.csv")).await.contains("absent.csv"));
    assert!(refused(&file(&folder, "f.xlsx", "x")).await.contains("neither .csv nor .parquet"));
}
