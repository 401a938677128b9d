//! What an import would do, from the file and from what stands in the database.

use std::path::PathBuf;

use super::{
    ColumnType, Format, Options, Progress,
    error::{ImportError, Result},
    names,
    source::Field,
    survey::{Expected, Rule, Survey},
};
use crate::{
    Error,
    catalog::ModelType,
    storage::{
        Database, TenantTransaction,
        imported_tables::{self, TableColumn},
    },
};

/// Most columns: `SELECT *` has two more, and a query's result at most 1,000.
const MAX_COLUMNS: usize = 998;
/// Most columns of a file of which some are left out.
const MAX_FIELDS: usize = 10_000;

/// Where the rows go.
#[derive(Debug, Clone)]
pub enum Destination {
    /// The tenant's table of that name.
    Table {
        /// What the tenant writes after FROM.
        name: String,
        /// Whether the file takes the place of what stands there; else it is appended.
        replace: bool,
    },
    /// The record table of a model type.
    Records(ModelType),
}

/// What becomes of the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A new table.
    Create,
    /// More rows of a table that stands.
    Append,
    /// A new table in place of the one of that name.
    Replace,
}

/// An import that can be carried out by [`load`](super::load).
#[derive(Debug, Clone)]
pub struct Plan {
    /// The file.
    pub file: PathBuf,
    /// How it is written.
    pub format: Format,
    /// How it is read.
    pub options: Options,
    /// Where the rows go; the table's name as Postgres understands it.
    pub destination: Destination,
    /// What becomes of it.
    pub action: Action,
    /// Rows of the file.
    pub rows: u64,
    /// The columns that are imported, in the file's order.
    pub columns: Vec<PlannedColumn>,
    /// Columns of the destination that the file lacks: they are NULL.
    pub missing: Vec<String>,
}

/// A column that is imported.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedColumn {
    /// Its name in the file.
    pub original: String,
    /// Its name in SQL.
    pub name: String,
    /// Its type.
    pub kind: ColumnType,
    /// How many values are missing.
    pub nulls: u64,
    /// The first value, shortened; `None` if there is none.
    pub example: Option<String>,
    /// Which column of the file it is, from 0.
    pub(super) position: usize,
}

impl Plan {
    /// The names of the columns in SQL.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }
}

/// What the destination says of a column.
struct Known {
    name: String,
    kind: ColumnType,
    rule: Rule,
}

/// Reads the file and looks at its destination, for the tenant whose scope is open. Changes nothing.
///
/// # Errors
/// [`ImportError`] for whatever would keep the import from succeeding, with row and column where it is a value.
pub async fn plan(
    owner: &Database,
    file: impl Into<PathBuf>,
    destination: Destination,
    options: Options,
    progress: Progress,
) -> Result<Plan> {
    let file = file.into();
    let format = Format::of(&file)?;
    let fields = format.fields(&file, &options)?;
    let mut transaction = owner.tenant_snapshot("import_plan").await?;
    let (destination, action, known) = destined(&mut transaction, destination).await?;
    drop(transaction);
    let columns = chosen(&fields, &options)?;
    let missing = fits(&columns, known.as_deref(), &destination)?;
    let expected = columns
        .iter()
        .map(|column| column.expected(&fields, &options, known.as_deref()))
        .collect::<Result<Vec<_>>>()?;

    let positions: Vec<usize> = columns.iter().map(|column| column.position).collect();
    let survey = {
        let (file, options) = (file.clone(), options.clone());
        tokio::task::spawn_blocking(move || {
            let mut survey = Survey::new(expected);
            format.read(&file, &options, &positions, &mut survey, &progress).map(|()| survey)
        })
    };
    let survey = survey.await.map_err(Error::internal)??;
    if survey.rows == 0 {
        return Err(ImportError::File(format!("{}: has no rows", file.display())));
    }
    let rows = survey.rows;
    let columns = columns.into_iter().zip(survey.finish()).map(|(column, surveyed)| PlannedColumn {
        original: fields[column.position].name.clone(),
        name: column.name,
        kind: surveyed.kind,
        nulls: surveyed.nulls,
        example: surveyed.example,
        position: column.position,
    });
    let columns = columns.collect();
    Ok(Plan { file, format, options, destination, action, rows, columns, missing })
}

/// The destination with its name checked, what becomes of it, and its columns if they stand already.
async fn destined(
    transaction: &mut TenantTransaction,
    destination: Destination,
) -> Result<(Destination, Action, Option<Vec<Known>>)> {
    match destination {
        Destination::Records(model_type) => {
            let binary = model_type.target.filter(|target| target.binary).map(|target| target.name);
            let columns = imported_tables::record_columns(transaction, model_type.table).await?;
            let known = columns.into_iter().map(|(column, required)| {
                let rule = match required {
                    true => Rule::Required,
                    false if binary == Some(&column.name) => Rule::Binary,
                    false => Rule::Any,
                };
                known(column, rule)
            });
            let known = known.collect::<Result<_>>()?;
            Ok((Destination::Records(model_type), Action::Append, Some(known)))
        }
        Destination::Table { name, replace } => {
            let name = names::table_name(&name)?;
            if imported_tables::is_taken(transaction, &name).await? {
                let message = format!("'{name}' is the name of a table of the service; take another");
                return Err(ImportError::Argument(message));
            }
            let table = imported_tables::find(transaction, &name).await?;
            let destination = Destination::Table { name, replace };
            match table {
                None => Ok((destination, Action::Create, None)),
                Some(_) if replace => Ok((destination, Action::Replace, None)),
                Some(table) => {
                    let known = table.columns.into_iter().map(|column| known(column, Rule::Any));
                    Ok((destination, Action::Append, Some(known.collect::<Result<_>>()?)))
                }
            }
        }
    }
}

