//! The library, opened by the first training that needs it.

use std::sync::{Arc, OnceLock};

use super::library::{Library, OpenError, Search};

/// libxgboost, not yet opened: a replica that only predicts, or only grows forests, never does.
#[derive(Debug)]
pub struct LazyLibrary {
    search: Search,
    opened: OnceLock<Arc<Library>>,
}

impl LazyLibrary {
    /// Will look where `search` leads.
    #[must_use]
    pub fn new(search: Search) -> Self {
        Self { search, opened: OnceLock::new() }
    }

    /// The library; opened now if it was not. A failure is not remembered.
    ///
    /// # Errors
    /// As [`Library::open`].
    pub fn get(&self) -> Result<Arc<Library>, OpenError> {
        if let Some(library) = self.opened.get() {
            return Ok(Arc::clone(library));
        }
        let library = Arc::new(Library::open(&self.search)?);
        // Two trainings may open it at once; both are the same shared object.
        Ok(Arc::clone(self.opened.get_or_init(|| library)))
    }
}
