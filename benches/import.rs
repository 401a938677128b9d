//! `binah-ml import` of a million rows as CSV and as Parquet, beside `psql`'s `\copy` of the same CSV into a table
//! without key or wall. Wall-clock, a private Postgres that keeps its files safe.
//!
//! `cargo bench --bench import`. `psql` comes from the path, Python from `$DEPS/bin/python` (default `.deps`).

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a table on the terminal")]

use std::{fmt::Write, path::Path, process::Command, time::Instant};

use binah_ml::{
    dev::{Durability, PrivatePostgres, deps},
    features::query::Policy,
    forest::rng::Rng,
    storage::{Login, migrate, query_login},
};

const ROWS: u32 = 1_000_000;
const REPEATS: usize = 3;
const TENANT: &str = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
const COLUMNS: &str =
    "deed bigint, price double precision, size double precision, sold date, garden boolean, kind text";
const TO_PARQUET: &str = "import sys, pyarrow.csv as csv, pyarrow.parquet as parquet; \
                          parquet.write_table(csv.read_csv(sys.argv[1]), sys.argv[2])";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server =
        runtime.block_on(PrivatePostgres::start(&folder.path().join("postgres"), Durability::Durable));
    let server = server.unwrap();
    let owner = server.owner_of("bench");
    let service = Login { name: "binah_ml_app".to_owned(), password: "bench".to_owned().into() };
    let query = Login { name: "svc_query".to_owned(), password: "svc_query".to_owned().into() };
    runtime.block_on(migrate(&owner, &service)).unwrap();
    runtime.block_on(query_login::install(&owner, &service, &query, &Policy::records().tables())).unwrap();
    let (csv, parquet) = (folder.path().join("rows.csv"), folder.path().join("rows.parquet"));
    std::fs::write(&csv, generated()).unwrap();
    succeed(Command::new(deps().join("bin/python")).args(["-c", TO_PARQUET]).args([&csv, &parquet]));

    println!("{ROWS} rows of 6 columns into Postgres, fastest of {REPEATS}");
    let url = server.url_of("bench");
    let psql = |text: &str| succeed(Command::new("psql").args(["-X", "-q", "-d", &url, "-c", text]));
    let create = format!("DROP TABLE IF EXISTS plain; CREATE TABLE plain ({COLUMNS})");
    let copy = format!("\\copy plain FROM '{}' WITH (FORMAT csv, HEADER)", csv.display());
    let copied = fastest(|| psql(&create), || psql(&copy));
    tell("psql \\copy", &csv, copied, copied);
    for file in [&csv, &parquet] {
        let seconds = fastest(|| (), || import(&server, folder.path(), file));
        tell("binah-ml import", file, seconds, copied);
    }
}

/// Seconds of the fastest run of `work`, each after `prepare`.
fn fastest(prepare: impl Fn(), work: impl Fn()) -> f64 {
    let seconds = (0..REPEATS).map(|_| {
        prepare();
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64()
    });
    seconds.fold(f64::INFINITY, f64::min)
}

fn tell(what: &str, file: &Path, seconds: f64, copied: f64) {
    let megabytes = std::fs::metadata(file).unwrap().len() as f64 / 1e6;
    println!(
        "  {what:<16} {:<8} {megabytes:>5.1} MB  {seconds:>6.2} s  {:>5.2} M rows/s  {:>5.2}x \\copy",
        file.extension().unwrap().display(),
        f64::from(ROWS) / seconds / 1e6,
        seconds / copied
    );
}

/// Makes or replaces a table of the tenant.
fn import(server: &PrivatePostgres, folder: &Path, file: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_binah-ml"));
    command
        .args(["import", "--tenant", TENANT, "--table", "deeds", "--replace"])
        .arg(file)
        .current_dir(folder);
    let port = server.port().to_string();
    command.envs([("POSTGRES_HOST", server.host()), ("POSTGRES_PORT", &port), ("POSTGRES_DB", "bench")]);
    succeed(
        command.env("POSTGRES_OWNER_USER", server.user()).env("POSTGRES_OWNER_PASSWORD", server.password()),
    );
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Numbers, days, flags and words; a few of them missing.
fn generated() -> String {
    let mut rng = Rng::new(1);
    let mut text = "deed,price,size,sold,garden,kind\n".to_owned();
    for deed in 0..ROWS {
        let (price, size) = (rng.unit() * 1e6, rng.unit() * 300.0);
        let (year, month, day) = (1990 + rng.below(35), 1 + rng.below(12), 1 + rng.below(28));
        let garden = ["true", "false", ""][rng.below(3) as usize];
        let kind = ["flat", "detached house", "villa", ""][rng.below(4) as usize];
        writeln!(text, "{deed},{price:.2},{size:.4},{year}-{month:02}-{day:02},{garden},{kind}").unwrap();
    }
    text
}
