//! Against a real Neo4j Community. It is long because one server, which takes ten seconds to start, is used by all of it.

mod throughput;

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use neo4rs::Query;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::template::Template;
use super::*;
use crate::auth::tenant::{self, TenantId};
use crate::dev::graph::{self, Batch, SampleGraph};
use crate::dev::portfolio::TenantProfile;
use crate::dev::{Durability, PrivateNeo4j};
use crate::features::table::ColumnValues;

fn options(server: &PrivateNeo4j) -> GraphOptions {
    GraphOptions::from(&server.config())
}

fn source(options: &GraphOptions) -> GraphSource {
    GraphSource::open(options).expect("templates and address are good")
}

fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, 1).expect("a date")
}

fn small(profile: TenantProfile) -> TenantProfile {
    let rows = crate::dev::portfolio::RowCounts { cost: 150, risk: 150, roi: 120, properties: 20 };
    TenantProfile { rows, ..profile }
}

async fn server(folder: &std::path::Path) -> PrivateNeo4j {
    let mut server = PrivateNeo4j::start(folder, Durability::Scratch).expect("`make neo4j-dev` was run");
    server.ready(|_| ()).await.expect("ready");
    server
}

/// One server for all of it: a start costs ten seconds.
#[tokio::test]
async fn against_a_real_server() {
    let folder = tempfile::tempdir().expect("scratch folder");
    let server = server(folder.path()).await;
    let options = options(&server);
    let tenants = [small(TenantProfile::metropolitan()), small(TenantProfile::regional())];
    let graphs = tenants.each_ref().map(|profile| graph::generate(profile, 7));
    for graph in &graphs {
        assert!(load(&options, graph).await.expect("loaded") > 0);
        assert_eq!(load(&options, graph).await.expect("looked"), 0, "it is there already");
    }
    source(&options).verify().await.expect("the server calls ours read-only");

    hostile_relationships(&options, &tenants).await;
    for (profile, graph) in tenants.iter().zip(&graphs) {
        only_own_nodes(&options, profile, graph).await;
    }
    means_leave_the_row_itself_out(&options, &tenants[0], &graphs[0]).await;
    no_scope_no_rows(&options).await;
    values_become_features(&options).await;
    values_of_a_wrong_type_are_not_quoted(&options).await;
    slow_queries_are_stopped_on_the_server(&options).await;
    writes_are_refused(&options).await;
    limits_and_logins(&options).await;
    other_schemes(&options, &server).await;

    let source = source(&options);
    server.stop().await.expect("stopped");
    let cost = ModelType::parse("cost_forecasting").expect("a type");
    let down = tenant::scope(tenant_of(&tenants[0]), source.rows(cost, today())).await;
    assert_eq!(down.expect_err("down").to_string(), "Neo4j is not available");
    assert!(matches!(source.verify().await, Err(OpenError::Unavailable(_))), "not a reason to stay down");
}

fn tenant_of(profile: &TenantProfile) -> TenantId {
    TenantId::trusted(profile.tenant_id)
}

/// What no correct writer would make: relationships from one tenant's nodes to another's.
async fn hostile_relationships(options: &GraphOptions, tenants: &[TenantProfile; 2]) {
    let [a, b] = tenants.each_ref().map(|profile| profile.tenant_id.to_string());
    let statements = [
        "CREATE (:Market {tenantId: $b, entityId: 'canary', pricePerSqft: -777.0, volatility: -777.0, growthRate: -777.0, \
         vacancyRate: -777.0})",
        "CREATE (:Deal {tenantId: $b, entityId: 'canary', closedOn: date('2999-01-01')})",
        "MATCH (n {tenantId: $a}), (m:Market {tenantId: $b, entityId: 'canary'}) WHERE n:Project OR n:Property \
         CREATE (n)-[:LOCATED_IN]->(m)",
        "MATCH (n {tenantId: $a}), (d:Deal {tenantId: $b, entityId: 'canary'}) WHERE n:Project OR n:Property \
         CREATE (n)-[:HAS_DEAL]->(d)",
    ];
    let batches = statements.map(|statement| Batch {
        statement: statement.replace("$a", &format!("'{a}'")).replace("$b", &format!("'{b}'")),
        rows: vec![],
    });
    let session = Session::open(options).expect("address");
    loader::write(&session, batches).await.expect("written");
}

