//! Notices that SQLite's log beside the store is damaged, before SQLite reads it.
//!
//! SQLite reads its log up to the first frame that is not whole, takes the rest for a transaction that a crash has cut off, and
//! overwrites it. But a crash cuts off one transaction at most: each is synced before the next one begins. Where more
//! commits stand behind the readable part, the log was damaged afterwards. It is copied before SQLite touches it.
//! The form of the log: <https://www.sqlite.org/fileformat2.html#walformat>.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::failure::failed;
use super::log_path::{LOG_BYTES, beside, log_path};
use hub_engine::store::StoreError;

/// Length of the log's head, in bytes.
const HEAD: usize = 32;
/// Length of a frame's head, in bytes.
const FRAME_HEAD: usize = 24;
/// Length of a page where the log's head does not say, in bytes.
const DEFAULT_PAGE: usize = 4096;
/// Maximum length of a page, in bytes.
const MAX_PAGE: usize = 65_536;
/// What a log begins with; the last bit says in which order of bytes its sums are computed.
const MAGIC: u32 = 0x377f_0682;

/// What a log has behind the part that SQLite reads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damage {
    /// Length of the readable part, in bytes.
    pub(super) readable: usize,
    /// Number of commits behind it.
    pub(super) commits: usize,
}

/// Whether an error has shown that the files may be damaged: then the log must not be folded into the store. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubt(Arc<AtomicBool>);

impl Doubt {
    /// This went wrong.
    pub(super) fn note(&self, error: &StoreError) {
        if error.is_final() {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Length of the log of this store, in bytes.
pub(super) fn length(path: &Path) -> u64 {
    std::fs::metadata(log_path(path)).map_or(0, |metadata| metadata.len())
}

/// Whether SQLite itself may have made a log so short, in bytes: it begins a large one anew, and cuts it off at the limit that it
/// was given, or behind the first transaction where that goes beyond the limit.
pub(super) fn is_own_cut(length: u64) -> bool {
    let limit = u64::from(LOG_BYTES);
    length == limit || length > limit && (length - HEAD as u64).is_multiple_of((FRAME_HEAD + DEFAULT_PAGE) as u64)
}

/// Whether the log of this store has nothing where it was cut off, and something behind that.
pub(super) fn has_hole(path: &Path, cut_at: u64) -> bool {
    let mut found = [0; FRAME_HEAD];
    let read = File::open(log_path(path)).and_then(|file| file.read_exact_at(&mut found, cut_at));
    read.is_ok() && found == [0; FRAME_HEAD]
}

/// Whether the log of this store is damaged. Then a copy of it is kept, and the log of the dispatcher says where.
///
/// # Errors
/// Where it cannot be read or copied: it is not touched before it is copied.
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
         missing in the store. The log is copied to {}. Submit the missing jobs again",
        log.display(),
        copy.display()
    );
    Ok(true)
}

/// Makes a copy under the first name that is free, unless there is one already.
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
    // It has this name when it is whole: the disk may be full.
    let part = beside(log, ".damaged-part");
    let write = || {
        let mut file = File::create(&part)?;
        io::copy(&mut File::open(log)?, &mut file)?;
        file.sync_all()?;
        std::fs::rename(&part, &copy)
    };
    if let Err(error) = write() {
        // What cannot be removed is overwritten by the next start.
        let _ = std::fs::remove_file(&part);
        return Err(error);
    }
    Ok(copy)
}

/// Whether two files hold the same.
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

/// What of this log cannot be read, if it was damaged.
fn inspect(mut log: impl Read) -> io::Result<Option<Damage>> {
    let mut head = [0; HEAD];
    if !fill(&mut log, &mut head)? {
        return Ok(None);
    }
    let big_endian = number(&head, 0) & 1 == 1;
    let mut sum = add_to_sum([0, 0], &head[..24], big_endian);
    let head_is_whole = number(&head, 0) | 1 == MAGIC | 1 && sum == [number(&head, 24), number(&head, 28)];
    let page = if head_is_whole { (number(&head, 8) as usize).min(MAX_PAGE) } else { DEFAULT_PAGE };
    // Frames with other marks are left from before the log was begun anew.
    let mut marks = head_is_whole.then(|| [number(&head, 16), number(&head, 20)]);
    let mut frame = vec![0; FRAME_HEAD + page];
    let (mut is_whole, mut at, mut commits) = (head_is_whole, HEAD, 0);
    let mut readable = if head_is_whole { HEAD } else { 0 };
    while fill(&mut log, &mut frame)? {
        at += frame.len();
        let found = [number(&frame, 8), number(&frame, 12)];
        let ends_a_commit = number(&frame, 0) > 0 && number(&frame, 4) > 0;
        let is_of_log = if ends_a_commit { *marks.get_or_insert(found) == found } else { marks == Some(found) };
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

/// Fills the buffer. `false`: there is less than that.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The sum of the log's form, over `bytes` too.
fn add_to_sum([mut first, mut second]: [u32; 2], bytes: &[u8], big_endian: bool) -> [u32; 2] {
    let word = |at: &[u8]| if big_endian { number(at, 0) } else { number(at, 0).swap_bytes() };
    for pair in bytes.chunks_exact(8) {
        first = first.wrapping_add(word(pair)).wrapping_add(second);
        second = second.wrapping_add(word(&pair[4..])).wrapping_add(first);
    }
    [first, second]
}

/// The four bytes at this place.
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
    fn what_a_crash_cuts_off_is_no_damage() {
        let log = log_of(5);
        for length in (0..=log.len()).step_by(7) {
            assert_eq!(found(&log[..length]), None, "{length} bytes");
        }
        // Its last transaction, written in no order.
        let mut torn = log.clone();
        let at = torn.len() - 1;
        torn[at] ^= 1;
        assert_eq!(found(&torn), None);
        assert_eq!(found(&vec![0; log.len()]), None);
    }

    #[test]
    fn a_copy_that_fails_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        // It can be opened, and not read.
        let log = directory.path().join("some.db-wal");
        std::fs::create_dir(&log).unwrap();
        keep(&log).unwrap_err();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn sqlite_cuts_its_log_off_at_the_limit_or_behind_a_frame() {
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
    fn commits_behind_a_damaged_frame_are_counted() {
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
        // Cut off while it was in use: what was written behind that follows a hole.
        headless[..HEAD + (frames - 2) * frame].fill(0);
        assert_eq!(found(&headless), Some(Damage { readable: 0, commits: 2 }));
    }
}
