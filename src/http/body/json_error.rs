//! Where and why CPython's `json` refuses a text: clients show these positions and messages.
//!
//! Runs only after serde_json has refused. The algorithm is that of CPython 3.11's `_json.c`
//! (`scan_once_unicode`, `scanstring_unicode`, `_match_number_unicode`), including its quirks:
//! a number that breaks off ends where it was last valid, so `1.` is a 1 followed by extra data.

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonError {
    /// Characters (not bytes) before the error.
    pub(super) position: usize,
    /// Python's words.
    pub(super) message: &'static str,
}

/// Brackets that may be open at once: Python gives up behind this depth, in the old service's stack.
const MAX_DEPTH: usize = 960;

/// The first error of the text; `None` if only its depth is too much, for Python or for serde_json.
///
/// Python also reads what is not JSON: NaN, infinities, numbers beyond a double, and halves of
/// surrogate pairs. A text whose only fault is one of these is refused at the first of them.
pub(super) fn find(text: &str) -> Option<JsonError> {
    let mut scanner = Scanner { text: text.as_bytes(), lenient: None, too_deep: false };
    let fault = scanner.document().err().or(scanner.lenient).filter(|_| !scanner.too_deep)?;
    Some(JsonError { position: characters_before(text, fault.at), message: fault.message })
}

fn characters_before(text: &str, byte: usize) -> usize {
    text.as_bytes()[..byte.min(text.len())].iter().filter(|&&byte| byte & 0xC0 != 0x80).count()
}

#[derive(Debug, Clone, Copy)]
struct Fault {
    /// Byte position.
    at: usize,
    message: &'static str,
}

const VALUE: &str = "Expecting value";
const COMMA: &str = "Expecting ',' delimiter";
const COLON: &str = "Expecting ':' delimiter";
const NAME: &str = "Expecting property name enclosed in double quotes";
const OUT_OF_RANGE: &str = "Out of range float values are not JSON compliant";

type Scan<T> = Result<T, Fault>;

fn fault<T>(at: usize, message: &'static str) -> Scan<T> {
    Err(Fault { at, message })
}

/// Works on bytes: all that has a meaning in JSON is ASCII. Each method takes the position at
/// which its subject starts and returns the position after it.
struct Scanner<'a> {
    text: &'a [u8],
    /// First thing that Python reads although it is not JSON.
    lenient: Option<Fault>,
    /// Whether Python gave up before it met an error.
    too_deep: bool,
}

/// What an open bracket waits for.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    Object,
    Array,
}

