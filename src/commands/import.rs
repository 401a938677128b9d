//! `binah-ml import`: a tenant's own file as a table that its queries read.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use binah_ml::{
    auth::{TenantId, tenant},
    catalog::ModelType,
    config::Config,
    error::BoxError,
    import::{self, Action, ColumnType, Destination, NULLS, Options, Plan, Progress},
    storage::{Database, PoolConfig, imported_tables},
};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use uuid::Uuid;

/// Imports a CSV or Parquet file for a tenant, as the tables' owner (POSTGRES_OWNER_USER).
///
/// The file becomes the tenant's table, or more rows of it: `training_data_query` then reads it as FROM name, and no
/// other tenant does. Or it fills a record table (--into). All rows come, or none.
///
/// Types are inferred over the whole file. Names become lower case with underscores: `Overall Qual` is overall_qual.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file: .csv, .tsv, .txt, or .parquet. The first line of a text file names the columns.
    #[arg(required_unless_present_any = ["list", "drop"])]
    file: Option<PathBuf>,
    /// Tenant id, a UUID.
    #[arg(long)]
    tenant: Uuid,
    /// Name of the table.
    #[arg(long, required_unless_present_any = ["into", "list", "drop"], conflicts_with = "into")]
    table: Option<String>,
    /// Record table to fill instead: cost_records, risk_records, roi_records, property_metrics.
    #[arg(long, value_parser = record_table)]
    into: Option<ModelType>,
    /// The file takes the place of the table of that name; without it, rows are appended.
    #[arg(long, conflicts_with = "into")]
    replace: bool,
    /// Types of columns: name=type,... of boolean, integer, bigint, double precision, date, timestamptz, text.
    #[arg(long, value_delimiter = ',', value_parser = column_type)]
    types: Vec<(String, ColumnType)>,
    /// Columns to leave out: name,...
    #[arg(long, value_delimiter = ',')]
    skip: Vec<String>,
    /// Sign between the fields of a text file; \t is a tab. [default: a comma; for .tsv a tab]
    #[arg(long, value_parser = delimiter)]
    delimiter: Option<u8>,
    /// Text that stands for a missing value; may be given several times. [default: empty, NA, N/A, NaN, nan, null, NULL]
    #[arg(long = "null")]
    nulls: Vec<String>,
    /// Cut off blanks around the values of a text file.
    #[arg(long)]
    trim: bool,
    /// List the tenant's tables.
    #[arg(long, conflicts_with_all = ["file", "table", "into", "drop"])]
    list: bool,
    /// Drop the tenant's table of that name.
    #[arg(long, value_name = "TABLE", conflicts_with_all = ["file", "table", "into"])]
    drop: Option<String>,
}

pub(crate) async fn run(args: ImportArgs, config: &Config) -> Result<(), BoxError> {
    let owner = owner(config);
    let tenant = TenantId::trusted(args.tenant);
    let done = tenant::scope(tenant, async {
        match &args.drop {
            _ if args.list => list(&owner).await,
            Some(name) => drop_table(&owner, name).await,
            None => import(&owner, args, config).await,
        }
    });
    let done = done.await;
    owner.close().await;
    done
}

/// The database as the owner of the tables: one connection.
pub(super) fn owner(config: &Config) -> Database {
    let pool = PoolConfig { max_connections: 1, ..PoolConfig::default() };
    Database::new(&config.postgres.owner(), &pool)
}

async fn import(owner: &Database, args: ImportArgs, config: &Config) -> Result<(), BoxError> {
    let file = args.file.ok_or("name a file")?;
    let tab_separated = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"));
    let nulls = if args.nulls.is_empty() { NULLS.map(str::to_owned).to_vec() } else { args.nulls };
    let options = Options {
        types: args.types,
        skip: args.skip,
        delimiter: args.delimiter.unwrap_or(if tab_separated { b'\t' } else { b',' }),
        nulls,
        trim: args.trim,
    };
    let destination = match (args.into, args.table) {
        (Some(model_type), _) => Destination::Records(model_type),
        (None, Some(name)) => Destination::Table { name, replace: args.replace },
        (None, None) => return Err("name a table by --table or --into".into()),
    };
    let plan = import::plan(owner, &file, destination, options, bar("Reading")).await?;
    print_plan(&plan)?;
    let query_role = config.postgres.query_login.as_ref().map(|login| login.name.as_str());
    let loaded = import::load(owner, &plan, query_role, bar("Importing")).await?;
    let seconds = loaded.elapsed.as_secs_f64();
    let mut out = io::stdout().lock();
    writeln!(out, "Imported {} rows into {} in {seconds:.2} s", loaded.rows, destination_name(&plan))?;
    if query_role.is_none() {
        writeln!(out, "No query reads it yet: set POSTGRES_QUERY_PASSWORD and run binah-ml migrate")?;
    }
    Ok(())
}

