//! A connection's bytes, watched: who takes no answers is dropped, and what moves is noted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::places::Activity;

/// Number of bytes taken that give a reader one second more, up to the limit again.
const BYTES_PER_SECOND: u32 = 8 * 1024;

/// A stream whose reader may keep it waiting for a limited time in all. What the reader takes gives time back, so that a slow
/// network is enough and a reader that takes a byte now and then is not.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
    /// Maximum of `patience`.
    limit: Duration,
    /// For how long the reader may still keep this waiting.
    patience: Duration,
    /// The wait that lasts, and since when.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> Watched<S> {
    pub(super) const fn new(stream: S, activity: Arc<Activity>, limit: Duration) -> Self {
        Self { stream, activity, limit, patience: limit, waiting: None }
    }

    /// The outcome of a write, where a reader that takes nothing has used up its time.
    fn judge(&mut self, written: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => {
                let patience = self.patience;
                let begin = || (Instant::now(), Box::pin(tokio::time::sleep(patience)));
                let (_, end) = self.waiting.get_or_insert_with(begin);
                ready!(end.as_mut().poll(context));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take the answer")))
            }
            Poll::Ready(outcome) => {
                if let Some((since, _)) = self.waiting.take() {
                    self.patience = self.patience.saturating_sub(since.elapsed());
                }
                if let Ok(bytes @ 1..) = outcome {
                    self.activity.touch();
                    let back = Duration::from_secs(1).mul_f64(bytes as f64 / f64::from(BYTES_PER_SECOND));
                    self.patience = self.limit.min(self.patience.saturating_add(back));
                }
                Poll::Ready(outcome)
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.activity.touch();
        }
        Poll::Ready(outcome)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judge(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::places::{HttpLimits, Places};
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn watched<S>(stream: S) -> Watched<S> {
        let place = Places::new(HttpLimits::default()).take([127, 0, 0, 1].into());
        Watched::new(stream, Arc::clone(&place.activity), LIMIT)
    }

    /// How a large answer goes to a reader that takes `bytes` every `pause`.
    async fn write_to_reader(bytes: usize, pause: Duration) -> io::Result<()> {
        let (server, mut client) = tokio::io::duplex(1024);
        let reading = tokio::spawn(async move {
            let mut buffer = vec![0; bytes];
            while client.read_exact(&mut buffer).await.is_ok() {
                tokio::time::sleep(pause).await;
            }
        });
        let written = watched(server).write_all(&vec![b'x'; 1024 * 1024]).await;
        reading.abort();
        written
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_or_next_to_nothing_is_dropped() {
        for bytes in [1, 512] {
            let begun = Instant::now();
            let error = write_to_reader(bytes, Duration::from_secs(1)).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(begun.elapsed() < 2 * LIMIT, "{:?}", begun.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_gets_all_however_long_that_takes() {
        let begun = Instant::now();
        write_to_reader(16 * 1024, Duration::from_millis(1900)).await.unwrap();
        assert!(begun.elapsed() > 3 * LIMIT, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_connection_uses_up_nothing() {
        let (server, mut client) = tokio::io::duplex(8);
        let mut server = watched(server);
        for _ in 0..3 {
            tokio::time::sleep(2 * LIMIT).await;
            server.write_all(b"answer").await.unwrap();
            client.read_exact(&mut [0; 6]).await.unwrap();
        }
    }
}
