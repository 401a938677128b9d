//! What a failure of Postgres means to the rest of the crate.

use crate::Error;

impl From<sqlx::Error> for Error {
    /// Trouble with the connection is [`Error::Unavailable`], and so is a statement that lost to somebody else's:
    /// both pass. Anything else is a defect of ours.
    fn from(error: sqlx::Error) -> Self {
        if is_connection_trouble(&error) || lost_to_others(&error) {
            Self::Unavailable { dependency: "Postgres", source: error.into() }
        } else {
            Self::internal(error)
        }
    }
}

/// Whether the server could not be reached, was going away, or had no connection left, as against a
/// statement that failed.
pub(super) fn is_connection_trouble(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_outage(&code)),
        _ => false,
    }
}

/// Classes of SQLSTATE: 08 connection, 53 resources, 57P server going away or starting, 58 system,
/// 28 and 3D a login or database that is not there (yet); 25P03 a session that the server ended because this
/// process fell silent in a transaction.
fn is_outage(code: &str) -> bool {
    ["08", "53", "57P", "58", "28", "3D", "25P03"].iter().any(|class| code.starts_with(class))
}

/// Whether the statement gave way to somebody else's: the same one may succeed in a moment, on this connection too.
pub(super) fn lost_to_others(error: &sqlx::Error) -> bool {
    sqlstate(error).is_some_and(|code| is_lost_to_others(&code))
}

/// SQLSTATEs lock_not_available, deadlock_detected, serialization_failure. Not 57014, a statement that took too long:
/// no lock is behind it, for these are waited for half as long (`Database::new`), so that it would do so again, and
/// each attempt would cost a server that is slow already the whole limit.
fn is_lost_to_others(code: &str) -> bool {
    ["55P03", "40P01", "40001"].contains(&code)
}

/// SQLSTATE program_limit_exceeded, such as a row that does not fit a page.
const PROGRAM_LIMIT: &str = "54000";

/// Whether Postgres refused something as too large for it.
pub(crate) fn exceeds_program_limit(error: &Error) -> bool {
    let Error::Internal(source) = error else { return false };
    source.downcast_ref::<sqlx::Error>().and_then(sqlstate).as_deref() == Some(PROGRAM_LIMIT)
}

/// The SQLSTATE of an error that the server reported.
pub(super) fn sqlstate(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code()).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_from_a_defect() {
        assert_eq!(Error::from(sqlx::Error::PoolTimedOut).code(), "unavailable");
        assert_eq!(Error::from(sqlx::Error::RowNotFound).code(), "internal");
        assert!(is_outage("57P01"), "the server is shutting down");
        for (code, what) in [("57014", "a statement that took too long"), ("42501", "a missing privilege")] {
            assert!(!is_outage(code) && !is_lost_to_others(code), "{what}");
        }
        for code in ["55P03", "40P01", "40001"] {
            assert!(is_lost_to_others(code) && !is_outage(code), "{code}: the connection is well");
        }
    }
}
