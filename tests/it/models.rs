//! Which version is served, and what people do about it: promotion, aliases, rollback, deprecation,
//! comparison, lists; through HTTP, with real trainings.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    python,
    support::{Answer, Service, TENANT_A, TENANT_B},
};

const TYPE: &str = "cost_forecasting";

/// Rows of two lines that meet, without or under so much noise that a model of them is worse on any rows.
fn rows(n: usize, noise: f64) -> Vec<Value> {
    let row = |i: usize| {
        let size = (i * 37 % 101) as f64;
        // A fixed sequence without a pattern that a tree could learn.
        let wobble = ((i * i * 7919 + i * 104_729) % 1009) as f64 / 1009.0 - 0.5;
        json!({ "size": size, "total_cost": 1000.0 + 50.0 * (size - 50.0).abs() + noise * wobble })
    };
    (0..n).map(row).collect()
}

async fn train(service: &Service, more: Value) -> Value {
    service.train(TENANT_A, TYPE, more).await.ok()
}

/// A good first version and a second one that saw the clean rows badly: few, shallow trees.
async fn champion_and_challenger(service: &Service) -> (Value, Value) {
    let good = train(service, json!({"data": rows(300, 0.0), "config": {"n_estimators": 30}})).await;
    let bad =
        train(service, json!({"data": rows(300, 0.0), "config": {"n_estimators": 1, "max_depth": 1}})).await;
    (good, bad)
}

/// The version that answers a prediction for `version`.
async fn answering(service: &Service, version: Option<&str>) -> Answer {
    let body = json!({"tenant_id": TENANT_A, "model_type": TYPE, "model_version": version, "features": {"size": 10}});
    service.post("/api/ml/predict", TENANT_A, &body).await
}

async fn served(service: &Service, version: Option<&str>) -> Value {
    answering(service, version).await.ok()["model_version"].take()
}

async fn change(service: &Service, method: &str, path: &str, body: Option<Value>) -> Answer {
    service.send(method, &format!("/api/ml/models/{TYPE}/{path}"), TENANT_A, "admin", body).await
}

