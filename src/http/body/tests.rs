use super::*;

fn faults(is_json: bool, bytes: &[u8]) -> Value {
    match object(is_json, bytes) {
        Err(Error::Invalid(errors)) => json!(errors),
        other => panic!("expected field errors, got {other:?}"),
    }
}

fn declared(content_type: Option<&str>) -> bool {
    let mut headers = HeaderMap::new();
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, content_type.parse().expect("a header value"));
    }
    is_json(&headers)
}

#[test]
fn what_counts_as_json() {
    for content_type in [
        None,
        Some(""),
        Some("application/json"),
        Some("APPLICATION/JSON"),
        Some(" application/json ; charset=utf-8"),
        Some("application/vnd.api+json"),
        Some("application/problem+json;v=1"),
    ] {
        assert!(declared(content_type), "{content_type:?}");
    }
    for content_type in [
        "json",
        "text/json",
        "text/plain",
        "application/octet-stream",
        "application/jsonp",
        "application/json/x",
        "application/x/y+json",
        "multipart/form-data; boundary=application/json",
    ] {
        assert!(!declared(Some(content_type)), "{content_type}");
    }
}

#[test]
fn a_body_that_is_no_object() {
    let missing = json!([{"type": "missing", "loc": ["body"], "msg": "Field required", "input": null}]);
    assert_eq!(faults(true, b""), missing);
    assert_eq!(faults(true, b" null "), missing);
    assert_eq!(faults(false, b""), missing);
    for (bytes, input) in
        [(&b"[]"[..], json!([])), (b"5", json!(5)), (b"false", json!(false)), (b"\"x\"", json!("x"))]
    {
        let found = faults(true, bytes);
        assert_eq!((&found[0]["type"], &found[0]["input"]), (&json!("model_attributes_type"), &input));
    }
    assert_eq!(faults(false, b"{}")[0]["input"], json!("{}"));
}

#[test]
fn bad_json_names_the_character() {
    let expected = json!([{
        "type": "json_invalid", "loc": ["body", 5], "msg": "JSON decode error", "input": {},
        "ctx": {"error": "Expecting value"},
    }]);
    assert_eq!(faults(true, "{\"é\":x}".as_bytes()), expected);
}

#[test]
fn a_byte_order_mark_and_wide_encodings_are_read() {
    assert!(object(true, b"\xef\xbb\xbf{}").is_ok());
    assert!(object(true, b"{\0}\0").is_ok());
}

#[test]
fn what_cannot_be_read_at_all() {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    for bytes in [&b"\x1f\x8b\x08"[..], b"{\"\xff\": 1}", deep.as_bytes()] {
        assert!(matches!(object(true, bytes), Err(Error::UnreadableBody)));
    }
}
