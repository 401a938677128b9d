//! What a value becomes does not depend on where its row came from.

use binah_ml::{
    catalog::ModelType,
    import::{Destination, Options},
};
use serde_json::{Value, json};

use crate::support::{
    Service, TENANT_A,
    imports::{file, import, import_text},
    tenant,
};

const MODEL: &str = "cost_forecasting";

/// Fills the record table of the tenant from a CSV.
async fn import_records(service: &Service, text: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(&folder, "records.csv", text);
    let into = Destination::Records(ModelType::parse(MODEL).expect("a type"));
    let owner = service.config.postgres.owner();
    import(&owner, tenant(TENANT_A), &path, into, Options::default()).await.expect("imports");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_become_one_are_told_whatever_their_source() {
    let service = Service::start_without_mlflow().await;
    let ids = || (0..60).map(|i| (20_000_001 + i, i % 7, 100 + i * 31 % 17));
    let rows: Vec<_> =
        ids().map(|(id, size, cost)| json!({"deed": id, "size": size, "total_cost": cost})).collect();
    let mut table = "deed,size,total_cost\n".to_owned();
    let mut records = "entity_id,num_units,year,total_cost\n".to_owned();
    for (id, size, cost) in ids() {
        table.push_str(&format!("{id},{size},{cost}\n"));
        records.push_str(&format!("e{id},{id},{},{cost}\n", 2000 + size));
    }
    import_text(&service.config.postgres.owner(), tenant(TENANT_A), "deeds", &table).await.expect("imports");
    import_records(&service, &records).await;
    let query = "SELECT deed, size, total_cost FROM deeds";
    for (more, told, untold) in [
        (json!({ "data": rows }), "'deed'", "'size'"),
        (json!({ "training_data_query": query }), "'deed'", "'size'"),
        (json!({}), "'num_units'", "'year'"),
    ] {
        let trained = service.train(TENANT_A, MODEL, more).await.ok();
        let warnings = trained["warnings"].as_array().expect("a list");
        let about_digits: Vec<_> = warnings
            .iter()
            .filter_map(Value::as_str)
            .filter(|warning| warning.contains("differ only beyond 24 bits"))
            .collect();
        let [warning] = about_digits[..] else { panic!("{trained}") };
        assert!(warning.contains(told) && !warning.contains(untold), "{warning}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_number_is_one_category_whatever_its_source() {
    let service = Service::start_without_mlflow().await;
    let kinds = ["3.0", "4.0", "cellar"];
    let row = |i: usize| (kinds[i % 3], 100 + 50 * (i % 3) + i * 31 % 17);
    let mut table = "kind,total_cost\n".to_owned();
    let mut records = "entity_id,property_type,year,total_cost\n".to_owned();
    for (kind, cost) in (0..90).map(row) {
        table.push_str(&format!("{kind},{cost}\n"));
        records.push_str(&format!("e,{kind},2000,{cost}\n"));
    }
    import_text(&service.config.postgres.owner(), tenant(TENANT_A), "houses", &table).await.expect("imports");
    import_records(&service, &records).await;
    let inline = |spell: fn(&str) -> Value| {
        let spelt = |(kind, cost)| json!({"kind": spell(kind), "total_cost": cost});
        json!({"data": (0..90).map(row).map(spelt).collect::<Vec<_>>()})
    };
    let numbers = inline(|kind| kind.parse::<f64>().map_or(json!(kind), |number| json!(number)));
    let whole = inline(|kind| kind.parse::<f64>().map_or(json!(kind), |number| json!(number as i64)));
    let query = "SELECT kind, total_cost FROM houses ORDER BY import_row";
    let mut digests = vec![];
    for more in [inline(|kind| json!(kind)), numbers, whole, json!({ "training_data_query": query })] {
        service.train(TENANT_A, MODEL, more).await.ok();
        digests = service.column_of_models("data_digest").await;
    }
    assert!(digests.len() == 4 && digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");

    let predicted = async |features: Value| {
        let answer = service.predict(TENANT_A, MODEL, features).await.ok();
        assert_eq!(answer["unseen_categories"], json!([]), "{answer}");
        answer["prediction"]["value"].as_f64().expect("a number")
    };
    let three = predicted(json!({"kind": 3})).await;
    for spelt in [json!(3.0), json!("3"), json!("3.0"), json!(" 3.00")] {
        assert_eq!(predicted(json!({ "kind": spelt })).await, three);
    }
    assert_ne!(predicted(json!({"kind": "4.0"})).await, three);

    // The third of the catalog's own names.
    service.train(TENANT_A, MODEL, json!({})).await.ok();
    let industrial = predicted(json!({"property_type": "industrial"})).await;
    for spelt in [json!(3), json!("3.0"), json!("3")] {
        assert_eq!(predicted(json!({ "property_type": spelt })).await, industrial);
    }
}
