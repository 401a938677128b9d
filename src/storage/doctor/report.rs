//! What the doctor found, in the shape of `--json`.

use std::time::Duration;

use serde::Serialize;

use super::Subject;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Isolation is broken, or something that it rests on is missing.
    Error,
    /// Isolation holds; the next mistake could break it.
    Warning,
}

/// How to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mend {
    /// Statements for the tables' owner (a superuser where roles are changed); complete as they stand.
    Sql(String),
    /// A command line.
    Command(String),
    /// What to do, for a person.
    Advice(String),
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable name of what was found, such as `table_without_rls`.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The group of checks that found it.
    pub group: &'static str,
    /// What it was found at: a table, a login, a function.
    pub object: String,
    /// What is wrong, and what follows.
    pub problem: String,
    /// How to mend it.
    pub mend: Mend,
}

/// A group of checks that was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name.
    pub name: &'static str,
    /// How many checks, or attempts of the probes.
    pub checks: usize,
    /// How many findings.
    pub findings: usize,
}

/// Something that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotRun {
    /// What.
    pub check: String,
    /// Why not.
    pub reason: String,
    /// Whether there is no verdict without it.
    pub needed: bool,
}

/// What it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing was found.
    Clean,
    /// Warnings only.
    Warnings,
    /// At least one error.
    Broken,
    /// No error, but something needed for a verdict could not be looked at.
    NotChecked,
}

impl Verdict {
    /// Exit status of the program: 0 without errors, 1 with, 2 if it could not be told.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Clean | Self::Warnings => 0,
            Self::Broken => 1,
            Self::NotChecked => 2,
        }
    }
}

/// The whole of it. Serialised it is the answer of `binah-ml doctor --json`; fields are added, never
/// renamed, while `format` stays 1.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of this shape: 1.
    pub format: u32,
    /// host:port/name.
    pub database: String,
    /// Version of the server; empty if it was not reached.
    pub server: String,
    /// As whom the catalogue was read; empty if it was not.
    pub read_as: String,
    /// What it comes to.
    pub verdict: Verdict,
    /// Findings that break isolation.
    pub errors: usize,
    /// The others.
    pub warnings: usize,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Every table with a `tenant_id`, qualified.
    pub tenant_tables: Vec<String>,
    /// What was run.
    pub groups: Vec<Group>,
    /// What was found, errors first.
    pub findings: Vec<Finding>,
    /// What could not be run.
    pub not_run: Vec<NotRun>,
}

impl Report {
    pub(super) fn new(subject: &Subject) -> Self {
        let connect = &subject.service;
        Self {
            format: 1,
            database: format!("{}:{}/{}", connect.host, connect.port, connect.database),
            server: String::new(),
            read_as: String::new(),
            verdict: Verdict::NotChecked,
            errors: 0,
            warnings: 0,
            seconds: 0.0,
            tenant_tables: vec![],
            groups: vec![],
            findings: vec![],
            not_run: vec![],
        }
    }

    /// Notes a group that was run with what it found.
    pub(super) fn group(&mut self, name: &'static str, checks: usize, findings: Vec<Finding>) {
        self.groups.push(Group { name, checks, findings: findings.len() });
        self.findings.extend(findings);
    }

    pub(super) fn not_run(&mut self, check: impl Into<String>, reason: impl Into<String>, needed: bool) {
        self.not_run.push(NotRun { check: check.into(), reason: reason.into(), needed });
    }

    /// Counts, sorts and judges.
    pub(super) fn finish(&mut self, elapsed: Duration) {
        self.seconds = (elapsed.as_secs_f64() * 1000.0).round() / 1000.0;
        // Stable: within a severity the groups keep their order.
        self.findings.sort_by_key(|finding| finding.severity);
        self.errors = self.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        self.warnings = self.findings.len() - self.errors;
        self.verdict = if self.errors > 0 {
            Verdict::Broken
        } else if self.not_run.iter().any(|missing| missing.needed) {
            Verdict::NotChecked
        } else if self.warnings > 0 {
            Verdict::Warnings
        } else {
            Verdict::Clean
        };
    }
}
