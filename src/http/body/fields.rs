//! Checking the fields of a body one after the other, so that one answer names every fault, in
//! the words of pydantic 2.5.

use chrono::DateTime;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::uuid_text;
use crate::{
    Error, Result,
    catalog::ModelType,
    error::{FieldError, MAX_FAULTS, echo, echo_object},
    features::inline::Row,
    inference::VersionSelector,
    jobs::{self, JobState},
    registry::{Alias, Position, State},
    training::SplitKind,
};

/// A rule that a value breaks.
#[derive(Debug)]
pub(in crate::http) struct Violation {
    kind: &'static str,
    msg: String,
    ctx: Option<Value>,
}

impl Violation {
    fn new(kind: &'static str, msg: impl Into<String>) -> Self {
        Self { kind, msg: msg.into(), ctx: None }
    }

    /// A rule of ours, in the way in which pydantic reports those of its users.
    pub(in crate::http) fn own(problem: impl std::fmt::Display) -> Self {
        Self::new("value_error", format!("Value error, {problem}"))
    }

    fn with_ctx(mut self, ctx: Value) -> Self {
        self.ctx = Some(ctx);
        self
    }

    /// The error at a place of the request: `["path", "tenant_id"]`.
    pub(in crate::http) fn at(self, loc: &[&str], input: Value) -> FieldError {
        let loc = loc.iter().map(|&part| part.into()).collect();
        FieldError { kind: self.kind.into(), loc, msg: self.msg, input, ctx: self.ctx }
    }
}

type Parsed<T> = Result<T, Violation>;

/// The fields of a body, and what is wrong with them so far.
#[derive(Debug)]
pub(in crate::http) struct Fields {
    object: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    pub(in crate::http) fn new(object: Map<String, Value>) -> Self {
        Self { object, errors: vec![] }
    }

    fn check<T>(&mut self, name: &'static str, parse: impl FnOnce(&Value) -> Parsed<T>) -> Option<T> {
        let value = self.object.get(name)?;
        match parse(value) {
            Ok(parsed) => Some(parsed),
            Err(violation) => {
                self.errors.push(violation.at(&["body", name], echo(value)));
                None
            }
        }
    }

    /// A field that must be there.
    pub(in crate::http) fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Value) -> Parsed<T>,
    ) -> Option<T> {
        if !self.object.contains_key(name) {
            // Training rows are not sent back: they can be most of a large body.
            let data = self.object.get_mut("data").map(Value::take);
            let mut input = echo_object(&self.object);
            if let Some(rows) = data {
                input.as_object_mut().map(|input| input.shift_remove("data"));
                self.object.insert("data".to_owned(), rows);
            }
            self.errors.push(FieldError::body("missing", [name], "Field required", input));
        }
        self.check(name, parse)
    }

    /// A field that may be absent, but not null.
    pub(in crate::http) fn defaulted<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Value) -> Parsed<T>,
    ) -> Option<T> {
        self.check(name, parse)
    }

    /// A field that may be absent or null.
    pub(in crate::http) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Value) -> Parsed<T>,
    ) -> Option<T> {
        if self.object.get(name).is_some_and(Value::is_null) { None } else { self.check(name, parse) }
    }

    /// A list of at most `max` objects, taken out without a copy; may be absent or null.
    pub(in crate::http) fn rows(&mut self, name: &'static str, max: usize) -> Option<Vec<Row>> {
        let list = match self.object.shift_remove(name)? {
            Value::Null => return None,
            Value::Array(list) => list,
            other => {
                let violation = Violation::new("list_type", "Input should be a valid list");
                self.errors.push(violation.at(&["body", name], echo(&other)));
                return None;
            }
        };
        if list.len() > max {
            let msg = format!("List should have at most {max} items after validation, not {}", list.len());
            let ctx = json!({ "field_type": "List", "max_length": max, "actual_length": list.len() });
            self.errors.push(FieldError::body("too_long", [name], msg, Value::Null).with_ctx(ctx));
            return None;
        }
        let errors_before = self.errors.len();
        let mut rows = Vec::with_capacity(list.len());
        for (i, row) in list.into_iter().enumerate() {
            match row {
                Value::Object(row) => rows.push(row),
                other if self.errors.len() - errors_before < MAX_FAULTS => {
                    let msg = "Input should be a valid dictionary";
                    self.errors.push(FieldError::body("dict_type", [json!(name), json!(i)], msg, other));
                }
                _ => break,
            }
        }
        (self.errors.len() == errors_before).then_some(rows)
    }

    /// Notes what is wrong with a field beside others.
    pub(in crate::http) fn fault(&mut self, name: &'static str, violation: Violation) {
        let input = self.object.get(name).map(echo).unwrap_or_default();
        self.errors.push(violation.at(&["body", name], input));
    }

    /// Whether a field is there and not null.
    pub(in crate::http) fn has(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(|value| !value.is_null())
    }

    /// Notes that a field must not be there.
    pub(in crate::http) fn refuse(&mut self, name: &'static str, msg: &str) {
        let input = self.object.get(name).map(echo).unwrap_or_default();
        self.errors.push(FieldError::body("extra_forbidden", [name], msg, input));
    }

    /// What `build` makes of the parsed fields, if nothing was wrong. `build` answers `None` only
    /// where a field did not parse.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every fault found, in the order of the checks.
    pub(in crate::http) fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T> {
        match build() {
            Some(built) if self.errors.is_empty() => Ok(built),
            _ => Err(Error::Invalid(self.errors)),
        }
    }
}

