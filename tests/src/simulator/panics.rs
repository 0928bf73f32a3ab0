//! Notices panics in the tasks of a simulation: the runtime keeps them to itself.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static SEEN: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// From now on panics on this thread are noted, not printed.
pub(super) fn watch() {
    HOOK.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let noted = SEEN.with_borrow_mut(|seen| seen.as_mut().map(|seen| seen.push(panic.to_string())));
            if noted.is_none() {
                others(panic);
            }
        }));
    });
    SEEN.set(Some(Vec::new()));
}

/// The panics so far.
#[must_use]
pub(super) fn seen() -> Vec<String> {
    SEEN.with_borrow(|seen| seen.clone().unwrap_or_default())
}

/// From now on panics on this thread are like any others.
pub(super) fn look_away() {
    SEEN.set(None);
}
