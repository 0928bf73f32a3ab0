//! Standard output, as it was when the program began.
//!
//! Before `main` runs, the standard library opens `/dev/null` in the place of a standard output that is closed. An answer
//! would vanish there without an error, so this looks first. Only Linux says so (`/proc`); elsewhere nothing is noticed.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Runs before `main`: it must not need anything that the standard library sets up.
#[ctor::ctor(unsafe)]
fn look() {
    let open = Path::new("/proc/self/fd");
    WAS_CLOSED.store(open.exists() && open.join("1").symlink_metadata().is_err(), Ordering::Relaxed);
}

/// Fails where standard output was closed when the program began.
///
/// # Errors
/// Where it was.
pub(crate) fn check() -> io::Result<()> {
    if WAS_CLOSED.load(Ordering::Relaxed) {
        return Err(io::Error::other("it is closed"));
    }
    Ok(())
}

/// Writes a line to standard output, and sees to it that it arrives there.
///
/// # Errors
/// Where it does not.
pub(crate) fn write_line(text: impl Display) -> io::Result<()> {
    check()?;
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}
