//! Who is told how jobs go on: each open stream costs memory, a connection, and a look at the database now and
//! then, so that there is a limit, for all and for one tenant.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{Error, Result, auth::TenantId};

/// Most open streams of this process.
const MOST: usize = 1_000;
/// Most of them of one tenant.
const MOST_OF_TENANT: usize = 100;
/// Seconds after which a refused client may try again.
const RETRY_AFTER: u32 = 5;
/// Gauge of open streams.
const OPEN: &str = "binah_event_streams";

/// Counts the streams that are open. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Streams(Arc<Mutex<HashMap<TenantId, usize>>>);

/// The right to one stream, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    streams: Streams,
    tenant: TenantId,
}

impl Streams {
    /// A place for one more stream of a tenant.
    ///
    /// # Errors
    /// [`Error::TooManyStreams`] if there is none left.
    pub(super) fn open(&self, tenant: TenantId) -> Result<Place> {
        let mut open = self.counts();
        let all: usize = open.values().sum();
        let own = open.get(&tenant).copied().unwrap_or_default();
        if all >= MOST || own >= MOST_OF_TENANT {
            return Err(Error::TooManyStreams { retry_after: RETRY_AFTER });
        }
        open.insert(tenant, own + 1);
        drop(open);
        metrics::gauge!(OPEN).increment(1);
        Ok(Place { streams: self.clone(), tenant })
    }

    /// No code panics while it holds this lock.
    fn counts(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.counts();
        if let Some(own) = open.get_mut(&self.tenant) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.tenant);
            }
        }
        metrics::gauge!(OPEN).decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn places_are_limited_and_come_back() {
        let streams = Streams::default();
        let tenant = |number| TenantId::trusted(Uuid::from_u128(number));
        let mut places: Vec<_> =
            (0..MOST_OF_TENANT).map(|_| streams.open(tenant(0)).expect("a place")).collect();
        assert!(streams.open(tenant(0)).is_err());
        places.extend((MOST_OF_TENANT..MOST).map(|i| streams.open(tenant(i as u128)).expect("a place")));
        assert!(streams.open(tenant(u128::MAX)).is_err());
        assert_eq!(streams.counts().len(), 1 + MOST - MOST_OF_TENANT, "a refusal leaves nothing");
        places.pop();
        places.push(streams.open(tenant(1)).expect("one came back"));
        drop(places);
        assert!(streams.counts().is_empty());
    }
}
