//! Typed look-ups in a map of texts.

use std::str::FromStr;

use secrecy::SecretString;

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{setting} {problem}")]
pub struct ConfigError {
    setting: String,
    problem: String,
}

impl ConfigError {
    pub(super) fn new(setting: &str, problem: impl Into<String>) -> Self {
        Self { setting: setting.to_owned(), problem: problem.into() }
    }
}

pub(super) struct Settings<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Settings<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup }
    }

    /// The trimmed value; `None` if unset or empty.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub(super) fn text(&self, name: &str, default: &str) -> String {
        self.get(name).unwrap_or_else(|| default.to_owned())
    }

    /// A secret, byte for byte: blanks may belong to it.
    pub(super) fn secret(&self, name: &str) -> Option<SecretString> {
        (self.lookup)(name).filter(|value| !value.is_empty()).map(Into::into)
    }

    pub(super) fn optional<T: FromStr>(&self, name: &str) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(ConfigError::new(name, format!("must be a number in range, not '{text}'"))),
        }
    }

    pub(super) fn parse<T: FromStr>(&self, name: &str, default: T) -> Result<T, ConfigError> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    pub(super) fn positive(&self, name: &str, default: usize) -> Result<usize, ConfigError> {
        match self.parse(name, default)? {
            0 => Err(ConfigError::new(name, "must be at least 1")),
            value if value > u32::MAX as usize => Err(ConfigError::new(name, "is too large")),
            value => Ok(value),
        }
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, ConfigError> {
        match self.get(name).map(|text| text.to_lowercase()).as_deref() {
            None => Ok(default),
            Some("true" | "1" | "yes" | "on") => Ok(true),
            Some("false" | "0" | "no" | "off") => Ok(false),
            Some(text) => Err(ConfigError::new(name, format!("must be true or false, not '{text}'"))),
        }
    }

    /// One of `names`, in any case.
    pub(super) fn choice(&self, name: &str, names: &[&str], default: &str) -> Result<String, ConfigError> {
        let text = self.text(name, default);
        match names.iter().find(|known| known.eq_ignore_ascii_case(&text)) {
            Some(known) => Ok((*known).to_owned()),
            None => Err(ConfigError::new(name, format!("must be one of {}, not '{text}'", names.join(", ")))),
        }
    }
}
