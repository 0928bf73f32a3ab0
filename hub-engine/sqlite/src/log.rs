//! Detects a damaged log (SQLite's WAL file) before SQLite reads it.
//!
//! SQLite reads its log up to the first invalid frame, assumes that the rest is a transaction interrupted by a crash,
//! and overwrites it. But a crash interrupts at most one transaction, because each is synced before the next one
//! begins. So if there are more commits after the readable part, the log was damaged later. It is copied before SQLite
//! modifies it. The format of the log: <https://www.sqlite.org/fileformat2.html#walformat>.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::failure::failed;
use super::log_path::{LOG_BYTES, beside, log_path};
use hub_engine::store::StoreError;

/// Size of the log's header in bytes.
const HEAD: usize = 32;
/// Size of a frame's header in bytes.
const FRAME_HEAD: usize = 24;
/// Default size of a page in bytes, if the log's header is invalid.
const DEFAULT_PAGE: usize = 4096;
/// Maximum size of a page in bytes.
const MAX_PAGE: usize = 65_536;
/// The magic number of a log. The last bit is the byte order of its checksums.
const MAGIC: u32 = 0x377f_0682;

/// The damage of a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damage {
    /// Size of the readable part in bytes.
    pub(super) readable: usize,
    /// Number of commits after the readable part.
    pub(super) commits: usize,
}

/// Whether an error has shown that the files may be damaged. Then the log must not be checkpointed. Clones share the
/// flag.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubt(Arc<AtomicBool>);

impl Doubt {
    /// Records an error.
    pub(super) fn note(&self, error: &StoreError) {
        if error.is_final() {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Size of the log of this store in bytes.
pub(super) fn length(path: &Path) -> u64 {
    std::fs::metadata(log_path(path)).map_or(0, |metadata| metadata.len())
}

/// Whether SQLite itself may have truncated a log to this length in bytes. When SQLite restarts a large log, it
/// truncates it to the configured limit, or to the end of the first transaction if that exceeds the limit.
pub(super) fn is_own_cut(length: u64) -> bool {
    let limit = u64::from(LOG_BYTES);
    length == limit || length > limit && (length - HEAD as u64).is_multiple_of((FRAME_HEAD + DEFAULT_PAGE) as u64)
}

/// Whether the log of this store has a hole at the place where it was truncated.
pub(super) fn has_hole(path: &Path, cut_at: u64) -> bool {
    let mut found = [0; FRAME_HEAD];
    let read = File::open(log_path(path)).and_then(|file| file.read_exact_at(&mut found, cut_at));
    read.is_ok() && found == [0; FRAME_HEAD]
}

/// Whether the log of this store is damaged. If so, it is copied, and the dispatcher logs the path of the copy.
///
/// # Errors
/// If it cannot be read or copied. It is not modified before it is copied.
pub(super) fn is_damaged(path: &Path) -> Result<bool, StoreError> {
    let log = log_path(path);
    let found = match File::open(&log) {
        Ok(file) => inspect(BufReader::new(file)).map_err(failed("read the log beside the store"))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed("read the log beside the store")(error)),
    };
    let Some(Damage { readable, commits }) = found else { return Ok(false) };
    let copy = keep(&log).map_err(failed("copy the damaged log beside the store"))?;
    tracing::error!(
        "{} is damaged from byte {readable} on: the last {commits} commits in it cannot be read, so jobs and results are \
         missing in the store. The log was copied to {}. Submit the missing jobs again",
        log.display(),
        copy.display()
    );
    Ok(true)
}

/// Copies the log to the first free name, unless there is a copy already.
fn keep(log: &Path) -> io::Result<PathBuf> {
    let mut number = 1;
    let copy = loop {
        let copy = beside(log, &format!(".damaged-{number}"));
        if !copy.try_exists()? {
            break copy;
        }
        if is_same(log, &copy)? {
            return Ok(copy);
        }
        number += 1;
    };
    // The copy is renamed when it is complete, because the disk may be full.
    let part = beside(log, ".damaged-part");
    let write = || {
        let mut file = File::create(&part)?;
        io::copy(&mut File::open(log)?, &mut file)?;
        file.sync_all()?;
        std::fs::rename(&part, &copy)
    };
    if let Err(error) = write() {
        // If it cannot be removed, the next start overwrites it.
        let _ = std::fs::remove_file(&part);
        return Err(error);
    }
    Ok(copy)
}

/// Whether two files have the same contents.
fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (BufReader::new(File::open(one)?), BufReader::new(File::open(other)?));
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let length = left.len().min(right.len());
        if length == 0 || left[..length] != right[..length] {
            return Ok(left.is_empty() && right.is_empty());
        }
        one.consume(length);
        other.consume(length);
    }
}

