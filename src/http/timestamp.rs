//! Times as the contract writes them: ISO 8601 in UTC with microseconds and without an offset.

use chrono::{DateTime, Utc};

/// `2026-11-22T14:28:22.277204`.
pub(super) fn naive_utc(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_are_always_written() {
        let time = DateTime::from_timestamp(1_795_357_702, 5_000).expect("a time");
        assert_eq!(naive_utc(time), "2026-11-22T14:28:22.000005");
    }
}