/// One of the catalog's names.
pub(in crate::http) fn model_type(value: &Value) -> Parsed<ModelType> {
    value
        .as_str()
        .and_then(ModelType::parse)
        .ok_or_else(|| literal_error(&ModelType::all().map(|model_type| model_type.name).collect::<Vec<_>>()))
}

/// A version: `"v2.0"`, `"2"`, `2`, `"latest"` or an alias.
pub(in crate::http) fn version(value: &Value) -> Parsed<VersionSelector> {
    let text = match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => {
            number.as_u64().filter(|&number| number > 0).map(|number| number.to_string())
        }
        _ => None,
    };
    let text = text.filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| Violation::new("string_type", "Input should be a version or an alias"))?;
    Ok(VersionSelector::parse(Some(&text)))
}

/// A name for a version.
pub(in crate::http) fn alias(value: &Value) -> Parsed<Alias> {
    let alias = value.as_str().and_then(Alias::parse);
    alias.ok_or_else(|| Violation::own(format_args!("an alias is {}", Alias::RULE)))
}

/// State of a version.
pub(in crate::http) fn state(value: &Value) -> Parsed<State> {
    let states = [State::Ready, State::Deprecated];
    let known = states.into_iter().find(|state| value.as_str() == Some(state.name()));
    known.ok_or_else(|| literal_error(&states.map(State::name)))
}

/// Most entries of a page, from 1, as the text of a query.
pub(in crate::http) fn page_size(value: &Value, max: usize) -> Parsed<usize> {
    let Some(size) = value.as_str().and_then(|text| text.parse::<usize>().ok()) else {
        let msg = "Input should be a valid integer, unable to parse string as an integer";
        return Err(Violation::new("int_parsing", msg));
    };
    if size == 0 {
        let msg = "Input should be greater than or equal to 1";
        return Err(Violation::new("greater_than_equal", msg).with_ctx(json!({ "ge": 1 })));
    }
    if size > max {
        let msg = format!("Input should be less than or equal to {max}");
        return Err(Violation::new("less_than_equal", msg).with_ctx(json!({ "le": max })));
    }
    Ok(size)
}

/// Where a page begins, as the one before said.
pub(in crate::http) fn position(value: &Value) -> Parsed<Position> {
    let parse = || {
        let (model_type, version) = value.as_str()?.rsplit_once('.')?;
        Some(Position { model_type: ModelType::parse(model_type)?, version: version.parse().ok()? })
    };
    parse().ok_or_else(not_a_cursor)
}

/// State of a job.
pub(in crate::http) fn job_state(value: &Value) -> Parsed<JobState> {
    let known = value.as_str().and_then(JobState::parse);
    known.ok_or_else(|| literal_error(&JobState::ALL.map(JobState::name)))
}