/// The damage of this log, if any.
fn inspect(mut log: impl Read) -> io::Result<Option<Damage>> {
    let mut head = [0; HEAD];
    if !fill(&mut log, &mut head)? {
        return Ok(None);
    }
    let big_endian = number(&head, 0) & 1 == 1;
    let mut sum = add_to_sum([0, 0], &head[..24], big_endian);
    let head_is_whole = number(&head, 0) | 1 == MAGIC | 1 && sum == [number(&head, 24), number(&head, 28)];
    let page = if head_is_whole { (number(&head, 8) as usize).min(MAX_PAGE) } else { DEFAULT_PAGE };
    // Frames with other salts are left from before the last restart of the log.
    let mut salts = head_is_whole.then(|| [number(&head, 16), number(&head, 20)]);
    let mut frame = vec![0; FRAME_HEAD + page];
    let (mut is_whole, mut at, mut commits) = (head_is_whole, HEAD, 0);
    let mut readable = if head_is_whole { HEAD } else { 0 };
    while fill(&mut log, &mut frame)? {
        at += frame.len();
        let found = [number(&frame, 8), number(&frame, 12)];
        let ends_a_commit = number(&frame, 0) > 0 && number(&frame, 4) > 0;
        let is_of_log = if ends_a_commit { *salts.get_or_insert(found) == found } else { salts == Some(found) };
        sum = add_to_sum(add_to_sum(sum, &frame[..8], big_endian), &frame[FRAME_HEAD..], big_endian);
        is_whole &= is_of_log && sum == [number(&frame, 16), number(&frame, 20)];
        match (ends_a_commit && is_of_log, is_whole) {
            (true, true) => readable = at,
            (true, false) => commits += 1,
            (false, _) => {}
        }
    }
    let cut_off_by_a_crash = usize::from(head_is_whole);
    Ok((commits > cut_off_by_a_crash).then_some(Damage { readable, commits }))
}

/// Fills the buffer. Returns whether there were enough bytes.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Continues the log's checksum over `bytes`.
fn add_to_sum([mut first, mut second]: [u32; 2], bytes: &[u8], big_endian: bool) -> [u32; 2] {
    let word = |at: &[u8]| if big_endian { number(at, 0) } else { number(at, 0).swap_bytes() };
    for pair in bytes.chunks_exact(8) {
        first = first.wrapping_add(word(pair)).wrapping_add(second);
        second = second.wrapping_add(word(&pair[4..])).wrapping_add(first);
    }
    [first, second]
}

/// The number in the four bytes at this place.
fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// A log with this number of commits.
    fn log_of(commits: usize) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("some.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE bees (name)").unwrap();
        for _ in 1..commits {
            connection.execute("INSERT INTO bees VALUES ('maya')", []).unwrap();
        }
        std::fs::read(log_path(&path)).unwrap()
    }

    fn found(log: &[u8]) -> Option<Damage> {
        inspect(log).unwrap()
    }

    #[test]
    fn a_truncation_by_a_crash_is_not_damage() {
        let log = log_of(5);
        for length in (0..=log.len()).step_by(7) {
            assert_eq!(found(&log[..length]), None, "{length} bytes");
        }
        // The last transaction was written out of order.
        let mut torn = log.clone();
        let at = torn.len() - 1;
        torn[at] ^= 1;
        assert_eq!(found(&torn), None);
        assert_eq!(found(&vec![0; log.len()]), None);
    }

    #[test]
    fn a_failed_copy_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        // A directory can be opened, but not read.
        let log = directory.path().join("some.db-wal");
        std::fs::create_dir(&log).unwrap();
        keep(&log).unwrap_err();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn truncations_by_sqlite_end_at_the_limit_or_after_a_frame() {
        let limit = u64::from(LOG_BYTES);
        let frame = (FRAME_HEAD + DEFAULT_PAGE) as u64;
        let behind = HEAD as u64 + (limit / frame + 1) * frame;
        for (length, is_own) in
            [(limit, true), (behind, true), (behind - 1, false), (behind - frame, false), (0, false)]
        {
            assert_eq!(is_own_cut(length), is_own, "{length} bytes");
        }
    }

    #[test]
    fn commits_after_a_damaged_frame_are_counted() {
        let log = log_of(5);
        let frame = FRAME_HEAD + DEFAULT_PAGE;
        let frames = (log.len() - HEAD) / frame;
        assert_eq!(log.len(), HEAD + frames * frame);
        // The last four commits have a frame each.
        for (damaged, commits) in [(frames - 4, 4), (frames - 3, 3), (frames - 2, 2)] {
            let (mut log, at) = (log.clone(), HEAD + damaged * frame);
            log[at + 100] ^= 1;
            assert_eq!(found(&log), Some(Damage { readable: at, commits }));
        }
        let mut headless = log;
        headless[5] ^= 1;
        assert_eq!(found(&headless), Some(Damage { readable: 0, commits: 5 }));
        // Truncated while it was in use: later writes follow a hole.
        headless[..HEAD + (frames - 2) * frame].fill(0);
        assert_eq!(found(&headless), Some(Damage { readable: 0, commits: 2 }));
    }
}
