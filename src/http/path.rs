//! Paths that no route has as they stand: percent-encoding, trailing slashes, nothing at all.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header, uri::PathAndQuery};

use super::{AppState, error, routes};

/// Decodes what needs no encoding (RFC 3986 section 6.2.2.2) and `%2F`, as the old server did
/// before it looked for a route: `/%6De` is `/me`.
pub(super) async fn decode(mut request: Request, next: Next) -> Response {
    if request.uri().path().contains('%')
        && let Some(uri) = decoded(request.uri())
    {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

fn decoded(uri: &Uri) -> Option<Uri> {
    let (path, query) = (uri.path(), uri.query().map(|query| format!("?{query}")).unwrap_or_default());
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) => {
                plain.push(char::from(byte));
                rest = &after[2..];
            }
            _ => {
                plain.push('%');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("{plain}{query}")).ok()?);
    Uri::from_parts(parts).ok()
}

/// Answers where no route has the path: a redirect to the path without its trailing slashes if
/// that one exists, else 404.
pub(super) async fn fallback(State(state): State<AppState>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    let shorter = path.trim_end_matches('/');
    let exists = routes::table(&state.config).any(|route| matches(route.path, shorter));
    if shorter == path || !exists {
        return error::no_such_path();
    }
    let query = uri.query().filter(|query| !query.is_empty()).map(|query| format!("?{query}"));
    let location = quoted(&format!("{}{shorter}{}", origin(&headers), query.unwrap_or_default()));
    match HeaderValue::from_str(&location) {
        Ok(location) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response(),
        Err(_) => error::no_such_path(),
    }
}

/// Encodes what may not stand in a `location` as it is; a `%` of the request stays one.
fn quoted(location: &str) -> String {
    let hex = |digit: u8| char::from(b"0123456789ABCDEF"[usize::from(digit)]);
    location.bytes().fold(String::with_capacity(location.len()), |mut quoted, byte| {
        if byte.is_ascii_alphanumeric() || b"_.-~:/%#?=@[]!$&'()*+,;".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            quoted.extend(['%', hex(byte >> 4), hex(byte & 0xF)]);
        }
        quoted
    })
}

/// `http://host`, or nothing for a client that does not say which host it speaks to: the location
/// is then relative. A proxy that ends TLS says so; a redirect to `http` would lose the token there.
fn origin(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let scheme = if text("x-forwarded-proto").trim() == "https" { "https" } else { "http" };
    match text("host") {
        "" => String::new(),
        host => format!("{scheme}://{host}"),
    }
}

/// Whether a path fits a route's pattern, where `{name}` stands for one segment that is not empty.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found))
                if wanted == found || (wanted.starts_with('{') && !found.is_empty()) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_no_encoding_is_decoded() {
        for (sent, plain) in [
            ("/%6De?x=%6D", "/me?x=%6D"),
            ("/me%2f", "/me/"),
            ("/m%20e", "/m%20e"),
            ("/m%3Fe%25", "/m%3Fe%25"),
            ("/m%", "/m%"),
            ("/m%é", "/m%é"),
        ] {
            let Ok(uri) = sent.parse() else { continue };
            assert_eq!(decoded(&uri).expect("a path").to_string(), plain);
        }
    }

    #[test]
    fn a_location_is_quoted_once() {
        assert_eq!(quoted("http://h:1/a?b=%20c&d|{é}"), "http://h:1/a?b=%20c&d%7C%7B%C3%A9%7D");
    }

    #[test]
    fn a_name_stands_for_one_segment() {
        let pattern = "/api/ml/models/{tenant_id}/{model_type}/metrics";
        assert!(matches(pattern, "/api/ml/models/a/b/metrics"));
        for path in
            ["/api/ml/models/a/metrics", "/api/ml/models//b/metrics", "/api/ml/models/a/b/metrics/c", ""]
        {
            assert!(!matches(pattern, path), "{path}");
        }
    }
}