impl Scanner<'_> {
    fn at(&self, position: usize) -> Option<u8> {
        self.text.get(position).copied()
    }

    fn skip_space(&self, mut position: usize) -> usize {
        while matches!(self.at(position), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            position += 1;
        }
        position
    }

    fn tolerate(&mut self, at: usize, message: &'static str) {
        self.lenient.get_or_insert(Fault { at, message });
    }

    fn document(&mut self) -> Scan<()> {
        let start = self.skip_space(0);
        let end = self.value(start)?;
        let end = self.skip_space(end);
        if end == self.text.len() { Ok(()) } else { fault(end, "Extra data") }
    }

    /// A value and all that is nested in it, without recursion: depth is the client's to choose.
    fn value(&mut self, mut position: usize) -> Scan<usize> {
        let mut open: Vec<Open> = vec![];
        loop {
            // A value starts here, unless it is a bracket that stays empty.
            let mut complete = match self.at(position) {
                Some(b'{') => {
                    position = self.skip_space(position + 1);
                    if self.at(position) == Some(b'}') {
                        position += 1;
                        true
                    } else {
                        open.push(Open::Object);
                        position = self.name(position)?;
                        false
                    }
                }
                Some(b'[') => {
                    position = self.skip_space(position + 1);
                    if self.at(position) == Some(b']') {
                        position += 1;
                        true
                    } else {
                        open.push(Open::Array);
                        false
                    }
                }
                _ => {
                    position = self.scalar(position)?;
                    true
                }
            };
            if open.len() > MAX_DEPTH {
                self.too_deep = true;
                return Ok(position);
            }
            while complete {
                let Some(&bracket) = open.last() else { return Ok(position) };
                position = self.skip_space(position);
                match (self.at(position), bracket) {
                    (Some(b'}'), Open::Object) | (Some(b']'), Open::Array) => {
                        open.pop();
                        position += 1;
                    }
                    (Some(b','), _) => {
                        position = self.skip_space(position + 1);
                        if bracket == Open::Object {
                            position = self.name(position)?;
                        }
                        complete = false;
                    }
                    _ => return fault(position, COMMA),
                }
            }
        }
    }

    /// `"name" :` and the space after it.
    fn name(&mut self, position: usize) -> Scan<usize> {
        if self.at(position) != Some(b'"') {
            return fault(position, NAME);
        }
        let end = self.string(position)?;
        let colon = self.skip_space(end);
        if self.at(colon) != Some(b':') {
            return fault(colon, COLON);
        }
        Ok(self.skip_space(colon + 1))
    }

    fn scalar(&mut self, position: usize) -> Scan<usize> {
        if self.at(position) == Some(b'"') {
            return self.string(position);
        }
        let rest = self.text.get(position..).unwrap_or_default();
        for (word, is_json) in [
            ("null", true),
            ("true", true),
            ("false", true),
            ("NaN", false),
            ("Infinity", false),
            ("-Infinity", false),
        ] {
            if rest.starts_with(word.as_bytes()) {
                if !is_json {
                    self.tolerate(position, OUT_OF_RANGE);
                }
                return Ok(position + word.len());
            }
        }
        self.number(position)
    }

    fn digits(&self, mut position: usize) -> usize {
        while self.at(position).is_some_and(|byte| byte.is_ascii_digit()) {
            position += 1;
        }
        position
    }

    fn number(&mut self, start: usize) -> Scan<usize> {
        let first = if self.at(start) == Some(b'-') { start + 1 } else { start };
        let mut end = match self.at(first) {
            Some(b'1'..=b'9') => self.digits(first),
            Some(b'0') => first + 1,
            _ => return fault(start, VALUE),
        };
        if self.at(end) == Some(b'.') && self.digits(end + 1) > end + 1 {
            end = self.digits(end + 1);
        }
        if matches!(self.at(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.at(end + 1), Some(b'+' | b'-')));
            let exponent = end + 1 + sign;
            if self.digits(exponent) > exponent {
                end = self.digits(exponent);
            }
        }
        let number =
            std::str::from_utf8(&self.text[start..end]).ok().and_then(|text| text.parse::<f64>().ok());
        if number.is_some_and(f64::is_infinite) {
            self.tolerate(start, OUT_OF_RANGE);
        }
        Ok(end)
    }

    fn string(&mut self, quote: usize) -> Scan<usize> {
        let mut position = quote + 1;
        loop {
            match self.at(position) {
                None => return fault(quote, "Unterminated string starting at"),
                Some(b'"') => return Ok(position + 1),
                Some(b'\\') => match self.at(position + 1) {
                    None => return fault(quote, "Unterminated string starting at"),
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => position += 2,
                    Some(b'u') => position = self.unicode_escape(position)?,
                    Some(_) => return fault(position, "Invalid \\escape"),
                },
                Some(0..=0x1f) => return fault(position, "Invalid control character at"),
                Some(_) => position += 1,
            }
        }
    }

    /// `\uXXXX`, and the second half that follows a high surrogate.
    fn unicode_escape(&mut self, backslash: usize) -> Scan<usize> {
        let unit = self.hex(backslash)?;
        let end = backslash + 6;
        match unit {
            0xD800..=0xDBFF if self.text.get(end..end + 2) == Some(b"\\u") => {
                if let 0xDC00..=0xDFFF = self.hex(end)? {
                    return Ok(end + 6);
                }
                self.tolerate(backslash, "Unpaired surrogate in string");
            }
            0xD800..=0xDFFF => self.tolerate(backslash, "Unpaired surrogate in string"),
            _ => {}
        }
        Ok(end)
    }

    fn hex(&self, backslash: usize) -> Scan<u32> {
        let digits = self.text.get(backslash + 2..backslash + 6);
        // CPython wants one more character, the closing quote at the earliest.
        let followed = self.at(backslash + 6).is_some();
        digits
            .filter(|digits| followed && digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())
            .map_or_else(|| fault(backslash + 1, "Invalid \\uXXXX escape"), Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `tests/contract/python_json_errors.py` with CPython 3.11: text, position, message.
    const TABLE: &str = include_str!("../../../tests/contract/python_json_errors.jsonl");

    #[test]
    fn position_and_message_are_those_of_python() {
        let mut cases = 0;
        for line in TABLE.lines() {
            let (text, position, message): (String, usize, String) =
                serde_json::from_str(line).expect("a table line");
            let found = find(&text).unwrap_or_else(|| panic!("{text:?} must be refused"));
            assert_eq!((found.position, found.message), (position, message.as_str()), "{text:?}");
            assert!(serde_json::from_str::<serde_json::Value>(&text).is_err(), "{text:?}");
            cases += 1;
        }
        assert!(cases > 500, "only {cases} cases");
    }

    #[test]
    fn what_only_python_reads_is_refused_where_it_stands() {
        for (text, position, message) in [
            ("{\"é\": NaN}", 6, OUT_OF_RANGE),
            ("[1, -Infinity, NaN]", 4, OUT_OF_RANGE),
            ("[1e400]", 1, OUT_OF_RANGE),
            (r#"["\ud800"]"#, 2, "Unpaired surrogate in string"),
            (r#"["\ud800\u0041"]"#, 2, "Unpaired surrogate in string"),
        ] {
            assert_eq!(find(text), Some(JsonError { position, message }), "{text}");
        }
    }

    #[test]
    fn a_valid_text_of_any_depth_has_no_error() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        for text in [r#"{"a": [1.5e-3, "\ud83d\ude00", null], "b": {}}"#, " 0 ", deep.as_str()] {
            assert_eq!(find(text), None);
        }
    }

    #[test]
    fn an_error_behind_too_many_brackets_is_not_reached() {
        let open = |depth| find(&"[".repeat(depth)).map(|error| error.position);
        assert_eq!((open(MAX_DEPTH), open(MAX_DEPTH + 1)), (Some(MAX_DEPTH), None));
    }

    proptest::proptest! {
        #[test]
        fn finds_an_error_exactly_where_serde_json_does(text in r#"[\[\]{}:,"\\ 0-9eE.+nu-]{0,24}"#) {
            proptest::prop_assert_eq!(
                find(&text).is_some(),
                serde_json::from_str::<serde_json::Value>(&text).is_err()
            );
        }
    }
}