fn known(column: TableColumn, rule: Rule) -> Result<Known> {
    let kind = column.sql_type.parse().map_err(Error::internal)?;
    Ok(Known { name: column.name, kind, rule })
}

/// A column that is not skipped.
struct Chosen {
    position: usize,
    name: String,
}

/// The columns to import, under their names in SQL.
fn chosen(fields: &[Field], options: &Options) -> Result<Vec<Chosen>> {
    if fields.len() > MAX_FIELDS {
        let found = fields.len();
        return Err(ImportError::File(format!("{found} columns; a file has at most {MAX_FIELDS}")));
    }
    let originals: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
    let named = names::column_names(&originals);
    let all = || originals.iter().zip(&named);
    for given in options.types.iter().map(|(name, _)| name).chain(&options.skip) {
        if !all().any(|(original, name)| original == given || name == given) {
            let columns = named.join(", ");
            let message = format!("The file has no column '{given}'; it has {columns}");
            return Err(ImportError::Argument(message));
        }
    }
    let skipped = |position: usize| {
        options.skip.iter().any(|skip| *skip == originals[position] || *skip == named[position])
    };
    let chosen = named.iter().enumerate().filter(|(position, _)| !skipped(*position));
    let chosen: Vec<Chosen> =
        chosen.map(|(position, name)| Chosen { position, name: name.clone() }).collect();
    if let Some(column) = chosen.iter().find(|column| column.name == names::TENANT) {
        let original = &originals[column.position];
        return Err(ImportError::File(format!(
            "The column '{original}' names a tenant, which --tenant alone does; leave it out with --skip {original}"
        )));
    }
    if chosen.is_empty() || chosen.len() > MAX_COLUMNS {
        let found = chosen.len();
        return Err(ImportError::File(format!(
            "{found} columns; an import has 1 to {MAX_COLUMNS}: leave columns out with --skip"
        )));
    }
    Ok(chosen)
}

/// Holds the columns against those that stand; returns those that the file lacks and may lack.
fn fits(columns: &[Chosen], known: Option<&[Known]>, destination: &Destination) -> Result<Vec<String>> {
    let Some(known) = known else { return Ok(vec![]) };
    let listed = |names: Vec<&str>| names.join(", ");
    let extra = columns.iter().filter(|column| !known.iter().any(|known| known.name == column.name));
    let extra: Vec<&str> = extra.map(|column| column.name.as_str()).collect();
    let missing = known.iter().filter(|known| !columns.iter().any(|column| column.name == known.name));
    let (needed, missing): (Vec<_>, Vec<_>) = match destination {
        Destination::Records(_) => missing.partition(|known| known.rule == Rule::Required),
        Destination::Table { .. } => (missing.collect(), vec![]),
    };
    let needed: Vec<&str> = needed.iter().map(|known| known.name.as_str()).collect();
    let (what, hint) = match destination {
        Destination::Records(model_type) => (model_type.table, "leave columns out with --skip"),
        Destination::Table { name, .. } => {
            (name.as_str(), "leave columns out with --skip, or put the file in its place with --replace")
        }
    };
    let mut wrong = vec![];
    if !extra.is_empty() {
        wrong.push(format!("the file has columns that {what} lacks: {}", listed(extra)));
    }
    if !needed.is_empty() {
        wrong.push(format!("the file lacks columns that {what} needs: {}", listed(needed)));
    }
    if wrong.is_empty() {
        return Ok(missing.iter().map(|known| known.name.clone()).collect());
    }
    let columns = listed(known.iter().map(|known| known.name.as_str()).collect());
    Err(ImportError::File(format!("{}; {what} has {columns}; {hint}", wrong.join("; "))))
}

impl Chosen {
    /// What its values must be: as the destination says, else as the caller, else as the file.
    fn expected(&self, fields: &[Field], options: &Options, known: Option<&[Known]>) -> Result<Expected> {
        let Field { name: original, declared } = &fields[self.position];
        let declared = declared.clone().map_err(|what| {
            let message = format!("The column '{original}' {what}; leave it out with --skip {original}");
            ImportError::File(message)
        })?;
        let standing = known.and_then(|known| known.iter().find(|known| known.name == self.name));
        let mut types = options.types.iter();
        let given = types.find(|(name, _)| name == original || *name == self.name).map(|(_, kind)| *kind);
        if let (Some(standing), Some(given)) = (standing, given)
            && standing.kind != given
        {
            let name = &self.name;
            let message = format!("The column '{name}' stands as {} there, not {given}", standing.kind);
            return Err(ImportError::Argument(message));
        }
        Ok(Expected {
            name: self.name.clone(),
            kind: standing.map(|known| known.kind).or(given).or(declared),
            rule: standing.map_or(Rule::Any, |known| known.rule),
        })
    }
}