/// Node property behind each feature of the default templates.
const ATTRIBUTES: [(&str, &str); 14] = [
    ("project_size_sqft", "sizeSqft"),
    ("num_units", "numUnits"),
    ("location_tier", "locationTier"),
    ("year", "year"),
    ("leverage_ratio", "leverageRatio"),
    ("occupancy_rate", "occupancyRate"),
    ("property_age", "propertyAge"),
    ("location_risk_score", "locationRiskScore"),
    ("purchase_price", "purchasePrice"),
    ("annual_revenue", "annualRevenue"),
    ("operating_expenses", "operatingExpenses"),
    ("monthly_revenue", "monthlyRevenue"),
    ("maintenance_cost", "maintenanceCost"),
    ("tenant_turnover", "tenantTurnover"),
];

/// Every value of every default template is the one that this tenant's node has.
async fn only_own_nodes(options: &GraphOptions, profile: &TenantProfile, graph: &SampleGraph) {
    let source = source(options);
    let nodes: HashMap<&str, &Map<String, Value>> = graph
        .nodes
        .values()
        .flatten()
        .filter_map(|node| Some((node.get("entityId")?.as_str()?, node)))
        .collect();
    for model_type in ModelType::all() {
        let rows = tenant::scope(tenant_of(profile), source.rows(model_type, today())).await.expect("rows");
        let label = if model_type.name == "cost_forecasting" { "Project" } else { "Property" };
        let training =
            graph.nodes["TrainingData"].iter().filter(|node| node["model_type"] == model_type.name);
        let training = training.count();
        assert_eq!(
            rows.table.n_rows,
            graph.nodes[label].len() + training,
            "{model_type} of {}",
            profile.name
        );
        if model_type.target.is_some() {
            let targets = rows.table.target.iter().filter(|target| !target.is_nan()).count();
            assert_eq!(targets, training, "targets come from TrainingData alone");
        }
        let mut compared = 0;
        for column in &rows.table.columns {
            let ColumnValues::Numeric(values) = &column.values else { continue };
            assert!(!values.contains(&-777.0), "{} of another tenant's market", column.name);
            let attribute = ATTRIBUTES.iter().find(|(feature, _)| *feature == column.name);
            for (id, &value) in rows.entity_ids.iter().zip(values) {
                let node = nodes[id.as_str()];
                let Some((feature, property)) = attribute else { continue };
                let key = if node.contains_key("model_type") { feature } else { property };
                let expected =
                    node.get(*key).and_then(Value::as_f64).map_or(f32::NAN, |number| number as f32);
                assert!(
                    value == expected || (value.is_nan() && expected.is_nan()),
                    "{id} {feature}: {value} {expected}"
                );
                compared += 1;
            }
            if column.name == "newest_deal_age_days" {
                assert!(values.iter().all(|days| days.is_nan() || *days > 0.0), "a deal of another tenant");
            }
        }
        assert!(compared > 300, "{compared} values of {model_type}");
    }
}

async fn means_leave_the_row_itself_out(
    options: &GraphOptions,
    profile: &TenantProfile,
    graph: &SampleGraph,
) {
    let risk = ModelType::parse("risk_assessment").expect("a type");
    let rows = tenant::scope(tenant_of(profile), source(options).rows(risk, today())).await.expect("rows");
    let mut markets: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
    for (kind, from, id, _, market) in &graph.relationships {
        let age = graph.nodes["Property"].iter().find(|node| node["entityId"] == **id);
        if let (&"LOCATED_IN", &"Property", Some(age)) =
            (kind, from, age.and_then(|node| node.get("propertyAge")?.as_f64()))
        {
            markets.entry(market).or_default().push((id, age));
        }
    }
    let column = rows.table.columns.iter().find(|column| column.name == "market_mean_property_age");
    let Some(ColumnValues::Numeric(values)) = column.map(|column| &column.values) else { panic!("numbers") };
    let mut means = 0;
    for (market, members) in &markets {
        for (id, _) in members {
            let others: Vec<f64> =
                members.iter().filter(|(other, _)| other != id).map(|(_, age)| *age).collect();
            let row = rows.entity_ids.iter().position(|known| known == id).expect("a row of each property");
            if others.is_empty() {
                assert!(values[row].is_nan());
                continue;
            }
            let expected = others.iter().sum::<f64>() / others.len() as f64;
            assert!(
                (f64::from(values[row]) - expected).abs() < 1e-3,
                "{market} {id}: {} {expected}",
                values[row]
            );
            means += 1;
        }
    }
    assert!(means > 50, "{means}");
}

