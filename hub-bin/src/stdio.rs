//! Writes to standard output, and detects whether it was closed when the program started.
//!
//! Before `main` runs, the standard library replaces a closed standard output by `/dev/null`. Output would be lost without an
//! error. So this module checks standard output earlier. The check works only on Linux, since it needs `/proc`.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Runs before `main`, so it must not use anything that the standard library initialises.
#[ctor::ctor(unsafe)]
fn detect() {
    let open = Path::new("/proc/self/fd");
    WAS_CLOSED.store(open.exists() && open.join("1").symlink_metadata().is_err(), Ordering::Relaxed);
}

/// Checks that standard output was open when the program started.
///
/// # Errors
/// If it was closed.
pub(crate) fn check() -> io::Result<()> {
    if WAS_CLOSED.load(Ordering::Relaxed) {
        return Err(io::Error::other("it is closed"));
    }
    Ok(())
}

/// Writes a line to standard output and flushes it.
///
/// # Errors
/// If the write fails, or if standard output was closed.
pub(crate) fn write_line(text: impl Display) -> io::Result<()> {
    write(format_args!("{text}\n"))
}

/// Writes a text to standard output and flushes it.
///
/// # Errors
/// If the write fails, or if standard output was closed.
pub(crate) fn write(text: impl Display) -> io::Result<()> {
    check()?;
    let mut out = io::stdout().lock();
    write!(out, "{text}")?;
    out.flush()
}
