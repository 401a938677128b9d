//! Panics of the service's own threads, which no answer would show: a barrier turns them into a 500.

use std::{
    panic,
    sync::{Mutex, Once, PoisonError},
    thread,
};

static SEEN: Mutex<Vec<String>> = Mutex::new(vec![]);

/// Notes every panic from now on but those of the tests themselves, whose threads bear their names.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let thread = thread::current();
            let name = thread.name().unwrap_or("without a name");
            if !name.contains("::") && name != "main" {
                let panic = format!("thread {name}: {info}");
                SEEN.lock().unwrap_or_else(PoisonError::into_inner).push(panic);
            }
            before(info);
        }));
    });
}

/// Fails when some service's thread panicked, this test's or that of one which ran beside it.
pub fn assert_none() {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(seen.is_empty(), "panicked: {seen:#?}");
}
