//! Where the rows of a training come from.
//!
//! Rows in the request stand alone, so does what a SELECT or a named Cypher template yields: the caller
//! chose them, and a join would bring back the entities that a WHERE had left out. The default training
//! joins the record table with the graph ([`join`]) where Neo4j is configured.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::json;

use super::{TrainRequest, memory::Size};
use crate::{
    catalog::ModelType,
    error::{Error, FieldError, Result},
    features::{
        Dataset, FeatureTable, inline,
        join::{JoinReport, TooManyRows, join},
        neo4j::{self, GraphSource},
        pipeline::MIN_ROWS,
        postgres,
        query::{self, TenantQuery},
        table::{Column, ColumnValues, KeyedTable, MISSING},
    },
    forest::rng::Rng,
    storage::{
        Database, in_time,
        records::{self, Mark},
    },
};

/// How long the record table may take: what Postgres gives it, and the way.
const READ: Duration = postgres::READ_TIMEOUT.saturating_add(Duration::from_secs(60));

/// What trainings may read.
#[derive(Debug)]
pub struct Sources {
    /// Where the records are.
    pub database: Database,
    /// Runs the SELECTs that tenants write; `None`: switched off.
    pub queries: Option<TenantQuery>,
    /// The graph; `None`: switched off.
    pub graph: Option<GraphSource>,
    /// Most rows that a training takes: from the record table, and of its join with the graph.
    pub max_rows: usize,
}

/// The source of one training.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// The request's own rows.
    Inline,
    /// The record table.
    Postgres,
    /// The record table joined with the graph.
    Joined(&'a GraphSource),
    /// The tenant's own SELECT.
    Query(&'a TenantQuery, &'a str),
    /// The operator's Cypher template of that name.
    Cypher(&'a GraphSource, &'a str),
}

/// Where rows came from, for the run and the message.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// `inline`, `postgres`, `joined`, `query` or `cypher`.
    pub source: &'static str,
    /// What each side of a join gave.
    pub join: Option<JoinReport>,
    /// How far the record table was read, where it was.
    pub records: Option<Mark>,
}

/// Rows as they were read.
#[derive(Debug)]
pub(super) struct Loaded {
    source: &'static str,
    rows: Rows,
    /// How far the record table was read, where it was.
    pub(super) records: Option<Mark>,
    warnings: Vec<String>,
    /// Of a join.
    max_rows: usize,
}

#[derive(Debug)]
enum Rows {
    InRequest,
    One(FeatureTable),
    Graph(KeyedTable),
    Both { postgres: KeyedTable, neo4j: KeyedTable },
}

impl Source<'_> {
    /// Name in the run's parameters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Postgres => "postgres",
            Self::Joined(_) => "joined",
            Self::Query(..) => "query",
            Self::Cypher(..) => "cypher",
        }
    }
}

impl Sources {
    /// The source that the request names.
    ///
    /// # Errors
    /// [`Error::Invalid`] for two sources at once, one that is switched off, and a template that does not
    /// exist.
    pub fn choose<'a>(&'a self, request: &'a TrainRequest) -> Result<Source<'a>> {
        if let (Some(target), None) = (&request.target, &request.data) {
            let msg = "target names a column of data; a query names its target column itself";
            return Err(Error::invalid(FieldError::body("value_error", ["target"], msg, json!(target))));
        }
        let Some(text) = request.training_data_query.as_deref() else {
            return Ok(match (&request.data, &self.graph) {
                (Some(_), _) => Source::Inline,
                (None, Some(graph)) => Source::Joined(graph),
                (None, None) => Source::Postgres,
            });
        };
        let refuse = |kind, msg| {
            Err(Error::invalid(FieldError::body(kind, ["training_data_query"], msg, json!(text))))
        };
        let template = text.trim().strip_prefix(neo4j::PREFIX).map(str::trim);
        match (template, &self.graph, &self.queries) {
            (Some(_), None, _) => {
                refuse("not_available", "Neo4j is switched off here, and with it every cypher: template")
            }
            (None, _, None) => {
                refuse("not_available", "training_data_query is switched off here; send rows in data")
            }
            _ if request.data.is_some() => refuse("value_error", "Send either data or training_data_query"),
            (Some(name), Some(graph), _) => {
                graph.check_name(name, request.model_type)?;
                Ok(Source::Cypher(graph, name))
            }
            (None, _, Some(queries)) => Ok(Source::Query(queries, text)),
        }
    }

