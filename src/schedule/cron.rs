//! Cron expressions of five fields, in the wall clock of a time zone.
//!
//! What the clock skips in spring happens once it goes on (02:30 becomes 03:00), what it repeats in autumn
//! happens the first time only; expressions that step or match every hour follow the clock through both.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};

/// Names of the fields, in their order.
const FIELDS: [&str; 5] = ["minute", "hour", "day of the month", "month", "day of the week"];

/// A checked expression with its time zone; it has a next time at any time.
#[derive(Clone)]
pub struct Cron {
    text: String,
    zone: Zone,
    parsed: croner::Cron,
}

impl Cron {
    /// Checks an expression for the clock of `zone`.
    ///
    /// # Errors
    /// What is wrong with it, and in which field.
    pub fn parse(text: &str, zone: Zone) -> Result<Self, String> {
        let fields: Vec<_> = text.split_whitespace().collect();
        if fields.len() != FIELDS.len() {
            return Err(format!("'{text}' is no five-field cron expression: {}", FIELDS.join(", ")));
        }
        for (position, field) in fields.iter().enumerate() {
            let mut alone = ["*"; FIELDS.len()];
            alone[position] = field;
            // croner takes a list of nothing.
            let is_empty = field.split(',').any(str::is_empty);
            if is_empty || parser().parse(&alone.join(" ")).is_err() {
                return Err(format!("'{text}': '{field}' is no {} of a cron expression", FIELDS[position]));
            }
        }
        let text = fields.join(" ");
        let parsed = parser().parse(&text).map_err(|_| format!("'{text}' is no cron expression"))?;
        let cron = Self { text, zone, parsed };
        // It names no year: what comes once comes again.
        match cron.next_after(DateTime::UNIX_EPOCH) {
            Some(_) => Ok(cron),
            None => Err(format!("'{}' never comes: there is no such day", cron.text)),
        }
    }

    /// The expression, with single spaces.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whose clock it follows.
    #[must_use]
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// The first time after `moment`.
    #[must_use]
    pub fn next_after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = self.parsed.find_next_occurrence(&moment.with_timezone(&self.zone.0), false).ok()?;
        Some(next.to_utc())
    }
}

fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build()
}

/// A time zone by its IANA name, such as `Europe/Berlin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(Tz);

impl Zone {
    /// The zone of that name.
    ///
    /// # Errors
    /// If there is none.
    pub fn parse(name: &str) -> Result<Self, String> {
        name.parse()
            .map(Self)
            .map_err(|_| format!("'{name}' is no time zone; expected a name such as Europe/Berlin"))
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

impl std::fmt::Debug for Cron {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cron({self})")
    }
}

impl std::fmt::Display for Cron {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.text, self.zone.name())
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.zone) == (&other.text, other.zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn cron(text: &str, zone: &str) -> Result<Cron, String> {
        Cron::parse(text, Zone::parse(zone)?)
    }

    fn times(text: &str, zone: &str, from: &str, n: usize) -> Vec<String> {
        let cron = cron(text, zone).expect("valid");
        let next = |moment: &DateTime<Utc>| cron.next_after(*moment);
        let times = std::iter::successors(Some(at(from)), next).skip(1).take(n);
        times.map(|time| time.format("%m-%dT%H:%M").to_string()).collect()
    }

    #[test]
    fn a_bad_field_is_named() {
        for (text, message) in [
            (
                "0 2 * *",
                "'0 2 * *' is no five-field cron expression: minute, hour, day of the month, month, day of the week",
            ),
            (
                "0 0 2 * * *",
                "'0 0 2 * * *' is no five-field cron expression: minute, hour, day of the month, month, day of the week",
            ),
            ("61 2 * * *", "'61 2 * * *': '61' is no minute of a cron expression"),
            ("0 24 * * *", "'0 24 * * *': '24' is no hour of a cron expression"),
            ("0 2 0 * *", "'0 2 0 * *': '0' is no day of the month of a cron expression"),
            ("0 2 * 13 *", "'0 2 * 13 *': '13' is no month of a cron expression"),
            ("0 2 * * FOO", "'0 2 * * FOO': 'FOO' is no day of the week of a cron expression"),
            ("*/0 2 * * *", "'*/0 2 * * *': '*/0' is no minute of a cron expression"),
            ("0 2 , * *", "'0 2 , * *': ',' is no day of the month of a cron expression"),
            ("0 0 31 2 *", "'0 0 31 2 *' never comes: there is no such day"),
        ] {
            assert_eq!(cron(text, "UTC").expect_err("must be refused"), message);
        }
        assert_eq!(
            cron("0 2 * * *", "Mars/Olympus").expect_err("must be refused"),
            "'Mars/Olympus' is no time zone; expected a name such as Europe/Berlin"
        );
    }

    #[test]
    fn what_is_written_is_kept_but_for_spaces() {
        let cron = cron(" 0  2 * *  mon-fri ", "America/New_York").expect("valid");
        assert_eq!(cron.to_string(), "0 2 * * mon-fri America/New_York");
    }

    #[test]
    fn the_next_time_is_later_to_the_second() {
        let cron = cron("0 2 * * *", "UTC").expect("valid");
        for (now, next) in [
            ("2026-03-01T01:59:59.999Z", "2026-03-01T02:00:00Z"),
            ("2026-03-01T02:00:00Z", "2026-03-02T02:00:00Z"),
            ("2026-03-01T02:00:00.5Z", "2026-03-02T02:00:00Z"),
        ] {
            assert_eq!(cron.next_after(at(now)), Some(at(next)), "{now}");
        }
    }

    #[test]
    fn a_time_that_the_clock_skips_comes_once_when_it_goes_on() {
        // 02:00 +01:00 is followed by 03:00 +02:00.
        let from = "2026-03-28T12:00:00Z";
        assert_eq!(times("0 2 * * *", "Europe/Berlin", from, 2), ["03-29T01:00", "03-30T00:00"]);
        assert_eq!(times("30 2 * * *", "Europe/Berlin", from, 2), ["03-29T01:00", "03-30T00:30"]);
        assert_eq!(times("30 3 * * *", "Europe/Berlin", from, 2), ["03-29T01:30", "03-30T01:30"]);
    }

    #[test]
    fn a_time_that_the_clock_repeats_comes_once() {
        // 02:59 +02:00 is followed by 02:00 +01:00.
        let from = "2026-10-24T12:00:00Z";
        assert_eq!(times("30 2 * * *", "Europe/Berlin", from, 2), ["10-25T00:30", "10-26T01:30"]);
        let hourly = times("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 3);
        assert_eq!(hourly, ["10-25T00:00", "10-25T01:00", "10-25T02:00"], "an hour is an hour");
    }
}
