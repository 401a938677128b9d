//! CORS with the answers of Starlette's `CORSMiddleware` (0.27), which the platform's front ends
//! were written against: a preflight is answered before routing, whatever the path.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

const METHODS: &str = "GET, POST, PUT, DELETE, PATCH";
const HEADERS: &str = "Accept, Accept-Language, Authorization, Content-Language, Content-Type";
/// What jobs and their events add, named to a page that asks for one of them: every other answer is as it was.
const OWN_HEADERS: &str = "Idempotency-Key, Last-Event-ID, Prefer";
const MAX_AGE_SECONDS: &str = "600";

/// Origins whose pages may call the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Every origin: development.
    Any,
    /// Those listed, compared as text.
    List(Vec<String>),
}

impl AllowedOrigins {
    /// The production default.
    #[must_use]
    pub fn platform() -> Self {
        Self::List(
            ["http://localhost:3000", "http://localhost:8092", "https://app.binelek.com"]
                .map(str::to_owned)
                .to_vec(),
        )
    }

    /// From a setting: origins separated by commas; `*` among them is every origin.
    #[must_use]
    pub fn parse(setting: &str) -> Self {
        let origins = setting.split(',').map(|origin| origin.trim().trim_end_matches('/'));
        let origins: Vec<_> = origins.filter(|origin| !origin.is_empty()).map(str::to_owned).collect();
        if origins.iter().any(|origin| origin == "*") { Self::Any } else { Self::List(origins) }
    }

    fn contains(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::List(origins) => origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()),
        }
    }
}

/// The middleware.
pub(super) async fn answer(
    State(origins): State<Arc<AllowedOrigins>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else {
        return next.run(request).await;
    };
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD);
    if let (&Method::OPTIONS, Some(method)) = (request.method(), asked) {
        return preflight(&origins, origin, method, request.headers());
    }
    let has_cookie = request.headers().contains_key(header::COOKIE);
    let mut response = next.run(request).await;
    allow(&origins, origin, has_cookie, response.headers_mut());
    response
}

fn preflight(
    origins: &AllowedOrigins,
    origin: HeaderValue,
    method: &HeaderValue,
    request: &HeaderMap,
) -> Response {
    let mut refused = vec![];
    let mut headers = HeaderMap::new();
    set(&mut headers, header::VARY, "Origin");
    set(&mut headers, header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    set(&mut headers, header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
    set(&mut headers, header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    set(&mut headers, header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    if origins.contains(&origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    } else {
        refused.push("origin");
    }
    if !METHODS.split(", ").any(|allowed| allowed.as_bytes() == method.as_bytes()) {
        refused.push("method");
    }
    let asked = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS).map(HeaderValue::as_bytes);
    let names =
        || asked.into_iter().flat_map(|asked| asked.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    let is_in =
        |name: &[u8], list: &str| list.split(", ").any(|known| known.as_bytes().eq_ignore_ascii_case(name));
    if !names().all(|name| is_in(name, HEADERS) || is_in(name, OWN_HEADERS)) {
        refused.push("headers");
    } else if names().any(|name| is_in(name, OWN_HEADERS)) {
        headers.append(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(OWN_HEADERS));
    }
    if refused.is_empty() {
        (StatusCode::OK, headers, "OK").into_response()
    } else {
        (StatusCode::BAD_REQUEST, headers, format!("Disallowed CORS {}", refused.join(", "))).into_response()
    }
}

/// Marks an answer as readable by the page that asked.
fn allow(origins: &AllowedOrigins, origin: HeaderValue, has_cookie: bool, headers: &mut HeaderMap) {
    set(headers, header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    // A browser does not accept `*` for a request that it sent cookies with.
    if *origins == AllowedOrigins::Any && !has_cookie {
        set(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    } else if origins.contains(&origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