    /// Reads the rows of the tenant whose scope is open. `now` is the day that ages are counted to.
    ///
    /// # Errors
    /// Those of [`Self::choose`] and of the source. [`Error::Unavailable`] naming Neo4j if it is down and
    /// Postgres alone does not suffice.
    pub(super) async fn read(
        &self,
        request: &TrainRequest,
        user_id: &str,
        now: DateTime<Utc>,
    ) -> Result<Loaded> {
        let (model_type, today) = (request.model_type, now.date_naive());
        let source = self.choose(request)?;
        let mut records = None;
        let rows = match source {
            Source::Inline => Rows::InRequest,
            Source::Postgres => {
                let (table, mark) = in_time(READ, self.read_records(model_type)).await?;
                records = Some(mark);
                Rows::One(table)
            }
            Source::Joined(graph) => return self.read_both(graph, model_type, today).await,
            Source::Query(queries, text) => {
                let request = query::Request { user_id, model_type, text };
                Rows::One(queries.run(request).await?.0)
            }
            Source::Cypher(graph, name) => Rows::Graph(graph.named_rows(name, model_type, today).await?),
        };
        Ok(Loaded { records, ..self.loaded(source, rows) })
    }

    /// The record table, and how far it was read.
    async fn read_records(&self, model_type: ModelType) -> Result<(FeatureTable, Mark)> {
        let mut transaction = self.database.tenant_snapshot("read_training_rows").await?;
        let table = postgres::load_in(&mut transaction, model_type, self.max_rows).await?;
        let mark = records::mark(&mut transaction, model_type, table.n_rows).await?;
        transaction.commit().await?;
        Ok((table, mark))
    }

    /// The same with the entity of each row.
    async fn read_keyed_records(&self, model_type: ModelType) -> Result<(KeyedTable, Mark)> {
        let mut transaction = self.database.tenant_snapshot("read_training_rows").await?;
        let keyed = postgres::load_keyed_in(&mut transaction, model_type, self.max_rows).await?;
        let mark = records::mark(&mut transaction, model_type, keyed.table.n_rows).await?;
        transaction.commit().await?;
        Ok((keyed, mark))
    }

    /// What is known of the size before anything is read: inline rows are there, records are counted, what a
    /// SELECT or a template yields only its rows tell.
    ///
    /// # Errors
    /// Those of [`Self::choose`] and of the database.
    pub(super) async fn size(&self, request: &TrainRequest) -> Result<Size> {
        Ok(match (self.choose(request)?, &request.data) {
            (Source::Inline, Some(rows)) => Size {
                rows: rows.len() as u64,
                columns: rows.iter().map(|row| row.len()).max().unwrap_or_default() as u64,
                inline: true,
            },
            (Source::Postgres | Source::Joined(_), _) => Size {
                rows: postgres::count(&self.database, request.model_type, self.max_rows).await?,
                columns: request.model_type.features.len() as u64,
                inline: false,
            },
            _ => Size::default(),
        })
    }

    async fn read_both(
        &self,
        graph: &GraphSource,
        model_type: ModelType,
        today: NaiveDate,
    ) -> Result<Loaded> {
        let (postgres, neo4j) =
            tokio::join!(in_time(READ, self.read_keyed_records(model_type)), graph.rows(model_type, today));
        let (postgres, mark) = postgres?;
        let records = Some(mark);
        match neo4j {
            Ok(neo4j) => {
                let both = self.loaded(Source::Joined(graph), Rows::Both { postgres, neo4j });
                Ok(Loaded { records, ..both })
            }
            Err(error @ Error::Unavailable { .. }) if suffices(&postgres.table) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "training without the graph");
                let warning = "Neo4j is not available: trained on the records in Postgres alone".to_owned();
                let alone = self.loaded(Source::Postgres, Rows::One(postgres.table));
                Ok(Loaded { records, warnings: vec![warning], ..alone })
            }
            Err(error) => Err(error),
        }
    }

    fn loaded(&self, source: Source<'_>, rows: Rows) -> Loaded {
        Loaded { source: source.name(), rows, records: None, warnings: vec![], max_rows: self.max_rows }
    }
}