async fn list(owner: &Database) -> Result<(), BoxError> {
    let mut transaction = owner.tenant_snapshot("import_list").await?;
    let tables = imported_tables::list(&mut transaction).await?;
    let mut out = io::stdout().lock();
    if tables.is_empty() {
        writeln!(out, "The tenant has imported no table")?;
    }
    for table in tables {
        let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let when = table.imported_at.format("%Y-%m-%d %H:%M UTC");
        writeln!(out, "{}: {} rows, {when}: {}", table.name, table.rows, columns.join(", "))?;
    }
    Ok(())
}

async fn drop_table(owner: &Database, name: &str) -> Result<(), BoxError> {
    let mut transaction = owner.tenant_transaction("import_drop").await?;
    let table = imported_tables::find(&mut transaction, name).await?;
    let table = table.ok_or_else(|| format!("the tenant has no table '{name}'"))?;
    imported_tables::drop_table(&mut transaction, &table).await?;
    transaction.commit().await?;
    Ok(writeln!(io::stdout(), "Dropped {name}, {} rows", table.rows)?)
}

fn print_plan(plan: &Plan) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let action = match plan.action {
        Action::Create => "a new table",
        Action::Append => "more rows of",
        Action::Replace => "in place of",
    };
    let (rows, columns) = (plan.rows, plan.columns.len());
    let file = plan.file.file_name().map_or(plan.file.as_path(), Path::new).display();
    writeln!(out, "{file}: {rows} rows, {columns} columns: {action} {}", destination_name(plan))?;
    let width = plan.columns.iter().map(|column| column.name.chars().count()).max().unwrap_or(0).max(6);
    writeln!(out, "  {:width$}  {:16}  {:>9}  example", "column", "type", "missing")?;
    for column in &plan.columns {
        let example = column.example.as_deref().unwrap_or_default().escape_debug().to_string();
        let renamed = match column.original == column.name {
            true => String::new(),
            false => format!("  (in the file: {})", column.original.escape_debug()),
        };
        let (name, kind, nulls) = (&column.name, column.kind, column.nulls);
        writeln!(out, "  {name:width$}  {kind:16}  {nulls:>9}  {example}{renamed}")?;
    }
    if !plan.missing.is_empty() {
        writeln!(out, "  NULL in every row: {}", plan.missing.join(", "))?;
    }
    Ok(())
}

fn destination_name(plan: &Plan) -> &str {
    match &plan.destination {
        Destination::Table { name, .. } => name,
        Destination::Records(model_type) => model_type.table,
    }
}

/// A bar on standard error if that is a terminal, else nothing.
fn bar(what: &'static str) -> Progress {
    const STEPS: f64 = 1_000.0;
    let style = ProgressStyle::with_template("{msg:10} {wide_bar} {percent:>3} % {eta}");
    let bar = ProgressBar::new(STEPS as u64).with_message(what);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    Box::new(move |share| {
        bar.set_position((share * STEPS) as u64);
        if share >= 1.0 {
            bar.finish_and_clear();
        }
    })
}

fn record_table(text: &str) -> Result<ModelType, String> {
    let tables = || ModelType::all().map(|model_type| model_type.table);
    ModelType::all().find(|model_type| model_type.table == text).ok_or_else(|| {
        format!("'{text}' is no record table; there are {}", tables().collect::<Vec<_>>().join(", "))
    })
}

fn column_type(text: &str) -> Result<(String, ColumnType), String> {
    let (name, kind) = text.rsplit_once('=').ok_or("write name=type")?;
    Ok((name.to_owned(), kind.parse()?))
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "\\t" | "tab" => Ok(b'\t'),
        _ => match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
            _ => Err("must be one ASCII character, or \\t".into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read() {
        assert_eq!(column_type("a=b=int8"), Ok(("a=b".into(), ColumnType::BigInt)));
        assert!(column_type("a").is_err() && column_type("a=number").is_err());
        assert_eq!(delimiter("\\t"), Ok(b'\t'));
        assert!(delimiter(";;").is_err() && delimiter("\"").is_err());
        assert_eq!(record_table("cost_records").map(|model_type| model_type.name), Ok("cost_forecasting"));
        assert!(record_table("ml_models").is_err_and(|message| message.contains("property_metrics")));
    }
}