/// Where a page of jobs begins, as the one before said: microseconds since 1970, and an id.
pub(in crate::http) fn job_position(value: &Value) -> Parsed<jobs::Position> {
    let parse = || {
        let (micros, id) = value.as_str()?.split_once('.')?;
        // Postgres knows no time long before.
        let micros = micros.parse().ok().filter(|&micros: &i64| micros >= 0)?;
        let created_at = DateTime::from_timestamp_micros(micros)?;
        Some(jobs::Position { created_at, id: Uuid::try_parse(id).ok()? })
    };
    parse().ok_or_else(not_a_cursor)
}

fn not_a_cursor() -> Violation {
    Violation::own("a cursor is the next_cursor of an answer")
}

/// How rows are held out.
pub(in crate::http) fn split(value: &Value) -> Parsed<SplitKind> {
    let kinds = [SplitKind::Random, SplitKind::Time];
    let known = kinds.into_iter().find(|kind| value.as_str() == Some(kind.name()));
    known.ok_or_else(|| literal_error(&kinds.map(SplitKind::name)))
}

/// None of the names.
pub(in crate::http) fn literal_error(names: &[&str]) -> Violation {
    let quoted: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
    let expected = match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    };
    Violation::new("literal_error", format!("Input should be {expected}"))
        .with_ctx(json!({ "expected": expected }))
}

/// A UUID in any usual spelling.
pub(in crate::http) fn uuid(value: &Value) -> Parsed<Uuid> {
    let Some(text) = value.as_str() else {
        return Err(Violation::new("uuid_type", "UUID input should be a string, bytes or UUID object"));
    };
    uuid_text::parse(text).map_err(|error| {
        Violation::new("uuid_parsing", format!("Input should be a valid UUID, {error}"))
            .with_ctx(json!({ "error": error }))
    })
}

/// An object.
pub(in crate::http) fn dictionary(value: &Value) -> Parsed<Map<String, Value>> {
    let object = value.as_object().cloned();
    object.ok_or_else(|| Violation::new("dict_type", "Input should be a valid dictionary"))
}

/// A text.
pub(in crate::http) fn string(value: &Value) -> Parsed<String> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| Violation::new("string_type", "Input should be a valid string"))
}

/// A string of so many characters at most: what is kept with a job, and shown, must not be a book.
pub(in crate::http) fn string_up_to(longest: usize) -> impl Fn(&Value) -> Parsed<String> {
    move |value| string(value).and_then(|text| check_length(&text, longest).map(|()| text))
}

fn check_length(text: &str, longest: usize) -> Parsed<()> {
    if text.chars().count() <= longest {
        return Ok(());
    }
    let msg = format!("String should have at most {longest} characters");
    Err(Violation::new("string_too_long", msg).with_ctx(json!({ "max_length": longest })))
}

/// A whole number from 0.
pub(in crate::http) fn unsigned(value: &Value) -> Parsed<u64> {
    if let Some(number) = value.as_u64() {
        return Ok(number);
    }
    Err(match value.as_f64() {
        Some(number) if number < 0.0 => {
            Violation::new("greater_than_equal", "Input should be greater than or equal to 0")
                .with_ctx(json!({ "ge": 0 }))
        }
        Some(number) if number.fract() != 0.0 => Violation::new(
            "int_from_float",
            "Input should be a valid integer, got a number with a fractional part",
        ),
        Some(_) | None => Violation::new("int_type", "Input should be a valid integer"),
    })
}

/// How soon, among the tenant's own jobs: a whole number, -10 to 10.
pub(in crate::http) fn priority(value: &Value) -> Parsed<i16> {
    const MOST: i64 = 10;
    match value.as_i64() {
        Some(number) if number < -MOST => {
            Err(Violation::new("greater_than_equal", "Input should be greater than or equal to -10")
                .with_ctx(json!({ "ge": -MOST })))
        }
        Some(number) if number <= MOST => Ok(number as i16),
        None if value.as_f64().is_some_and(|number| number.fract() != 0.0) => Err(Violation::new(
            "int_from_float",
            "Input should be a valid integer, got a number with a fractional part",
        )),
        None if !value.is_u64() => Err(Violation::new("int_type", "Input should be a valid integer")),
        Some(_) | None => Err(Violation::new("less_than_equal", "Input should be less than or equal to 10")
            .with_ctx(json!({ "le": MOST }))),
    }
}