/// Whether the records alone have every feature of the catalog, and rows enough: what Neo4j would have
/// given is not known while it is down.
fn suffices(records: &FeatureTable) -> bool {
    let usable = records.target.iter().filter(|target| !target.is_nan()).count();
    let usable = if records.target.is_empty() { records.n_rows } else { usable };
    usable >= MIN_ROWS && records.columns.iter().all(|column| column.values.missing() < column.values.len())
}

impl Loaded {
    /// Rows and columns; `None` for those of the request, whose size is known.
    pub(super) fn size(&self) -> Option<Size> {
        let of = |table: &FeatureTable| (table.n_rows, table.columns.len());
        let (rows, columns) = match &self.rows {
            Rows::InRequest => return None,
            Rows::One(table) => of(table),
            Rows::Graph(rows) => of(&rows.table),
            // Both sides, and what is joined of them.
            Rows::Both { postgres, neo4j } => {
                let (one, other) = (of(&postgres.table), of(&neo4j.table));
                (one.0 + other.0, one.1.max(other.1))
            }
        };
        Some(Size { rows: rows as u64, columns: columns as u64, inline: false })
    }

    /// The rows as a dataset; on the training pool, for a join takes its time.
    ///
    /// # Errors
    /// Those of [`Dataset::new`]; [`Error::Invalid`] if both sides of a join have too many rows together.
    pub(super) fn dataset(self, request: &TrainRequest) -> Result<(Dataset, Origin)> {
        let model_type = request.model_type;
        let catalog_target = model_type.target.map(|target| target.name);
        let mut origin = Origin { source: self.source, join: None, records: self.records };
        let mut warnings = self.warnings;
        let mut dataset = match self.rows {
            Rows::InRequest => {
                let target = catalog_target.map(|name| request.target.as_deref().unwrap_or(name));
                let rows = request.data.as_deref().unwrap_or_default();
                Dataset::new(inline::table(rows, model_type, target)?, model_type, Some("data"), target)?
            }
            Rows::One(table) => {
                let field = request.training_data_query.as_ref().map(|_| "training_data_query");
                Dataset::new(table, model_type, field, catalog_target)?
            }
            Rows::Graph(rows) => {
                let table = rows.in_entity_order().table;
                Dataset::new(table, model_type, Some("training_data_query"), catalog_target)?
            }
            Rows::Both { postgres, neo4j } => {
                let joined = Joined::new(postgres, neo4j, model_type, self.max_rows)?;
                let mut dataset = Dataset::new(joined.table, model_type, None, catalog_target)?;
                dataset.schema.make_optional(&joined.graph_only);
                warnings.extend(joined.report.columns_of_two_kinds.iter().map(|name| {
                    format!(
                        "'{name}' holds numbers on one side and texts on the other: Neo4j's were not used"
                    )
                }));
                origin.join = Some(joined.report);
                dataset
            }
        };
        dataset.warnings.append(&mut warnings);
        Ok((dataset, origin))
    }
}

/// Both sides as one table.
struct Joined {
    table: FeatureTable,
    report: JoinReport,
    /// Features that Postgres has no column for: a prediction may leave them out.
    graph_only: Vec<String>,
}

impl Joined {
    fn new(postgres: KeyedTable, neo4j: KeyedTable, model_type: ModelType, max_rows: usize) -> Result<Self> {
        // The record table has every feature of the catalog, in the catalog's order.
        let n_own = postgres.table.columns.len();
        let joined = join(postgres, neo4j.in_entity_order(), model_type.target.is_some(), max_rows);
        let (mut table, mut report) = joined.map_err(|error| too_many_rows(error, model_type, max_rows))?;
        let extra = table.columns.split_off(n_own);
        let n_extra = extra.len();
        // A tenant without markets or deals has no use for what they would tell.
        let known = extra.into_iter().filter(|column| column.values.missing() < column.values.len());
        table.columns.extend(known);
        let kept = &mut table.columns[n_own..];
        leave_out_some(kept, table.n_rows);
        report.cells_missing -= (n_extra - kept.len()) * table.n_rows;
        let graph_only = kept.iter().map(|column| column.name.clone()).collect();
        Ok(Self { table, report, graph_only })
    }
}

fn too_many_rows(TooManyRows(rows): TooManyRows, model_type: ModelType, limit: usize) -> Error {
    let msg = format!(
        "{} and Neo4j have {rows} rows together, more than {limit}, the most that one training reads",
        model_type.table
    );
    let error = FieldError::body("too_many_rows", ["model_type"], msg, json!(model_type.name));
    Error::invalid(error.with_ctx(json!({ "max": limit })))
}

