//! Finds what belongs to a tenant in bytes, and keeps what was found in the wrong place.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use aho_corasick::AhoCorasick;
use serde_json::Value;

use super::tenants::{BAND, BANDS, Tenants};

/// A way out of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    Answer,
    Metrics,
    Log,
    Mlflow,
    ModelFile,
    KeptRow,
}

/// What one channel carried.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    pub messages: u64,
    pub bytes: u64,
    /// Messages in which a tenant's own canary was found: the search works there.
    pub with_own_canary: u64,
}

/// Most leaks that are kept for the message.
const SHOWN: usize = 20;

pub struct Leaks {
    search: AhoCorasick,
    /// Which tenant each pattern belongs to, and whether it is data, which no log may hold.
    patterns: Vec<(usize, bool)>,
    tenants: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seen: BTreeMap<Channel, Seen>,
    leaks: Vec<String>,
}

impl Leaks {
    pub fn new(tenants: &Tenants) -> Self {
        let (mut patterns, mut texts) = (vec![], vec![]);
        for tenant in tenants.iter() {
            for (text, is_data) in [
                (tenant.id.to_string(), false),
                (tenant.id.simple().to_string(), false),
                (tenant.user.clone(), false),
                (tenant.word.clone(), true),
            ] {
                texts.push(text);
                patterns.push((tenant.index, is_data));
            }
        }
        let search = AhoCorasick::builder().ascii_case_insensitive(true).build(texts).expect("few patterns");
        Self { search, patterns, tenants: tenants.len(), state: Mutex::default() }
    }

    /// Bytes that belong to one tenant: no other may be in them, and no number of another's band
    /// where they are JSON; the gains in a model file are numbers of any size.
    pub fn check(&self, channel: Channel, tenant: usize, bytes: &[u8], what: &str) {
        let found = self.tenants_in(bytes);
        self.note(channel, bytes, found.contains(&tenant));
        if found.iter().any(|&other| other != tenant) {
            self.leak(channel, format!("{found:?} in what belongs to {tenant}, {what}"), bytes);
        }
        if channel != Channel::ModelFile
            && let Ok(json) = serde_json::from_slice::<Value>(bytes)
            && let Some(number) = self.foreign_number(&json, tenant)
        {
            self.leak(channel, format!("the number {number} in what belongs to {tenant}, {what}"), bytes);
        }
    }

    /// Bytes of a tenant that is not known beforehand.
    pub fn check_at_most_one(&self, channel: Channel, bytes: &[u8], what: &str) {
        let found = self.tenants_in(bytes);
        match found.len() {
            0 => self.note(channel, bytes, false),
            1 => self.check(channel, found.into_iter().next().expect("one"), bytes, what),
            _ => {
                self.note(channel, bytes, true);
                self.leak(channel, format!("{found:?} together, {what}"), bytes);
            }
        }
    }

    /// A log line names one tenant, and nobody's data.
    pub fn check_log(&self, line: &str) {
        self.check_at_most_one(Channel::Log, line.as_bytes(), "a line");
        if self.search.find_iter(line).any(|found| self.patterns[found.pattern()].1) {
            self.leak(Channel::Log, "data in a log line".into(), line.as_bytes());
        }
    }

    /// Nobody may be named.
    pub fn check_nobody(&self, channel: Channel, bytes: &[u8], what: &str) {
        self.note(channel, bytes, false);
        let found = self.tenants_in(bytes);
        if !found.is_empty() {
            self.leak(channel, format!("{found:?} named, {what}"), bytes);
        }
    }

    fn tenants_in(&self, bytes: &[u8]) -> BTreeSet<usize> {
        self.search.find_iter(bytes).map(|found| self.patterns[found.pattern()].0).collect()
    }

    /// A number of some tenant's band which is not this one's.
    fn foreign_number(&self, json: &Value, tenant: usize) -> Option<f64> {
        match json {
            Value::Number(number) => {
                let number = number.as_f64().unwrap_or_default();
                let is_of = |index: usize| {
                    let low = BANDS + index as f64 * BAND;
                    (low..low + BAND / 2.0).contains(&number)
                };
                (0..self.tenants).any(|index| index != tenant && is_of(index)).then_some(number)
            }
            Value::Array(values) => values.iter().find_map(|value| self.foreign_number(value, tenant)),
            Value::Object(fields) => fields.values().find_map(|value| self.foreign_number(value, tenant)),
            Value::Null | Value::Bool(_) | Value::String(_) => None,
        }
    }

    fn note(&self, channel: Channel, bytes: &[u8], own: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = state.seen.entry(channel).or_default();
        seen.messages += 1;
        seen.bytes += bytes.len() as u64;
        seen.with_own_canary += u64::from(own);
    }

    pub fn leak(&self, channel: Channel, what: String, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let text: String = String::from_utf8_lossy(bytes).chars().take(1_000).collect();
        state.leaks.push(format!("{channel:?}: {what}: {text}"));
    }

    pub fn seen(&self) -> BTreeMap<Channel, Seen> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).seen.clone()
    }

    /// A channel that carried nothing, or in which the search never found the tenant itself, proves nothing.
    pub fn assert_each_channel_was_read(&self) {
        let seen = self.seen();
        for channel in [Channel::Answer, Channel::Log, Channel::Mlflow, Channel::KeptRow] {
            assert!(
                seen.get(&channel).is_some_and(|seen| seen.with_own_canary > 0),
                "{channel:?}: {seen:#?}"
            );
        }
        // No tenant's canary belongs there: labels are bounded, and the files hold codes, not names.
        for channel in [Channel::Metrics, Channel::ModelFile] {
            assert!(seen.get(&channel).is_some_and(|seen| seen.bytes > 10_000), "{channel:?}: {seen:#?}");
        }
    }

    /// What was found in the wrong place.
    pub fn found(&self) -> Vec<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).leaks.clone()
    }

    pub fn assert_none(&self) {
        let found = self.found();
        let shown = found[..found.len().min(SHOWN)].join("\n");
        assert!(found.is_empty(), "{} leaks:\n{shown}", found.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_leak_is_found() {
        let tenants = Tenants::new(3, 7);
        let (own, other) = (tenants.get(0), tenants.get(1));
        let leaks = || Leaks::new(&tenants);
        let caught = |leaks: &Leaks| !leaks.found().is_empty();

        for foreign in [other.id.to_string(), other.word.to_uppercase(), other.user.clone()] {
            let leaks = leaks();
            leaks.check(Channel::Answer, own.index, format!("x{foreign}y").as_bytes(), "");
            assert!(caught(&leaks), "{foreign}");
        }
        let with_number = leaks();
        with_number.check(Channel::Answer, own.index, br#"{"a": [{"b": 1501000123.5}]}"#, "");
        assert!(caught(&with_number));
        let two = leaks();
        two.check_at_most_one(Channel::Mlflow, format!("{} {}", own.id, other.id).as_bytes(), "");
        assert!(caught(&two));
        let logged = leaks();
        logged.check_log(&own.word);
        assert!(caught(&logged));

        let clean = leaks();
        clean.check(Channel::Answer, own.index, format!("[\"{}\", 1500000123]", own.word).as_bytes(), "");
        clean.check_log(&format!("{} {}", own.id, own.user));
        assert!(!caught(&clean));
    }
}
