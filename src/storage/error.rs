//! What a failure of Postgres means to the rest of the crate.

use crate::Error;

impl From<sqlx::Error> for Error {
    /// Trouble with the connection is [`Error::Unavailable`]; anything else is a defect of ours.
    fn from(error: sqlx::Error) -> Self {
        if is_connection_trouble(&error) {
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
/// 28 and 3D a login or database that is not there (yet).
fn is_outage(code: &str) -> bool {
    ["08", "53", "57P", "58", "28", "3D"].iter().any(|class| code.starts_with(class))
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
        assert!(!is_outage("57014"), "a statement that took too long");
        assert!(!is_outage("42501"), "a missing privilege");
    }
}