async fn get(service: &Service, path: &str) -> Value {
    service.get(&format!("/api/ml/models{path}"), TENANT_A).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_better_model_is_served_and_the_worse_one_says_that_it_is_not() {
    let service = Service::start_without_mlflow().await;
    let (first, worse) = champion_and_challenger(&service).await;
    assert_eq!(
        (&first["promotion"]["promoted"], &first["promotion"]["decision"]),
        (&json!(true), &json!("first"))
    );
    assert_eq!(first["warnings"], json!([]));

    let promotion = &worse["promotion"];
    assert_eq!((&promotion["promoted"], &promotion["champion"]), (&json!(false), &json!("v1.0")), "{worse}");
    // The same rows are held out of both, by the same seed: the champion's number is its own metric.
    assert_eq!(promotion["champion_value"], first["metrics"]["rmse"]);
    assert_eq!(promotion["value"], worse["metrics"]["rmse"]);
    let warning = worse["warnings"][0].as_str().expect("a warning");
    assert!(warning.starts_with("v2.0 is not served, v1.0 stays the champion: rmse "), "{warning}");
    assert!(worse["message"].as_str().expect("a text").contains("v1.0 stays the champion"), "{worse}");

    assert_eq!(served(&service, None).await, "v1.0");
    assert_eq!(served(&service, Some("champion")).await, "v1.0");
    assert_eq!(served(&service, Some("challenger")).await, "v2.0");
    assert_eq!(served(&service, Some("latest")).await, "v2.0");
    assert_eq!(answering(&service, Some("nobody")).await.status, 404);

    // The same again is not better; more trees are.
    let same = train(&service, json!({"data": rows(300, 0.0), "config": {"n_estimators": 30}})).await;
    assert_eq!(same["promotion"]["decision"], "not_better", "{same}");
    let better = train(&service, json!({"data": rows(300, 0.0)})).await;
    assert_eq!(
        (&better["promotion"]["decision"], &better["warnings"]),
        (&json!("better"), &json!([])),
        "{better}"
    );
    assert!(better["message"].as_str().expect("a text").contains("now the champion: rmse "), "{better}");
    assert_eq!(served(&service, None).await, "v4.0");
    assert_eq!(served(&service, Some("challenger")).await, "v3.0", "the last one that lost");

    let detail = get(&service, &format!("/{TYPE}/versions/2")).await;
    let decision = &detail["promotions"][0];
    assert_eq!(
        (&decision["decision"], &decision["champion"]),
        (&json!("not_better"), &json!("v1.0")),
        "{detail}"
    );
    assert_eq!((&decision["value"], &decision["decided_by"]), (&promotion["value"], &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_trained_on_noise_does_not_replace_a_good_one() {
    let service = Service::start_without_mlflow().await;
    train(&service, json!({"data": rows(400, 0.0)})).await;
    // The champion predicts the noisy hold-out better than a model that learnt the noise by heart.
    let noisy = train(&service, json!({"data": rows(400, 20_000.0)})).await;
    assert_eq!(noisy["promotion"]["promoted"], json!(false), "{noisy}");
    assert_eq!(served(&service, None).await, "v1.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_is_served_and_says_why() {
    let service = Service::start_without_mlflow().await;
    train(&service, json!({"data": rows(100, 0.0)})).await;
    let renamed: Vec<_> = rows(100, 0.0)
        .iter()
        .map(|row| json!({"area": row["size"], "total_cost": row["total_cost"]}))
        .collect();
    let other = train(&service, json!({"data": renamed})).await;
    assert_eq!(other["promotion"]["decision"], "not_comparable", "{other}");
    let reason = other["promotion"]["reason"].as_str().expect("a text");
    assert_eq!(reason, "not comparable with v1.0: it needs 'size', which these rows do not have");
    assert_eq!(
        (&other["promotion"]["promoted"], &other["promotion"]["metric"]),
        (&json!(true), &Value::Null)
    );

    let mut prices = renamed;
    prices.iter_mut().for_each(|row| row["price"] = row["total_cost"].take());
    prices.iter_mut().for_each(|row| {
        row.as_object_mut().expect("an object").remove("total_cost");
    });
    let target = train(&service, json!({"data": prices, "target": "price"})).await;
    let reason = &target["promotion"]["reason"];
    assert_eq!(reason, "not comparable with v2.0: it predicts 'total_cost', not 'price'", "{target}");

    let all = train(&service, json!({"data": rows(100, 0.0), "validation_split": 0})).await;
    assert_eq!(all["promotion"]["decision"], "no_held_out_rows", "{all}");
    // The champion can be asked although the rows have a column more, and one that the new model does without.
    let mut wider = rows(100, 0.0);
    wider.iter_mut().for_each(|row| row["currency"] = json!("EUR"));
    let wider = train(&service, json!({"data": wider, "config": {"n_estimators": 1}})).await;
    assert_eq!(wider["promotion"]["decision"], "not_better", "{wider}");

    let anomalies: Vec<_> =
        (0..60).map(|i| json!({"monthly_revenue": i * 37 % 101, "occupancy_rate": i % 7})).collect();
    for decision in ["first", "no_labels"] {
        let trained = service.train(TENANT_A, "anomaly_detection", json!({"data": anomalies})).await.ok();
        assert_eq!(trained["promotion"]["decision"], decision, "{trained}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_or_nobody_may_decide_instead() {
    let service = Service::start_with(&[("PROMOTION", "manual")]).await;
    train(&service, json!({"data": rows(200, 0.0), "config": {"n_estimators": 1}})).await;
    let better = train(&service, json!({"data": rows(200, 0.0)})).await;
    let promotion = &better["promotion"];
    assert_eq!((&promotion["promoted"], &promotion["decision"]), (&json!(false), &json!("manual")));
    assert!(promotion["value"].as_f64() < promotion["champion_value"].as_f64(), "{better}");
    assert_eq!(served(&service, None).await, "v1.0");
    change(&service, "PUT", "aliases/champion", Some(json!({"version": "challenger"}))).await.ok();
    assert_eq!(served(&service, None).await, "v2.0");
    assert_eq!(answering(&service, Some("challenger")).await.status, 404, "it is the champion now");

    let service = Service::start_with(&[("PROMOTION", "always")]).await;
    let (_, worse) = champion_and_challenger(&service).await;
    assert_eq!((&worse["promotion"]["decision"], &worse["warnings"]), (&json!("always"), &json!([])));
    assert_eq!(served(&service, None).await, "v2.0");

    let service = Service::start_with(&[("PROMOTION_MARGIN", "0.9999")]).await;
    train(&service, json!({"data": rows(200, 0.0), "config": {"n_estimators": 90}})).await;
    let slightly = train(&service, json!({"data": rows(200, 0.0)})).await;
    assert_eq!(slightly["promotion"]["decision"], "not_better", "{slightly}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trainings_at_once_leave_one_champion_that_nobody_of_them_beats() {
    let service = Service::start_without_mlflow().await;
    let trees = [1, 60, 5, 30];
    let train =
        |trees: u32| train(&service, json!({"data": rows(200, 0.0), "config": {"n_estimators": trees}}));
    let answers = tokio::join!(train(trees[0]), train(trees[1]), train(trees[2]), train(trees[3]));
    let best = answers.1["model_version"].clone();
    assert_eq!(served(&service, None).await, best, "the one with the most trees: {answers:?}");
    let champions = get(&service, "?alias=champion").await;
    assert_eq!(champions["versions"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn aliases_move_and_the_champion_goes_back() {
    let service = Service::start_without_mlflow().await;
    champion_and_challenger(&service).await;
    let set = async |alias: &str, version: Value| {
        change(&service, "PUT", &format!("aliases/{alias}"), Some(json!({ "version": version }))).await
    };
    let blue = set("blue", json!(2)).await.ok();
    assert_eq!(
        (&blue["model_version"], &blue["alias"], &blue["mlflow_follows"]),
        (&json!("v2.0"), &json!("blue"), &json!(false))
    );
    assert_eq!(served(&service, Some("blue")).await, "v2.0");
    set("blue", json!("v1.0")).await.ok();
    assert_eq!(served(&service, Some("blue")).await, "v1.0");
    change(&service, "DELETE", "aliases/blue", None).await.ok();
    assert_eq!(answering(&service, Some("blue")).await.status, 404);
    assert_eq!(change(&service, "DELETE", "aliases/blue", None).await.status, 404);
    assert_eq!(change(&service, "DELETE", "aliases/champion", None).await.status, 409);
    assert_eq!(set("latest", json!(1)).await.kinds(), ["value_error"]);
    assert_eq!(set("v1", json!(1)).await.kinds(), ["value_error"]);
    assert_eq!(set("blue", json!(null)).await.kinds(), ["string_type"]);
    assert_eq!(change(&service, "PUT", "aliases/blue", Some(json!({}))).await.kinds(), ["missing"]);
    assert_eq!(set("blue", json!("v9.0")).await.status, 404);

    // v1 (first) -> v2 -> v3, and back twice; there is nothing before the first.
    assert_eq!(change(&service, "POST", "rollback", None).await.status, 409, "v1 is the first");
    set("champion", json!("challenger")).await.ok();
    train(&service, json!({"data": rows(300, 0.0), "config": {"n_estimators": 50}})).await;
    assert_eq!(served(&service, None).await, "v3.0");
    for (now, before) in [("v2.0", "v3.0"), ("v1.0", "v2.0")] {
        let back = change(&service, "POST", "rollback", None).await.ok();
        assert_eq!((&back["model_version"], &back["replaced"]), (&json!(now), &json!(before)));
        assert_eq!(served(&service, None).await, now);
    }
    let nowhere = change(&service, "POST", "rollback", None).await;
    let detail = "cost_forecasting v1.0 has no earlier champion to go back to";
    assert_eq!((nowhere.status, &nowhere.body["detail"]), (409, &json!(detail)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deprecated_version_answers_by_its_number_only() {
    let service = Service::start_without_mlflow().await;
    champion_and_challenger(&service).await;
    let refused = change(&service, "POST", "versions/champion/deprecate", None).await;
    let detail = "cost_forecasting v1.0 is the champion; make another version champion first";
    assert_eq!((refused.status, &refused.body["detail"]), (409, &json!(detail)));
    for _ in 0..2 {
        let done = change(&service, "POST", "versions/v2.0/deprecate", None).await.ok();
        assert_eq!((&done["state"], &done["alias"]), (&json!("deprecated"), &Value::Null));
    }
    assert_eq!(served(&service, Some("2")).await, "v2.0");
    assert_eq!(served(&service, Some("latest")).await, "v1.0");
    assert_eq!(answering(&service, Some("challenger")).await.status, 404);
    let set = change(&service, "PUT", "aliases/champion", Some(json!({"version": 2}))).await;
    assert_eq!(
        (set.status, &set.body["detail"]),
        (409, &json!("cost_forecasting v2.0 is deprecated; no alias can name it"))
    );
    assert_eq!(get(&service, "?state=deprecated").await["versions"][0]["model_version"], "v2.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_and_filtered() {
    let service = Service::start_without_mlflow().await;
    champion_and_challenger(&service).await;
    train(&service, json!({"data": rows(300, 0.0), "config": {"n_estimators": 30}})).await;
    let anomalies: Vec<_> =
        (0..60).map(|i| json!({"monthly_revenue": i * 37 % 101, "occupancy_rate": i % 7})).collect();
    service.train(TENANT_A, "anomaly_detection", json!({"data": anomalies})).await.ok();
    let names = |page: &Value| -> Vec<String> {
        let versions = page["versions"].as_array().expect("a list");
        versions
            .iter()
            .map(|v| {
                format!(
                    "{} {}",
                    v["model_type"].as_str().expect("a type"),
                    v["model_version"].as_str().expect("a version")
                )
            })
            .collect()
    };
    let mut seen = vec![];
    let mut path = "?limit=2".to_owned();
    let pages = loop {
        let page = get(&service, &path).await;
        seen.push(names(&page));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("?limit=2&cursor={cursor}"),
            None => break seen,
        }
    };
    assert_eq!(
        pages,
        [
            ["anomaly_detection v1.0", "cost_forecasting v3.0"],
            ["cost_forecasting v2.0", "cost_forecasting v1.0"],
        ]
    );
    assert_eq!(
        names(&get(&service, "?alias=champion").await),
        ["anomaly_detection v1.0", "cost_forecasting v1.0"]
    );
    assert_eq!(names(&get(&service, "?alias=challenger").await), ["cost_forecasting v3.0"]);
    assert_eq!(names(&get(&service, "?model_type=anomaly_detection").await), ["anomaly_detection v1.0"]);
    assert_eq!(
        names(&get(&service, &format!("/{TYPE}/versions?limit=1&cursor={TYPE}.3")).await),
        ["cost_forecasting v2.0"]
    );
    assert_eq!(get(&service, "?alias=champion").await["versions"][1]["aliases"], json!(["champion"]));
    let faulty = "/api/ml/models?limit=0&cursor=x&state=new&model_type=y&alias=V1";
    let faulty = service.get(faulty, TENANT_A).await;
    assert_eq!(
        faulty.kinds(),
        ["literal_error", "value_error", "literal_error", "greater_than_equal", "value_error"]
    );
    assert_eq!(service.get("/api/ml/models?limit=101", TENANT_A).await.kinds(), ["less_than_equal"]);
    assert_eq!(get(&service, "?state=deprecated").await, json!({"versions": [], "next_cursor": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_version_is_shown_whole_and_two_side_by_side() {
    let service = Service::start_without_mlflow().await;
    let (first, _) = champion_and_challenger(&service).await;
    let mut wider = rows(300, 0.0);
    for (i, row) in wider.iter_mut().enumerate() {
        row["kind"] = json!(["a", "b"][i % 2]);
    }
    train(&service, json!({"data": wider, "seed": 7, "config": {"n_estimators": 1}})).await;

    let shown = get(&service, &format!("/{TYPE}/versions/champion")).await;
    assert_eq!((&shown["model_version"], &shown["metrics"]), (&json!("v1.0"), &first["metrics"]));
    assert_eq!(shown["schema"]["features"][0]["name"], "size");
    assert_eq!(shown["hyperparameters"]["n_estimators"], 30);
    assert_eq!(shown["feature_importance"], json!({"size": 1.0}));
    let files: Vec<_> =
        shown["artifacts"].as_array().expect("a list").iter().map(|file| file["name"].as_str()).collect();
    assert_eq!(files, [Some("model.bin"), Some("model.json"), Some("profile.json")]);
    assert_eq!(shown["artifacts"][0]["sha256"].as_str().map(str::len), Some(64));
    let lineage = &shown["lineage"];
    assert_eq!((&lineage["job_id"], &lineage["tenant_id"]), (&first["job_id"], &json!(TENANT_A)));
    assert_eq!(
        (&lineage["data_source"], &lineage["seed"], &lineage["n_rows"]),
        (&json!("inline"), &json!(42), &json!(300))
    );
    assert_eq!(lineage["created_by"], format!("user-of-{TENANT_A}"));
    let path = format!("/api/ml/models/{TENANT_A}/{TYPE}/metrics");
    assert_eq!(service.get(&path, TENANT_A).await.ok()["model_version"], "v1.0", "the one that is served");

    let other = get(&service, &format!("/{TYPE}/compare?a=v1.0&b=v2.0")).await;
    assert_eq!(other["same_data"], json!(true));
    let names: Vec<_> = other["hyperparameters"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|pair| pair["name"].as_str())
        .collect();
    assert_eq!(names, [Some("max_depth"), Some("n_estimators")]);
    let rmse = other["metrics"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|pair| pair["name"] == "rmse")
        .expect("rmse");
    let number = |name: &str| rmse[name].as_f64().expect("a number");
    assert_eq!(number("difference"), number("b") - number("a"));
    assert!(number("difference") > 0.0, "{rmse}");
    assert_eq!(other["features"], json!({"only_a": [], "only_b": [], "changed": [], "same_target": true}));
    let third = get(&service, &format!("/{TYPE}/compare?a=champion&b=challenger")).await;
    assert_eq!(
        (&third["a"]["model_version"], &third["b"]["model_version"]),
        (&json!("v1.0"), &json!("v3.0"))
    );
    assert_eq!((&third["same_data"], &third["features"]["only_b"]), (&json!(false), &json!(["kind"])));
    let missing = service.get(&format!("/api/ml/models/{TYPE}/compare?a=1"), TENANT_A).await;
    assert_eq!(
        (missing.kinds(), &missing.body["detail"][0]["loc"]),
        (vec!["missing"], &json!(["query", "b"]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_versions_are_not_there_and_users_change_nothing() {
    let service = Service::start_without_mlflow().await;
    champion_and_challenger(&service).await;
    let base = format!("/api/ml/models/{TYPE}");
    assert_eq!(service.get("/api/ml/models", TENANT_B).await.ok()["versions"], json!([]));
    assert_eq!(service.get(&format!("{base}/versions"), TENANT_B).await.ok()["versions"], json!([]));
    let version = json!({"version": 1});
    let changes = [
        ("PUT", format!("{base}/aliases/champion"), Some(version.clone())),
        ("PUT", format!("{base}/aliases/blue"), Some(version)),
        ("DELETE", format!("{base}/aliases/challenger"), None),
        ("POST", format!("{base}/rollback"), None),
        ("POST", format!("{base}/versions/1/deprecate"), None),
    ];
    for (method, path, body) in changes {
        let foreign = service.send(method, &path, TENANT_B, "admin", body.clone()).await;
        assert_eq!(foreign.status, 404, "{method} {path}: {}", foreign.body);
        let user = service.send(method, &path, TENANT_A, "user", body).await;
        assert_eq!(
            (user.status, &user.body["detail"]),
            (403, &json!("Administrator role required")),
            "{path}"
        );
    }
    for path in ["/versions/1", "/versions/champion", "/compare?a=1&b=2"] {
        assert_eq!(service.get(&format!("{base}{path}"), TENANT_B).await.status, 404, "{path}");
    }
    for path in ["/api/ml/models".to_owned(), format!("{base}/versions"), format!("{base}/versions/1")] {
        let nobody = service.get(&path, "no-uuid").await;
        assert_eq!(
            (nobody.status, &nobody.body["detail"]),
            (403, &json!("The token names no tenant")),
            "{path}"
        );
    }
    assert_eq!(
        (served(&service, None).await, served(&service, Some("challenger")).await),
        (json!("v1.0"), json!("v2.0"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mlflow_follows_the_aliases() {
    let service = Service::start().await;
    // Of its own: the tests share one MLflow.
    let tenant = Uuid::new_v4().to_string();
    let train = async |more: Value| service.train(&tenant, TYPE, more).await.ok();
    let good = train(json!({"data": rows(300, 0.0)})).await;
    let bad = train(json!({"data": rows(300, 0.0), "config": {"n_estimators": 1, "max_depth": 1}})).await;
    let change = async |method: &str, path: &str, body: Option<Value>| {
        let path = format!("/api/ml/models/{TYPE}/{path}");
        service.send(method, &path, &tenant, "admin", body).await
    };
    let name = format!("{tenant}_{TYPE}");
    let read = |aliases: &[&str]| {
        let input = json!({"tracking_uri": service.config.mlflow.tracking_uri, "name": name, "aliases": aliases,
                           "row": {"size": 10.0}});
        let text = python::run(python::script("it/python/read_aliases.py").arg(input.to_string()));
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    let seen = read(&["champion", "challenger"]);
    assert_eq!(
        (&seen["champion"]["run_id"], &seen["challenger"]["run_id"]),
        (&good["run_id"], &bad["run_id"])
    );
    let tags = &seen["champion"]["tags"];
    assert_eq!((&tags["tenant_id"], &tags["run_id"]), (&json!(tenant), &good["run_id"]));
    assert_eq!(tags["metric.rmse"], good["metrics"]["rmse"].to_string());
    assert_eq!(tags["data_digest"].as_str().map(str::len), Some(64));
    let promotion = seen["challenger"]["tags"]["promotion"].as_str().expect("a tag");
    assert!(promotion.starts_with("not promoted (not_better): rmse "), "{promotion}");
    let ours = service.predict(&tenant, TYPE, json!({"size": 10})).await.ok();
    assert_eq!(seen["champion"]["prediction"], ours["prediction"]["value"], "models:/...@champion");

    let set = change("PUT", "aliases/blue", Some(json!({"version": 2}))).await.ok();
    assert_eq!(set["mlflow_follows"], json!(true), "{set}");
    change("PUT", "aliases/champion", Some(json!({"version": 2}))).await.ok();
    let seen = read(&["champion", "challenger", "blue"]);
    assert_eq!((&seen["champion"]["run_id"], &seen["blue"]["run_id"]), (&bad["run_id"], &bad["run_id"]));
    assert_eq!(seen["challenger"], Value::Null, "the champion challenges nobody");
    change("POST", "rollback", None).await.ok();
    change("POST", "versions/2/deprecate", None).await.ok();
    let seen = read(&["champion", "blue"]);
    assert_eq!((&seen["champion"]["run_id"], &seen["blue"]), (&good["run_id"], &Value::Null));
}
