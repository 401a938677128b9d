use serde_json::{Value, json};

use super::*;

const TENANT: &str = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
/// In place of a claim: there is none.
const ABSENT: &str = "(absent)";
const SECRET: &str = "a secret of the tests that is long enough";

fn tokens() -> Tokens {
    Tokens::new(TokenConfig {
        secret: SECRET.to_owned().into(),
        issuer: "Binah.Auth".into(),
        audience: "Binah.Platform".into(),
    })
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()).expect("fits")
}

/// Valid claims with some of them replaced; [`ABSENT`] removes one.
fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "sub": "user-a-001", "tenant_id": TENANT, "email": "a@x", "role": "admin",
        "iss": "Binah.Auth", "aud": "Binah.Platform", "exp": now() + 60,
    });
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::String(text) if text == ABSENT => claims.as_object_mut().expect("an object").remove(name),
            value => claims.as_object_mut().expect("an object").insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn sign(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).expect("signs")
}

fn verify(changes: Value) -> Result<Caller> {
    tokens().verify(&sign(Algorithm::HS256, SECRET, &claims(changes)))
}

#[test]
fn both_kinds_of_token_name_a_caller() {
    let documented = verify(json!({})).expect("valid");
    assert_eq!((documented.user_id.as_str(), documented.roles[0].as_str()), ("user-a-001", "admin"));
    let dotnet = verify(json!({
        "sub": ABSENT, "nameid": "42", "unique_name": "jo", "role": ["user", "Admin"], "nbf": now(), "iat": now(),
        "aud": ["Other", "Binah.Platform"],
    }))
    .expect("valid");
    assert_eq!(
        (dotnet.user_id.as_str(), &dotnet.role, dotnet.is_admin()),
        ("42", &json!(["user", "Admin"]), true)
    );
    assert_eq!(dotnet.tenant, documented.tenant);
}

#[test]
fn a_tenant_that_is_no_uuid_is_a_caller_without_tenant_data() {
    for claim in ["", "test-tenant-456", "AAAAAAAA-AAAA-AAAA-AAAA-AAAAAAAAAAAA"] {
        let caller = verify(json!({"tenant_id": claim})).expect("valid");
        assert_eq!((caller.tenant, caller.tenant_claim.as_str()), (None, claim));
    }
}

#[test]
fn missing_email_and_role_have_defaults() {
    let caller = verify(json!({"email": ABSENT, "role": ABSENT})).expect("valid");
    assert_eq!((&caller.email, &caller.role, caller.is_admin()), (&json!(""), &json!("user"), false));
}

#[test]
fn what_says_nothing_about_rights_may_be_anything() {
    for value in [json!(null), json!(7), json!([1]), json!({}), json!("")] {
        let caller = verify(json!({"email": value, "role": value, "nameid": value})).expect("valid");
        assert_eq!((&caller.email, &caller.role, caller.is_admin()), (&value, &value, false));
    }
    assert_eq!(verify(json!({"sub": ""})).expect("valid").user_id, "");
    assert_eq!(verify(json!({"role": [7, "admin"]})).expect("valid").roles, ["admin"]);
}

#[test]
fn times_as_the_old_verifier_read_them() {
    for changes in [
        json!({"nbf": now() + 2}),
        json!({"nbf": -5}),
        json!({"nbf": " 99 "}),
        json!({"nbf": 0.5}),
        json!({"iat": now() + 600}),
        json!({"iat": "+99"}),
        json!({"jti": "x"}),
    ] {
        assert!(verify(changes.clone()).is_ok(), "{changes}");
    }
}

#[test]
fn every_broken_claim_is_refused() {
    let late = now() - 60;
    for changes in [
        json!({"exp": late}),
        json!({"exp": null}),
        json!({"exp": ABSENT}),
        json!({"exp": "soon"}),
        json!({"exp": (now() + 60).to_string()}),
        json!({"exp": true}),
        json!({"exp": 1_000_000_000_000_000_i64}),
        json!({"nbf": now() + 60}),
        json!({"nbf": "x"}),
        json!({"iss": "Wrong.Issuer"}),
        json!({"iss": null}),
        json!({"iss": ABSENT}),
        json!({"aud": "Wrong.Audience"}),
        json!({"aud": null}),
        json!({"aud": ABSENT}),
        json!({"sub": null}),
        json!({"sub": ABSENT}),
        json!({"tenant_id": null}),
        json!({"tenant_id": ABSENT}),
        json!({"tenant_id": 7}),
        json!({"sub": 7}),
        json!({"iss": ["Binah.Auth"]}),
        json!({"exp": now() - 2}),
        json!({"nbf": null}),
        json!({"nbf": true}),
        json!({"nbf": (now() + 60).to_string()}),
        json!({"iat": null}),
        json!({"iat": "x"}),
        json!({"iat": "99.5"}),
        json!({"iat": []}),
        json!({"jti": null}),
        json!({"jti": 7}),
        json!({"at_hash": null}),
        json!({"at_hash": "x"}),
    ] {
        assert!(matches!(verify(changes.clone()), Err(Error::InvalidToken)), "{changes}");
    }
}

#[test]
fn the_algorithm_and_the_key_are_pinned() {
    let claims = claims(json!({}));
    for token in [
        sign(Algorithm::HS384, SECRET, &claims),
        sign(Algorithm::HS512, SECRET, &claims),
        sign(Algorithm::HS256, "another secret", &claims),
        // {"alg":"none","typ":"JWT"} over the same claims, without a signature.
        format!(
            "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.",
            sign(Algorithm::HS256, SECRET, &claims).split('.').nth(1).expect("a payload")
        ),
        "garbage".into(),
        "a.b.c".into(),
        format!("{}.x", sign(Algorithm::HS256, SECRET, &claims)),
    ] {
        assert!(matches!(tokens().verify(&token), Err(Error::InvalidToken)), "{token}");
    }
}

#[test]
fn the_header_says_who_is_refused_and_how() {
    let token = sign(Algorithm::HS256, SECRET, &claims(json!({})));
    let authenticate = |header: &str| tokens().authenticate(Some(header.as_bytes()));
    assert!(matches!(tokens().authenticate(None), Err(Error::NotAuthenticated)));
    for header in ["", "Bearer", "Bearer ", " x"] {
        assert!(matches!(authenticate(header), Err(Error::NotAuthenticated)), "{header:?}");
    }
    assert!(matches!(authenticate("Basic dXNlcjpwYXNz"), Err(Error::NotBearer)));
    assert!(matches!(authenticate(&format!("Bearer  {token}")), Err(Error::InvalidToken)));
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert!(authenticate(&format!("{scheme} {token}")).is_ok(), "{scheme}");
    }
    assert!(authenticate(&format!("Bearer {token}=")).is_ok(), "base64 padding is forgiven");
}

#[test]
fn a_minted_token_verifies_and_expires() {
    let new =
        |expires_in| NewToken { user_id: "u", tenant_id: TENANT, email: "u@x", role: "user", expires_in };
    let caller = tokens().verify(&tokens().mint(&new(60)).expect("mints")).expect("valid");
    assert_eq!((caller.user_id.as_str(), &caller.role), ("u", &json!("user")));
    assert!(tokens().verify(&tokens().mint(&new(-60)).expect("mints")).is_err());
}

#[test]
fn the_secret_is_never_printed() {
    assert!(!format!("{:?}", tokens()).contains(SECRET));
}