async fn no_scope_no_rows(options: &GraphOptions) {
    let source = source(options);
    let roi = ModelType::parse("roi_prediction").expect("a type");
    assert!(matches!(source.rows(roi, today()).await, Err(Error::NoTenantScope)));
    let nobody = TenantId::trusted(Uuid::from_u128(1));
    let rows = tenant::scope(nobody, source.rows(roi, today())).await.expect("rows");
    assert_eq!(rows.table.n_rows, 0);
}

/// A source with the operator's templates `(name, text)`.
fn with_templates(options: &GraphOptions, templates: &[(&str, &str)]) -> GraphSource {
    let folder = tempfile::tempdir().expect("scratch folder");
    for (name, text) in templates {
        std::fs::write(folder.path().join(format!("{name}.cypher")), text).expect("written");
    }
    source(&GraphOptions { templates: Some(folder.path().to_owned()), ..options.clone() })
}

/// Of a model that needs no target.
async fn named(source: &GraphSource, name: &str) -> Result<KeyedTable> {
    named_for("anomaly_detection", source, name).await
}

async fn named_for(model: &str, source: &GraphSource, name: &str) -> Result<KeyedTable> {
    let tenant = TenantId::trusted(TenantProfile::regional().tenant_id);
    let model_type = ModelType::parse(model).expect("a type");
    tenant::scope(tenant, source.named_rows(name, model_type, today())).await
}

async fn values_become_features(options: &GraphOptions) {
    let types = "UNWIND [1, 2] AS i RETURN i AS entity_id, $tenantId AS tenant, 1.5 AS float, i = 1 AS flag, \
        CASE i WHEN 1 THEN null ELSE date('1970-01-11') END AS day, datetime('1970-01-02T12:00:00+00:00') AS moment, \
        null AS nothing, i * 2 AS target, datetime('1970-01-02T00:00:00Z') AS observed_at";
    let bad = [
        (
            "list",
            "RETURN 'a' AS entity_id, [1] AS x",
            "'x' from Neo4j must be a number, a boolean or a date; a row has a list",
        ),
        ("map", "RETURN 'a' AS entity_id, {a: 1} AS x", "a row has a map"),
        (
            "node",
            "MATCH (n:Market {tenantId: $tenantId}) RETURN 'a' AS entity_id, n AS x",
            "a row has a node",
        ),
        ("mixed", "UNWIND ['a', 1] AS x RETURN 'a' AS entity_id, x AS x", "'x' from Neo4j must be a text"),
        (
            "null-id",
            "RETURN null AS entity_id, 1 AS x",
            "'entity_id' from Neo4j must be a text or an integer",
        ),
        (
            "texts",
            "UNWIND range(1, 300) AS i RETURN i AS entity_id, toString(i) AS x",
            "more than 255 distinct texts",
        ),
    ];
    let kinds = "UNWIND [['b', 'commercial '], ['a', 2], ['a', '1'], ['c', null]] AS x \
        RETURN x[0] AS entity_id, x[1] AS property_type, 1 AS target";
    let ids = "UNWIND range(1, 30) AS i RETURN i AS entity_id, 20000000 + i AS deed, i % 7 AS size";
    let mut templates = vec![("types", types), ("kinds", kinds), ("ids", ids)];
    templates.extend(bad.map(|(name, text, _)| (name, text)));
    let source = with_templates(options, &templates);
    let rows = named_for("risk_assessment", &source, "types").await.expect("rows");
    assert_eq!(rows.entity_ids, ["1", "2"]);
    let names: Vec<&str> = rows.table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["tenant", "float", "flag", "day", "moment", "nothing"]);
    let tenant = TenantProfile::regional().tenant_id.to_string();
    let label = ColumnValues::Categorical { labels: vec![tenant], codes: vec![0, 0] };
    assert_eq!(rows.table.columns[0].values, label);
    let number = |column: usize, row: usize| match &rows.table.columns[column].values {
        ColumnValues::Numeric(values) => values[row],
        ColumnValues::Categorical { .. } => panic!("column {column} holds numbers"),
    };
    assert_eq!(
        [number(1, 0), number(2, 0), number(2, 1), number(3, 1), number(4, 0)],
        [1.5, 1.0, 0.0, 10.0, 1.5]
    );
    assert!(number(3, 0).is_nan() && number(5, 0).is_nan());
    assert_eq!(rows.table.target, [2.0, 4.0]);
    assert_eq!(rows.table.observed_at, [86_400.0; 2]);
    let rows = named_for("cost_forecasting", &source, "kinds").await.expect("rows");
    assert_eq!(rows.entity_ids, ["b", "a", "a", "c"]);
    let ColumnValues::Categorical { labels, codes } = &rows.table.columns[0].values else { panic!("texts") };
    let kind = |row: usize| labels.get(codes[row] as usize).map(String::as_str);
    assert_eq!(
        [kind(0), kind(1), kind(2), kind(3)],
        [Some("commercial"), Some("commercial"), Some("residential"), None]
    );
    let told = named(&source, "ids").await.expect("rows").table.warnings;
    assert!(told.len() == 1 && told[0].contains("'deed' differ only beyond 24 bits"), "{told:?}");
    let error = named_for("cost_forecasting", &source, "list").await.expect_err("no target").to_string();
    assert!(error.contains("no column 'total_cost' or 'target'"), "{error}");
    for (name, _, expected) in bad {
        let error = named(&source, name).await.expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
    let unknown = named(&source, "absent").await.expect_err("unknown").to_string();
    assert!(unknown.contains("'absent'") && unknown.contains("types"), "{unknown}");
}