/// True or false.
pub(in crate::http) fn boolean(value: &Value) -> Parsed<bool> {
    value.as_bool().ok_or_else(|| Violation::new("bool_type", "Input should be a valid boolean"))
}

/// A name for a request: 1 to 255 printable characters of ASCII. Those of schedules begin with another character, and
/// are out of every client's reach.
pub(in crate::http) fn idempotency_key(value: &Value) -> Parsed<String> {
    const LONGEST: usize = 255;
    const PATTERN: &str = "^[ -~]+$";
    let key = value.as_str().unwrap_or_default();
    if key.is_empty() {
        let msg = "String should have at least 1 character";
        return Err(Violation::new("string_too_short", msg).with_ctx(json!({ "min_length": 1 })));
    }
    check_length(key, LONGEST)?;
    if !key.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        let msg = format!("String should match pattern '{PATTERN}'");
        return Err(Violation::new("string_pattern_mismatch", msg).with_ctx(json!({ "pattern": PATTERN })));
    }
    Ok(key.to_owned())
}

/// A share of the rows, 0 to 0.5: a number, or the text of one.
pub(in crate::http) fn validation_split(value: &Value) -> Parsed<f64> {
    let share = match value {
        Value::Number(number) => number.as_f64(),
        // Rust's own grammar is what pydantic-core applies: no spaces, but "nan" and "inf".
        Value::String(text) => Some(text.parse().map_err(|_| {
            Violation::new(
                "float_parsing",
                "Input should be a valid number, unable to parse string as a number",
            )
        })?),
        // pydantic takes true for 1, which is too much, and false for 0, which is refused below.
        Value::Bool(true) => Some(1.0),
        _ => None,
    };
    match share {
        None => Err(Violation::new("float_type", "Input should be a valid number")),
        Some(share) if share < 0.0 => {
            Err(Violation::new("greater_than_equal", "Input should be greater than or equal to 0")
                .with_ctx(json!({ "ge": 0.0 })))
        }
        Some(share) if share <= 0.5 => Ok(share),
        Some(_) => Err(Violation::new("less_than_equal", "Input should be less than or equal to 0.5")
            .with_ctx(json!({ "le": 0.5 }))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind<T>(parsed: Parsed<T>) -> &'static str {
        parsed.map_or_else(|violation| violation.kind, |_| "")
    }

    #[test]
    fn validation_split_is_a_number_or_its_text() {
        for (value, share) in [
            (json!(0), 0.0),
            (json!(0.5), 0.5),
            (json!("0.25"), 0.25),
            (json!("+.1"), 0.1),
            (json!("2e-1"), 0.2),
        ] {
            assert_eq!(validation_split(&value).ok(), Some(share), "{value}");
        }
        assert!(validation_split(&json!(-0.0)).is_ok() && validation_split(&json!(1e-12)).is_ok());
    }

    #[test]
    fn each_broken_rule_has_its_name() {
        for (value, rule) in [
            (json!(0.500_001), "less_than_equal"),
            (json!(1), "less_than_equal"),
            (json!("0.7"), "less_than_equal"),
            (json!("nan"), "less_than_equal"),
            (json!("inf"), "less_than_equal"),
            (json!(true), "less_than_equal"),
            (json!(-0.1), "greater_than_equal"),
            (json!("-inf"), "greater_than_equal"),
            (json!(" 0.3 "), "float_parsing"),
            (json!("0.1_0"), "float_parsing"),
            (json!(""), "float_parsing"),
            (json!("20%"), "float_parsing"),
            (json!(false), "float_type"),
            (json!(null), "float_type"),
            (json!([0.2]), "float_type"),
            (json!({}), "float_type"),
        ] {
            assert_eq!(kind(validation_split(&value)), rule, "{value}");
        }
        for (value, rule) in [
            (json!(7), ""),
            (json!(-1), "greater_than_equal"),
            (json!(1.5), "int_from_float"),
            (json!("7"), "int_type"),
            (json!(null), "int_type"),
        ] {
            assert_eq!(kind(unsigned(&value)), rule, "{value}");
        }
        for (value, rule) in [
            (json!(-10), ""),
            (json!(10), ""),
            (json!(-11), "greater_than_equal"),
            (json!(i64::MIN), "greater_than_equal"),
            (json!(11), "less_than_equal"),
            (json!(u64::MAX), "less_than_equal"),
            (json!(0.5), "int_from_float"),
            (json!(1e300), "int_type"),
            (json!("1"), "int_type"),
        ] {
            assert_eq!(kind(priority(&value)), rule, "{value}");
        }
        assert_eq!([json!(true), json!(1)].map(|value| kind(boolean(&value))), ["", "bool_type"]);
        assert_eq!(kind(split(&json!("tiem"))), "literal_error");
        assert_eq!(kind(split(&json!("time"))), "");
    }

    #[test]
    fn a_key_is_printable_and_of_some_length() {
        for (key, rule) in [
            ("a", ""),
            (" ~", ""),
            (&"k".repeat(255), ""),
            (&"k".repeat(256), "string_too_long"),
            ("", "string_too_short"),
            ("a\tb", "string_pattern_mismatch"),
            ("\u{7f}", "string_pattern_mismatch"),
            ("\u{fffd}", "string_pattern_mismatch"),
            ("§schedule", "string_pattern_mismatch"),
        ] {
            assert_eq!(kind(idempotency_key(&json!(key))), rule, "{key:?}");
        }
    }

    #[test]
    fn a_cursor_names_a_time_and_a_job() {
        let id = Uuid::from_u128(7);
        let position = job_position(&json!(format!("1795357702000005.{id}"))).expect("a cursor");
        assert_eq!((position.created_at.timestamp_micros(), position.id), (1_795_357_702_000_005, id));
        for bad in ["", "x", "1.x", &format!("-1.{id}"), &format!("{}.{id}", i64::MAX), &format!("1.2.{id}")]
        {
            assert_eq!(kind(job_position(&json!(bad))), "value_error", "{bad:?}");
        }
    }

    #[test]
    fn messages_list_the_catalog() {
        let Err(violation) = model_type(&json!("house_price")) else { panic!("must be refused") };
        assert_eq!(
            violation.msg,
            "Input should be 'cost_forecasting', 'risk_assessment', 'roi_prediction' or 'anomaly_detection'"
        );
    }

    #[test]
    fn rows_are_objects() {
        let rows = |data: Value| {
            let Value::Object(object) = json!({ "data": data }) else { unreachable!("an object") };
            let mut fields = Fields::new(object);
            let rows = fields.rows("data", 3);
            fields.finish(|| Some(rows)).map_err(|error| match error {
                Error::Invalid(errors) => {
                    errors.iter().map(|e| (e.kind.to_string(), json!(e.loc))).collect::<Vec<_>>()
                }
                other => panic!("{other}"),
            })
        };
        assert_eq!(rows(json!(null)), Ok(None));
        assert_eq!(rows(json!([{}, {}])).map(|rows| rows.map(|rows| rows.len())), Ok(Some(2)));
        assert_eq!(rows(json!({})), Err(vec![("list_type".to_owned(), json!(["body", "data"]))]));
        assert_eq!(rows(json!([{}, 1, {}])), Err(vec![("dict_type".to_owned(), json!(["body", "data", 1]))]));
        assert_eq!(
            rows(json!([{}, {}, {}, {}])),
            Err(vec![("too_long".to_owned(), json!(["body", "data"]))])
        );
    }

    #[test]
    fn what_is_missing_does_not_send_the_rows_back() {
        let Value::Object(object) = json!({"data": [{}], "x": 1}) else { unreachable!("an object") };
        let mut fields = Fields::new(object);
        let found = fields.required("tenant_id", uuid);
        let Err(Error::Invalid(errors)) = fields.finish(|| found) else { panic!("must be refused") };
        assert_eq!((&*errors[0].kind, &errors[0].input), ("missing", &json!({"x": 1})));
    }
}
