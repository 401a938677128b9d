//! The body of `PUT /api/ml/models/{model_type}/schedule`.

use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    Result,
    http::body::fields::{self, Fields, Violation},
    schedule::{Cron, Schedule, Threshold, Zone},
};

/// When a model type is to be retrained.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the body that the handler parses")]
pub(in crate::http) struct ScheduleRequest {
    /// `none`: never; `cron`: at times; `new_rows`: when the records have changed.
    #[schema(example = "cron", pattern = "^(none|cron|new_rows)$")]
    kind: String,
    /// Of `cron`: minute, hour, day of the month, month, day of the week.
    #[schema(value_type = Option<String>, example = "30 3 * * SUN")]
    cron: Option<String>,
    /// Of `cron`: whose clock; that of the service's own schedule if absent.
    #[schema(value_type = Option<String>, example = "Europe/Berlin")]
    time_zone: Option<String>,
    /// Of `new_rows`: after so many new records.
    #[schema(value_type = Option<u64>, minimum = 1)]
    rows: Option<i64>,
    /// Of `new_rows`: after so many came or went, as a share of those that were there. Either is enough.
    #[schema(value_type = Option<f64>, exclusive_minimum = 0.0)]
    share: Option<f64>,
}

/// Fields of the kinds.
const FIELDS: [(&str, &str); 4] =
    [("cron", "cron"), ("time_zone", "cron"), ("rows", "new_rows"), ("share", "new_rows")];

/// The schedule that a body asks for; `default` is whose clock a cron expression follows that names none.
pub(super) fn parse(object: Map<String, Value>, default: Zone) -> Result<Schedule> {
    let mut body = Fields::new(object);
    let kind = body.required("kind", kind);
    for (name, of) in FIELDS {
        if body.has(name) && kind.is_some_and(|kind| kind != of) {
            body.refuse(name, "Extra inputs are not permitted: the kind has no such field");
        }
    }
    let schedule = match kind {
        Some("cron") => cron(&mut body, default).map(|cron| Schedule::Cron(Box::new(cron))),
        Some("new_rows") => {
            if !body.has("rows") && !body.has("share") {
                body.fault("kind", Violation::own("new_rows needs rows or share"));
            }
            let rows = body.optional("rows", rows);
            Some(Schedule::NewRows(Threshold { rows, share: body.optional("share", share) }))
        }
        kind => kind.map(|_| Schedule::None),
    };
    body.finish(|| schedule)
}

fn cron(body: &mut Fields, default: Zone) -> Option<Cron> {
    let text = body.required("cron", fields::string);
    let zone = body.optional("time_zone", time_zone);
    match Cron::parse(&text?, zone.unwrap_or(default)) {
        Ok(cron) => Some(cron),
        Err(problem) => {
            body.fault("cron", Violation::own(problem));
            None
        }
    }
}

fn kind(value: &Value) -> Result<&'static str, Violation> {
    let kinds = ["none", "cron", "new_rows"];
    kinds.into_iter().find(|kind| value.as_str() == Some(kind)).ok_or_else(|| fields::literal_error(&kinds))
}

fn time_zone(value: &Value) -> Result<Zone, Violation> {
    Zone::parse(&fields::string(value)?).map_err(Violation::own)
}

fn rows(value: &Value) -> Result<i64, Violation> {
    let rows = i64::try_from(fields::unsigned(value)?).unwrap_or(i64::MAX);
    if rows > 0 { Ok(rows) } else { Err(Violation::own("at least one new record")) }
}

fn share(value: &Value) -> Result<f64, Violation> {
    let share = value.as_f64().filter(|share| *share > 0.0 && share.is_finite());
    share.ok_or_else(|| Violation::own("a share is a number above 0, such as 0.1"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Error;

    fn parsed(body: Value) -> Result<Schedule> {
        parse(body.as_object().expect("an object").clone(), Zone::parse("Asia/Tokyo").expect("a zone"))
    }

    #[test]
    fn each_kind_has_its_fields() {
        assert_eq!(
            parsed(json!({"kind": "none", "cron": null, "rows": null})).expect("valid"),
            Schedule::None
        );
        for (body, printed) in [
            (json!({"kind": "cron", "cron": "0 3 * * 1"}), "0 3 * * 1 Asia/Tokyo"),
            (json!({"kind": "cron", "cron": "0 3 * * 1", "time_zone": "UTC", "foo": 1}), "0 3 * * 1 UTC"),
        ] {
            let Schedule::Cron(cron) = parsed(body).expect("valid") else { panic!("another kind") };
            assert_eq!(cron.to_string(), printed);
        }
        for (body, threshold) in [
            (json!({"kind": "new_rows", "rows": 500}), Threshold { rows: Some(500), share: None }),
            (json!({"kind": "new_rows", "share": 1}), Threshold { rows: None, share: Some(1.0) }),
            (
                json!({"kind": "new_rows", "rows": 5, "share": 0.2}),
                Threshold { rows: Some(5), share: Some(0.2) },
            ),
        ] {
            assert_eq!(parsed(body).expect("valid"), Schedule::NewRows(threshold));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, faults) in [
            (json!({}), "kind missing"),
            (json!({"kind": "daily"}), "kind literal_error"),
            (json!({"kind": "default"}), "kind literal_error"),
            (json!({"kind": "cron"}), "cron missing"),
            (json!({"kind": "cron", "cron": "0 25 * * *"}), "cron value_error"),
            (json!({"kind": "cron", "cron": "0 0 30 2 *"}), "cron value_error"),
            (
                json!({"kind": "cron", "cron": 5, "time_zone": "Berlin"}),
                "cron string_type, time_zone value_error",
            ),
            (json!({"kind": "cron", "cron": "0 2 * * *", "rows": 5}), "rows extra_forbidden"),
            (json!({"kind": "none", "cron": "0 2 * * *"}), "cron extra_forbidden"),
            (json!({"kind": "new_rows"}), "kind value_error"),
            (json!({"kind": "new_rows", "rows": 0}), "rows value_error"),
            (json!({"kind": "new_rows", "rows": null}), "kind value_error"),
            (
                json!({"kind": "new_rows", "rows": 1.5, "share": -0.1}),
                "rows int_from_float, share value_error",
            ),
        ] {
            let Err(Error::Invalid(errors)) = parsed(body.clone()) else { panic!("{body} must be refused") };
            let found: Vec<_> =
                errors.iter().map(|e| format!("{} {}", e.loc[1].as_str().expect("a name"), e.kind)).collect();
            assert_eq!(found.join(", "), faults, "{body}");
        }
    }
}