/// The server's own message quotes the text.
async fn values_of_a_wrong_type_are_not_quoted(options: &GraphOptions) {
    const CANARY: &str = "canary-7f3a";
    let days = format!(
        "UNWIND ['2020-01-01', '{CANARY}'] AS text RETURN text AS entity_id, duration.inDays(date(text), $today).days AS age"
    );
    let sum = format!("UNWIND [1, '{CANARY}'] AS x RETURN x AS entity_id, x * 2 AS twice");
    let source = with_templates(options, &[("days", &days), ("sum", &sum)]);
    for name in ["days", "sum"] {
        let error = named(&source, name).await.expect_err("no number");
        let Error::Invalid(errors) = &error else { panic!("{error:?}") };
        assert_eq!(errors[0].kind, "graph_value");
        assert!(error.to_string().contains(&format!("template '{name}' cannot")), "{error}");
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error:?}");
    }
}

/// A bound on waiting, not a measure of it.
const PATIENCE: u32 = 300;

async fn slow_queries_are_stopped_on_the_server(options: &GraphOptions) {
    let slow = "UNWIND range(1, 2000000000) AS i WITH sum(i % 7) AS total RETURN 'slow' AS entity_id, total AS total";
    let hasty = GraphOptions { query_timeout: Duration::from_millis(500), ..options.clone() };
    let source = with_templates(&hasty, &[("slow", slow)]);
    let error = named(&source, "slow").await.expect_err("too slow");
    let Error::Unavailable { dependency: "Neo4j", source: cause } = &error else { panic!("{error:?}") };
    assert!(cause.to_string().contains("TransactionTimedOut"), "the server itself stopped it: {cause}");
    let session = Session::open(options).expect("address");
    for attempt in 0.. {
        let show = Query::new("SHOW TRANSACTIONS YIELD currentQuery RETURN currentQuery AS text".into());
        let mut running = session.graph().execute_read(show).await.expect("running");
        let mut found = false;
        while let Some(row) = running.next().await.expect("rows") {
            found |= row.get::<String>("text").expect("text").contains("range(1, 2000000000)");
        }
        if !found {
            return;
        }
        assert!(attempt < PATIENCE, "the query still runs");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Both layers below the check of the text, with a text that the check never saw.
async fn writes_are_refused(options: &GraphOptions) {
    let session = Session::open(options).expect("address");
    let template = |text: &str| {
        let mut template = Template::parse("t.cypher", "RETURN 1 AS entity_id").expect("good");
        text.clone_into(&mut template.text);
        template
    };
    let write = template("CREATE (n:Canary) RETURN 1 AS entity_id");
    let refused = session.verify(&write).await.expect_err("writes").to_string();
    assert!(refused.starts_with("Cypher template t.cypher:") && refused.contains("read"), "{refused}");
    let broken = session.verify(&template("RETURN 1 AS entity_id ORDER")).await.expect_err("no Cypher");
    assert!(matches!(broken, OpenError::Template(_)), "{broken}");

    // What the check of the text accepts is Cypher for the server, too, and read-only.
    let corpus = include_str!("../../../tests/attacks/cypher.tsv")
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>());
    for fields in corpus.filter(|fields| fields.get(2) == Some(&"ok")) {
        session.verify(&template(fields[1])).await.expect(fields[0]);
    }

    write.set_verified();
    let tenant = TenantId::trusted(Uuid::from_u128(1));
    let anomaly = ModelType::parse("anomaly_detection").expect("a type");
    let written = tenant::scope(tenant, session.rows(&write, anomaly, None, today())).await;
    assert!(matches!(written, Err(Error::Internal(_))), "read mode stops it: {written:?}");
    let count = template("MATCH (n:Canary) RETURN count(n) AS entity_id");
    let count = tenant::scope(tenant, session.rows(&count, anomaly, None, today())).await.expect("counted");
    assert_eq!(count.entity_ids, ["0"]);
}

async fn limits_and_logins(options: &GraphOptions) {
    let many = ("many", "UNWIND range(1, 50) AS i RETURN i AS entity_id");
    let limited = with_templates(&GraphOptions { max_rows: 49, ..options.clone() }, &[many]);
    let error = named(&limited, "many").await.expect_err("too many").to_string();
    assert!(error.contains("more than 49 rows"), "{error}");
    let exact = with_templates(&GraphOptions { max_rows: 50, ..options.clone() }, &[many]);
    assert_eq!(named(&exact, "many").await.expect("fits").entity_ids.len(), 50);
    let stranger = GraphOptions { password: "wrong".to_owned().into(), ..options.clone() };
    let error = named(&with_templates(&stranger, &[many]), "many").await.expect_err("wrong password");
    assert!(matches!(error, Error::Unavailable { dependency: "Neo4j", .. }), "{error:?}");
}

async fn other_schemes(options: &GraphOptions, server: &PrivateNeo4j) {
    let one = [("one", "RETURN 1 AS entity_id")];
    for scheme in ["bolt", "neo4j", "bolt+s", "neo4j+s"] {
        let ca_certificate = scheme.ends_with("+s").then(|| server.certificate());
        let options = GraphOptions { uri: server.uri_with(scheme), ca_certificate, ..options.clone() };
        let rows = named(&with_templates(&options, &one), "one").await;
        assert_eq!(rows.expect(scheme).entity_ids, ["1"], "{scheme}");
    }
    // Without the certificate nobody vouches for the server.
    let options = GraphOptions { uri: server.uri_with("bolt+s"), ..options.clone() };
    let error = named(&with_templates(&options, &one), "one").await.expect_err("unknown certificate");
    assert!(matches!(error, Error::Unavailable { dependency: "Neo4j", .. }), "{error:?}");
}

#[tokio::test]
async fn nobody_there_is_told_by_name() {
    let options = GraphOptions::from(&Neo4jConfig::new("bolt://127.0.0.1:1", "neo4j", "x"));
    let source = source(&options);
    assert!(matches!(source.verify().await, Err(OpenError::Unavailable(_))));
    let tenant = TenantId::trusted(Uuid::from_u128(1));
    let cost = ModelType::parse("cost_forecasting").expect("a type");
    let error = tenant::scope(tenant, source.rows(cost, today())).await.expect_err("down");
    assert_eq!((error.to_string().as_str(), error.code()), ("Neo4j is not available", "unavailable"));
}