/// Every so manieth row is learnt from as a request sends it that knows nothing of the graph.
const ROWS_WITHOUT_GRAPH: u32 = 10;

/// Blanks the columns in a tenth of the rows, the same ones for all. A tree that never saw a value
/// missing sends a missing one the way that happened to be first, which may be far worse than a model
/// without the column. Which rows is drawn by their number: equal rows give equal models.
fn leave_out_some(columns: &mut [Column], n_rows: usize) {
    let without = |row: &usize| Rng::for_stream(0, *row as u64).below(ROWS_WITHOUT_GRAPH) == 0;
    for row in (0..n_rows).filter(without) {
        for column in &mut *columns {
            match &mut column.values {
                ColumnValues::Numeric(values) => values[row] = f32::NAN,
                ColumnValues::Categorical { codes, .. } => codes[row] = MISSING,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(name: &str, values: Vec<f32>) -> Column {
        Column { name: name.to_owned(), values: ColumnValues::Numeric(values) }
    }

    fn side(rows: usize, columns: Vec<Column>, target: Vec<f64>) -> KeyedTable {
        let entity_ids = (0..rows).map(|row| format!("e{row:03}")).collect();
        KeyedTable {
            entity_ids,
            table: FeatureTable { n_rows: rows, columns, target, ..FeatureTable::default() },
        }
    }

    #[test]
    fn what_the_graph_alone_knows_is_optional_and_what_nobody_knows_is_dropped() {
        let postgres = side(3, vec![numbers("year", vec![1.0, 2.0, f32::NAN])], vec![1.0, 2.0, 3.0]);
        let graph = vec![
            numbers("year", vec![f32::NAN, f32::NAN, 7.0]),
            numbers("deals", vec![0.0, 1.0, 2.0]),
            numbers("market", vec![f32::NAN; 3]),
        ];
        let cost = ModelType::parse("cost_forecasting").expect("a type");
        let joined = Joined::new(postgres, side(3, graph, vec![f64::NAN; 3]), cost, 3).expect("joins");
        let names: Vec<_> = joined.table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!((names, joined.graph_only), (vec!["year", "deals"], vec!["deals".to_owned()]));
        let report = joined.report;
        assert_eq!((report.cells_postgres, report.cells_neo4j, report.cells_missing), (2, 4, 0));
    }

    #[test]
    fn a_tenth_of_the_rows_is_learnt_from_without_the_graph() {
        let values = || vec![1.0; 2_000];
        let postgres =
            side(2_000, vec![numbers("year", values())], values().into_iter().map(f64::from).collect());
        let graph =
            side(2_000, vec![numbers("deals", values()), numbers("age", values())], vec![f64::NAN; 2_000]);
        let cost = ModelType::parse("cost_forecasting").expect("a type");
        let table = Joined::new(postgres, graph, cost, 2_000).expect("joins").table;
        let missing = |column: usize| -> Vec<bool> {
            let ColumnValues::Numeric(values) = &table.columns[column].values else { panic!("numbers") };
            values.iter().map(|value| value.is_nan()).collect()
        };
        let share = missing(1).iter().filter(|&&missing| missing).count() as f64 / 2_000.0;
        assert!((share - 0.1).abs() < 0.03, "{share}");
        assert_eq!(missing(1), missing(2), "a request leaves out all of them or none");
        assert!(missing(0).iter().all(|&missing| !missing));
    }

    #[test]
    fn records_suffice_with_every_feature_and_rows_enough() {
        let full = |rows| side(rows, vec![numbers("a", vec![1.0; rows])], vec![1.0; rows]).table;
        assert!(suffices(&full(MIN_ROWS)));
        assert!(!suffices(&full(MIN_ROWS - 1)));
        let gap = numbers("b", vec![f32::NAN; MIN_ROWS]);
        assert!(!suffices(&side(MIN_ROWS, vec![gap], vec![1.0; MIN_ROWS]).table));
        let mut unlabelled = full(MIN_ROWS);
        unlabelled.target[0] = f64::NAN;
        assert!(!suffices(&unlabelled));
        unlabelled.target.clear();
        assert!(suffices(&unlabelled), "an unsupervised model needs no target");
    }
}
