//! Reads the output of a program and keeps a limited part of it.

use tokio::io::{AsyncRead, AsyncReadExt};

/// Number of bytes read at a time.
pub(super) const READ_BYTES: usize = 16 * 1024;

/// The first bytes of a stream.
#[derive(Debug)]
pub(super) struct Head {
    limit: usize,
    pub(super) kept: Vec<u8>,
    /// Number of bytes read.
    pub(super) size: usize,
}

/// The last bytes of a stream.
#[derive(Debug)]
pub(super) struct Tail {
    limit: usize,
    kept: Vec<u8>,
}

impl Head {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::new(), size: 0 }
    }

    /// Reads to the end, or until the limit is exceeded. Then the pipe is closed, which ends most programs.
    /// Cancellation-safe.
    pub(super) async fn read(&mut self, mut from: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; READ_BYTES];
        while self.size <= self.limit
            && let Ok(read @ 1..) = from.read(&mut buffer).await
        {
            self.size += read;
            let room = self.limit.saturating_sub(self.kept.len()).min(read);
            self.kept.extend_from_slice(&buffer[..room]);
        }
    }
}

impl Tail {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::new() }
    }

    /// Reads to the end. Cancellation-safe.
    pub(super) async fn read(&mut self, mut from: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; READ_BYTES];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            self.push(&buffer[..read]);
        }
    }

    /// Appends bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        if self.kept.len() > 2 * self.limit {
            self.kept.drain(..self.kept.len() - self.limit);
        }
    }

    /// The kept bytes as text.
    pub(super) fn text(&self) -> String {
        let kept = &self.kept[self.kept.len().saturating_sub(self.limit)..];
        String::from_utf8_lossy(kept).into_owned()
    }
}
