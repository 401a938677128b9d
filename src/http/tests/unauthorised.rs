//! Who is let in. The table is the routes' own, so a route cannot be missing here.

use serde_json::json;

use super::*;
use crate::http::routes::{Access, table};

/// A path that fits the pattern.
fn path(pattern: &str) -> String {
    pattern
        .replace("{tenant_id}", TENANT)
        .replace("{model_type}", "cost_forecasting")
        .replace("{version}", "v1.0")
        .replace("{alias}", "blue")
        .replace("{job_id}", TENANT)
        .replace("{file}", "swagger-ui.css")
}

#[tokio::test]
async fn every_protected_route_refuses_who_has_no_valid_token() {
    let expired = {
        let new = NewToken { user_id: "u", tenant_id: TENANT, email: "", role: "admin", expires_in: -60 };
        format!("Bearer {}", tokens().mint(&new).expect("signs"))
    };
    let mut protected = 0;
    for route in table(&development()).filter(|route| route.access == Access::Token) {
        protected += 1;
        for method in route.methods {
            let line = format!("{method} {}", path(route.path));
            for (authorization, status, detail) in [
                (None, 403, "Not authenticated"),
                (Some(""), 403, "Not authenticated"),
                (Some("Bearer"), 403, "Not authenticated"),
                (Some("Basic dXNlcjpwYXNz"), 403, "Invalid authentication credentials"),
                (Some("Bearer garbage"), 401, "Could not validate credentials"),
                (Some(expired.as_str()), 401, "Could not validate credentials"),
            ] {
                let headers: Vec<_> =
                    authorization.map(|value| ("authorization", value)).into_iter().collect();
                // A body that is no JSON: who asks is checked before what is asked.
                let answer = send_to(router(state(development())), &line, &headers, "{bad").await;
                assert_eq!(
                    (answer.status, answer.detail()),
                    (status, json!(detail)),
                    "{line} {authorization:?}"
                );
                let challenge = (status == 401).then_some("Bearer");
                assert_eq!(answer.header("www-authenticate"), challenge, "{line}");
            }
        }
    }
    assert!(protected >= 5, "only {protected} protected routes");
}

#[tokio::test]
async fn what_is_public_is_written_down_here_too() {
    let public: Vec<_> = table(&development())
        .filter(|route| route.access == Access::Public)
        .map(|route| route.path)
        .collect();
    assert_eq!(
        public,
        [
            "/",
            "/health",
            "/health/live",
            "/health/ready",
            "/metrics",
            "/openapi.json",
            "/docs",
            "/docs/oauth2-redirect",
            "/docs/assets/{file}",
            "/redoc",
        ]
    );
}

#[tokio::test]
async fn a_protected_route_lets_a_valid_token_in() {
    let answer = send("GET /me", &[("authorization", &bearer())]).await;
    assert_eq!(
        answer.json(),
        json!({"user_id": "user-a-001", "tenant_id": TENANT, "email": "a@x", "role": "admin",
            "message": "Authentication successful"})
    );
    let lower = bearer().replace("Bearer", "bEARER");
    assert_eq!(send("GET /me", &[("authorization", &lower)]).await.status, 200);
}

#[tokio::test]
async fn another_tenant_is_refused_after_the_schema() {
    let own = bearer();
    let nobody = bearer_of("test-tenant-456");
    let other = "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb";
    let train = |tenant: &str| json!({"model_type": "roi_prediction", "tenant_id": tenant}).to_string();
    let predict = |tenant: &str| {
        json!({"model_type": "roi_prediction", "tenant_id": tenant, "features": {}}).to_string()
    };
    let metrics = |tenant: &str| format!("GET /api/ml/models/{tenant}/roi_prediction/metrics");
    let mismatch = json!("Tenant ID in request does not match authenticated tenant");
    for (line, body) in [
        ("POST /api/ml/train", train(other)),
        ("POST /api/ml/predict", predict(other)),
        (metrics(other).as_str(), String::new()),
    ] {
        let answer = send_to(router(state(development())), line, &[("authorization", &own)], body).await;
        assert_eq!((answer.status, answer.detail()), (403, mismatch.clone()), "{line}");
    }
    for (line, body) in [("POST /api/ml/predict", predict(TENANT)), (metrics(TENANT).as_str(), String::new())]
    {
        let answer = send_to(router(state(development())), line, &[("authorization", &nobody)], body).await;
        assert_eq!((answer.status, answer.detail()), (403, mismatch.clone()), "{line}");
    }
    let line = format!("GET /api/ml/models/{other}/house_price/metrics");
    let answer = send(&line, &[("authorization", &own)]).await;
    assert_eq!((answer.status, &answer.detail()[0]["loc"]), (422, &json!(["path", "model_type"])));
}

