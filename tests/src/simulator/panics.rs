//! Detects panics in the tasks of a simulation, which the runtime does not report.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static SEEN: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// The panics of this thread are recorded until this is dropped. A panic of the simulation itself drops it: then they are printed.
#[must_use]
pub(super) struct Watch;

impl Drop for Watch {
    fn drop(&mut self) {
        let seen = SEEN.take().unwrap_or_default();
        if std::thread::panicking() {
            seen.iter().for_each(|panic| eprintln!("{panic}"));
        }
    }
}

/// Records panics of this thread instead of printing them.
pub(super) fn watch() -> Watch {
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
    Watch
}

/// The panics so far.
#[must_use]
pub(super) fn seen() -> Vec<String> {
    SEEN.with_borrow(|seen| seen.clone().unwrap_or_default())
}
