//! What browsers are told.

use super::*;
use crate::http::AllowedOrigins;

const LOCAL: &str = "http://localhost:3000";
const EVIL: &str = "https://evil.example";

async fn ask(config: HttpConfig, line: &str, headers: &[(&str, &str)]) -> Answer {
    send_to(router(state(config)), line, headers, "").await
}

#[tokio::test]
async fn a_preflight_is_answered_whatever_the_path() {
    for (path, origin, method, asked, status, text, allowed) in [
        ("/api/ml/predict", LOCAL, "POST", Some("authorization,content-type"), 200, "OK", true),
        ("/nope", LOCAL, "GET", None, 200, "OK", true),
        ("/me", LOCAL, "PATCH", Some("Accept , ACCEPT-LANGUAGE"), 200, "OK", true),
        ("/me", LOCAL, "GET", Some("X-Foo"), 400, "Disallowed CORS headers", true),
        ("/me", LOCAL, "GET", Some(""), 400, "Disallowed CORS headers", true),
        ("/me", LOCAL, "TRACE", None, 400, "Disallowed CORS method", true),
        ("/me", LOCAL, "post", None, 400, "Disallowed CORS method", true),
        ("/me", EVIL, "GET", None, 400, "Disallowed CORS origin", false),
        ("/me", "null", "GET", None, 400, "Disallowed CORS origin", false),
        ("/me", EVIL, "TRACE", Some("x"), 400, "Disallowed CORS origin, method, headers", false),
    ] {
        let mut headers = vec![("origin", origin), ("access-control-request-method", method)];
        headers.extend(asked.map(|asked| ("access-control-request-headers", asked)));
        let answer = ask(production(), &format!("OPTIONS {path}"), &headers).await;
        assert_eq!((answer.status, answer.text.as_str()), (status, text), "{headers:?}");
        assert_eq!(answer.header("access-control-allow-origin"), allowed.then_some(origin), "{headers:?}");
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET, POST, PUT, DELETE, PATCH"));
        assert_eq!(
            answer.header("access-control-allow-headers"),
            Some("Accept, Accept-Language, Authorization, Content-Language, Content-Type")
        );
        assert_eq!(answer.header("access-control-max-age"), Some("600"));
        assert_eq!(answer.header("allow"), None, "axum's own header");
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(
            (answer.header("vary"), answer.header("content-type")),
            (Some("Origin"), Some("text/plain; charset=utf-8"))
        );
    }
}

#[tokio::test]
async fn a_page_may_send_what_jobs_need() {
    let asked = ("access-control-request-headers", "authorization, last-event-id,Prefer");
    let headers = [("origin", LOCAL), ("access-control-request-method", "GET"), asked];
    let answer = ask(production(), "OPTIONS /api/ml/jobs", &headers).await;
    let allowed: Vec<_> = answer.headers.get_all("access-control-allow-headers").into_iter().collect();
    assert_eq!((answer.status, allowed.len()), (200, 2));
    assert_eq!(allowed[1], "Idempotency-Key, Last-Event-ID, Prefer");
}

#[tokio::test]
async fn answers_say_who_may_read_them() {
    let cookie = ("cookie", "a=b");
    for (config, origin, with_cookie, allowed, vary) in [
        (development(), EVIL, false, Some("*"), None),
        (development(), EVIL, true, Some(EVIL), Some("Origin")),
        (production(), LOCAL, false, Some(LOCAL), Some("Origin")),
        (production(), LOCAL, true, Some(LOCAL), Some("Origin")),
        (production(), EVIL, false, None, None),
        (production(), EVIL, true, None, None),
    ] {
        let mut headers = vec![("origin", origin)];
        headers.extend(with_cookie.then_some(cookie));
        for (line, status) in [("GET /", 200), ("GET /me", 403), ("GET /nope", 404), ("OPTIONS /me", 405)] {
            let answer = ask(config.clone(), line, &headers).await;
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("access-control-allow-origin"), allowed, "{line} {headers:?}");
            assert_eq!(answer.header("vary"), vary, "{line} {headers:?}");
            assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        }
    }
}

#[tokio::test]
async fn without_an_origin_nothing_is_said() {
    let answer = ask(development(), "GET /", &[]).await;
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
    let options = [("access-control-request-method", "GET")];
    assert_eq!(ask(development(), "OPTIONS /", &options).await.status, 405);
}

#[test]
fn origins_of_a_setting() {
    let list =
        |origins: &[&str]| AllowedOrigins::List(origins.iter().map(|&origin| origin.to_owned()).collect());
    assert_eq!(AllowedOrigins::parse(" http://a, https://b/ ,"), list(&["http://a", "https://b"]));
    assert_eq!(AllowedOrigins::parse("http://a,*"), AllowedOrigins::Any);
    assert_eq!(AllowedOrigins::parse(""), list(&[]));
}
