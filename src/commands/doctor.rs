//! `binah-ml doctor`: what in the live database breaks the isolation of tenants.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use binah_ml::{
    config::Config,
    error::BoxError,
    storage::doctor::{self, Finding, Mend, Report, Severity, Subject, Verdict},
};
use clap::Args;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DoctorArgs {
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
The catalogue is read as POSTGRES_OWNER_USER, or as POSTGRES_USER where the owner cannot log in. Then isolation is
tried out as POSTGRES_USER and POSTGRES_QUERY_USER, with two tenants that do not exist, in transactions that are
always rolled back: it may run against production, and needs no quiet hour. Identity columns skip a few numbers.

Each finding has a stable code, a severity, the object, what is wrong and how to mend it:
  error    isolation is broken, or something that it rests on is missing
  warning  isolation holds; the next mistake could break it

Exit status:
  0  no error
  1  at least one error
  2  it could not be told: the database or a configured login cannot be reached

Examples:
  binah-ml migrate && binah-ml doctor
  binah-ml doctor --json | jq -r '.findings[] | [.severity, .code, .object] | @tsv'
  binah-ml doctor --json | jq -r '.findings[].mend.sql // empty'     # statements to read, then to run as the owner";

/// Most columns of a line.
const WIDTH: usize = 110;

pub(crate) async fn run(args: &DoctorArgs, config: &Config) -> Result<ExitCode, BoxError> {
    let postgres = &config.postgres;
    let subject = Subject { owner: postgres.owner(), service: postgres.service(), query: postgres.query() };
    let report = doctor::examine(&subject).await;
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        let colours = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        print(&report, &Ink(colours), &mut out)?;
    }
    Ok(ExitCode::from(report.verdict.exit_status()))
}

/// Colours, where somebody looks.
struct Ink(bool);

impl Ink {
    fn paint(&self, code: &str, text: impl std::fmt::Display) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    fn severity(&self, severity: Severity) -> String {
        match severity {
            Severity::Error => self.paint("1;31", "error"),
            Severity::Warning => self.paint("1;33", "warning"),
        }
    }
}

fn print(report: &Report, ink: &Ink, out: &mut impl Write) -> io::Result<()> {
    write!(out, "{}", report.database)?;
    if !report.server.is_empty() {
        write!(out, ", {}, read as {}", report.server, report.read_as)?;
    }
    writeln!(out, "\n")?;
    for group in &report.groups {
        let (mark, findings) = match group.findings {
            0 => (ink.paint("32", "ok   "), String::new()),
            n => (ink.paint("1;31", "FOUND"), format!(", {n} found")),
        };
        let unit = if group.name.starts_with("probes") { "attempts" } else { "checks" };
        writeln!(out, "  {mark}  {:<26} {:>4} {unit}{findings}", group.name, group.checks)?;
    }
    for finding in &report.findings {
        print_finding(finding, ink, out)?;
    }
    if !report.not_run.is_empty() {
        writeln!(out, "\n{}", ink.paint("1", "Not looked at"))?;
    }
    for missing in &report.not_run {
        print_wrapped(&format!("{}: {}", missing.check, missing.reason), "  ", out)?;
    }
    writeln!(out, "\n{}", verdict(report, ink))
}

fn print_finding(finding: &Finding, ink: &Ink, out: &mut impl Write) -> io::Result<()> {
    let severity = ink.severity(finding.severity);
    writeln!(out, "\n{severity} {} {}", ink.paint("1", finding.code), finding.object)?;
    print_wrapped(&finding.problem, "  ", out)?;
    // A mend stands in one line, to be copied.
    match &finding.mend {
        Mend::Sql(sql) => writeln!(out, "  mend (SQL): {sql}"),
        Mend::Command(command) => writeln!(out, "  mend: run {command}"),
        Mend::Advice(advice) => print_wrapped(&format!("mend: {advice}"), "  ", out),
    }
}

fn print_wrapped(text: &str, indent: &str, out: &mut impl Write) -> io::Result<()> {
    let mut line = indent.to_owned();
    for word in text.split_whitespace() {
        if line.len() > indent.len() && line.len() + 1 + word.len() > WIDTH {
            writeln!(out, "{line}")?;
            line = indent.to_owned();
        }
        if line.len() > indent.len() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "{line}")
}

fn verdict(report: &Report, ink: &Ink) -> String {
    let attempts: usize = report.groups.iter().map(|group| group.checks).sum();
    let looked = format!(
        "{} tenant tables, {attempts} checks and attempts, {:.2} s",
        report.tenant_tables.len(),
        report.seconds
    );
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let (colour, words) = match report.verdict {
        Verdict::Clean => ("1;32", "Tenants are isolated".to_owned()),
        Verdict::Warnings => {
            ("1;33", format!("Tenants are isolated, with {}", count(report.warnings, "warning")))
        }
        Verdict::Broken => {
            let warnings = count(report.warnings, "warning");
            ("1;31", format!("Isolation is BROKEN: {}, {warnings}", count(report.errors, "error")))
        }
        Verdict::NotChecked => ("1;31", "Isolation could NOT be checked".to_owned()),
    };
    format!("{} ({looked})", ink.paint(colour, words))
}