/// On every route that wants a token, before anything is read of the request.
#[tokio::test]
async fn a_service_of_one_tenant_lets_no_other_in() {
    let only = crate::auth::TenantId::from_claim(TENANT);
    let bound = HttpConfig { single_tenant: only, ..development() };
    let mismatch = json!("Tenant ID in request does not match authenticated tenant");
    for route in table(&development()).filter(|route| route.access == Access::Token) {
        for method in route.methods {
            let line = format!("{method} {}", path(route.path));
            for tenant in ["bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb", "test-tenant-456", ""] {
                let other = bearer_of(tenant);
                let answer =
                    send_to(router(state(bound.clone())), &line, &[("authorization", &other)], "{bad").await;
                assert_eq!((answer.status, answer.detail()), (403, mismatch.clone()), "{line} {tenant:?}");
            }
        }
    }
    let own = send_to(router(state(bound)), "GET /me", &[("authorization", &bearer())], "").await;
    assert_eq!(own.status, 200);
}

#[tokio::test]
async fn the_handler_runs_in_the_scope_of_the_token() {
    use axum::{middleware::from_fn_with_state, routing::get};

    let state = state(development());
    let me = table(&state.config).find(|route| route.path == "/me").expect("a route");
    let gate = from_fn_with_state((me, state.clone()), crate::http::gate::pass);
    let handler =
        || async { crate::auth::tenant::current().map_or("none".into(), |tenant| tenant.to_string()) };
    let router: Router = Router::new().route("/me", get(handler).layer(gate));
    for (claim, scope) in [(TENANT, TENANT), ("test-tenant-456", "none"), ("", "none")] {
        let answer = send_to(router.clone(), "GET /me", &[("authorization", &bearer_of(claim))], "").await;
        assert_eq!(answer.text, scope);
    }
}

/// Whatever is asked for, and before the body is read.
#[tokio::test]
async fn changes_to_versions_are_for_administrators() {
    let user = {
        let new = NewToken { user_id: "u", tenant_id: TENANT, email: "", role: "user", expires_in: 60 };
        format!("Bearer {}", tokens().mint(&new).expect("signs"))
    };
    let mut changes = 0;
    let below_models = |path: &str| path.starts_with("/api/ml/models");
    for route in table(&development()).filter(|route| below_models(route.path)) {
        for method in route.methods.iter().filter(|method| **method != "GET") {
            changes += 1;
            let line = format!("{method} {}", path(route.path));
            let answer =
                send_to(router(state(development())), &line, &[("authorization", &user)], "{bad").await;
            assert_eq!(
                (answer.status, answer.detail()),
                (403, json!("Administrator role required")),
                "{line}"
            );
        }
    }
    assert_eq!(
        changes, 6,
        "an alias set or taken away, a rollback, a deprecation, a schedule set or taken away"
    );
}

#[tokio::test]
async fn a_token_without_a_tenant_has_no_models() {
    let nobody = bearer_of("test-tenant-456");
    for line in [
        "GET /api/ml/models",
        "GET /api/ml/models/roi_prediction/versions",
        "POST /api/ml/models/x/rollback",
        "GET /api/ml/schedules",
        "GET /api/ml/jobs",
        "GET /api/ml/jobs/x",
        "DELETE /api/ml/jobs/x",
        "GET /api/ml/jobs/x/events",
    ] {
        let answer = send(line, &[("authorization", &nobody)]).await;
        assert_eq!((answer.status, answer.detail()), (403, json!("The token names no tenant")), "{line}");
    }
}

#[tokio::test]
async fn an_administrator_is_told_from_a_user() {
    use axum::extract::FromRequestParts;

    use crate::{Error, auth::Caller, http::Admin};

    let admit = async |roles: &[&str], tenant: &str| {
        let caller = Caller {
            user_id: "u".into(),
            tenant_claim: tenant.into(),
            tenant: crate::auth::TenantId::from_claim(tenant),
            email: "".into(),
            role: "".into(),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            expires_at: 4e9,
        };
        let (mut parts, ()) = Request::builder().extension(caller).body(()).expect("a request").into_parts();
        Admin::from_request_parts(&mut parts, &()).await
    };
    assert!(admit(&["user", "Admin"], TENANT).await.is_ok());
    assert!(matches!(admit(&["user"], TENANT).await, Err(Error::AdminRequired)));
    assert!(matches!(admit(&["admin"], "").await, Err(Error::NoTenant)), "of which tenant?");
    let (mut parts, ()) = Request::builder().body(()).expect("a request").into_parts();
    assert!(matches!(Admin::from_request_parts(&mut parts, &()).await, Err(Error::NotAuthenticated)));
}
