//! 404, 405 and 307.

use serde_json::json;

use super::*;
use crate::http::routes::table;

#[tokio::test]
async fn a_path_that_no_route_has() {
    for path in
        ["//", "//me", "/api//ml/health", "/ME", "/api/ml", "/api/ml/../../me", "/me;x", "/%2Fme", "/me%20"]
    {
        for method in ["GET", "POST"] {
            let answer = send(&format!("{method} {path}"), &[]).await;
            assert_eq!((answer.status, answer.detail()), (404, json!("Not Found")), "{method} {path}");
        }
    }
    assert_eq!(send("GET /%6De", &[]).await.status, 403, "an encoded letter is the letter");
}

#[tokio::test]
async fn every_route_names_its_methods() {
    for route in table(&development()) {
        let path = route.path.replace("{file}", "x").replace(['{', '}'], "");
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            if route.methods.contains(&method) {
                continue;
            }
            let answer = send(&format!("{method} {path}"), &[]).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), Some(route.methods.join(", ").as_str()), "{method} {path}");
            if method == "HEAD" {
                assert_eq!((answer.text.as_str(), answer.header("content-length")), ("", Some("31")));
            } else {
                assert_eq!(answer.detail(), json!("Method Not Allowed"));
            }
        }
    }
}

#[tokio::test]
async fn a_trailing_slash_is_redirected() {
    let host = ("host", "ml.example:8098");
    for (path, location) in [
        ("/health/", "http://ml.example:8098/health"),
        ("/health//", "http://ml.example:8098/health"),
        ("/api/ml/predict/?a=b%20c&d", "http://ml.example:8098/api/ml/predict?a=b%20c&d"),
        ("/health/?", "http://ml.example:8098/health"),
        ("/health/?a|b", "http://ml.example:8098/health?a%7Cb"),
        ("/me%2F", "http://ml.example:8098/me"),
        ("/api/ml/models/a/b/metrics/", "http://ml.example:8098/api/ml/models/a/b/metrics"),
        ("/docs/", "http://ml.example:8098/docs"),
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = send(&format!("{method} {path}"), &[host]).await;
            assert_eq!((answer.status, answer.header("location")), (307, Some(location)), "{method} {path}");
            assert_eq!(answer.text, "");
        }
    }
    let behind_tls = send("GET /me/", &[host, ("x-forwarded-proto", "https")]).await;
    assert_eq!(behind_tls.header("location"), Some("https://ml.example:8098/me"));
    assert_eq!(send("GET /me/", &[]).await.header("location"), Some("/me"), "no host, no guess");
    assert_eq!(send("GET /nope/", &[host]).await.status, 404);
}

#[tokio::test]
async fn production_has_no_documentation_but_the_description() {
    for (path, status) in [
        ("/docs", 404),
        ("/docs/", 404),
        ("/docs/oauth2-redirect", 404),
        ("/docs/assets/swagger-ui.css", 404),
        ("/redoc", 404),
        ("/openapi.json", 200),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = send_to(router(state(production())), &format!("{method} {path}"), &[], "").await;
            assert_eq!(answer.status, status, "{method} {path}");
        }
    }
    let about = send_to(router(state(production())), "GET /", &[], "").await;
    assert_eq!(about.json()["docs"], "disabled");
}
