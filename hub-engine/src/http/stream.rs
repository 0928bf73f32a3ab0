//! Watches the bytes of a connection: closes it if the client does not read its answers, records activity, and lingers
//! on close, so that a client that is still sending receives its answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::connections::Activity;

/// Number of bytes read that give a reader back one second, up to the limit.
const BYTES_PER_SECOND: u32 = 8 * 1024;

/// Maximum time in which bytes that a client still sends are read and discarded. Closing a connection with unread bytes
/// resets it, and the client may lose an answer that it has not read yet.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// A stream whose writes may wait for the reader for a limited total time. Bytes that the reader takes give time back,
/// so that a slow network is sufficient, but a reader that takes single bytes is not.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
    /// Maximum of `patience`.
    limit: Duration,
    /// The remaining time that writes may wait for the reader.
    patience: Duration,
    /// The current wait and its start.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    /// After the last write: the end of lingering.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    pub(super) const fn new(stream: S, activity: Arc<Activity>, limit: Duration) -> Self {
        Self { stream, activity, limit, patience: limit, waiting: None, lingering: None }
    }

    /// The outcome of a write. An error if the reader has used up its time.
    fn judge(&mut self, written: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => {
                let patience = self.patience;
                let begin = || (Instant::now(), Box::pin(tokio::time::sleep(patience)));
                let (_, end) = self.waiting.get_or_insert_with(begin);
                ready!(end.as_mut().poll(context));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read the answer")))
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

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
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
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        let end = this.lingering.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER_TIMEOUT)));
        loop {
            if end.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut bytes = [0; 4096];
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut this.stream).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::connections::{Connections, HttpLimits};
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn watched<S>(stream: S) -> Watched<S> {
        let slot = Connections::new(HttpLimits::default()).take([127, 0, 0, 1].into()).now_or_never().unwrap();
        Watched::new(stream, Arc::clone(&slot.activity), LIMIT)
    }

    /// Writes a large answer to a reader that takes `bytes` every `pause`.
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
    async fn a_reader_that_takes_too_little_is_disconnected() {
        for bytes in [1, 512] {
            let begun = Instant::now();
            let error = write_to_reader(bytes, Duration::from_secs(1)).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(begun.elapsed() < 2 * LIMIT, "{:?}", begun.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_receives_the_whole_answer() {
        let begun = Instant::now();
        write_to_reader(16 * 1024, Duration::from_millis(1900)).await.unwrap();
        assert!(begun.elapsed() > 3 * LIMIT, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_connection_uses_up_no_time() {
        let (server, mut client) = tokio::io::duplex(8);
        let mut server = watched(server);
        for _ in 0..3 {
            tokio::time::sleep(2 * LIMIT).await;
            server.write_all(b"answer").await.unwrap();
            client.read_exact(&mut [0; 6]).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn closing_reads_remaining_bytes_for_a_limited_time() {
        let (server, mut client) = tokio::io::duplex(8);
        let mut server = watched(server);
        let closing = tokio::spawn(async move { server.shutdown().await });
        client.write_all(&[b'x'; 1000]).await.unwrap();
        assert_eq!(client.read(&mut [0; 6]).await.unwrap(), 0, "the client sees the end");
        drop(client);
        closing.await.unwrap().unwrap();
        let begun = Instant::now();
        let (server, _client) = tokio::io::duplex(8);
        watched(server).shutdown().await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), LINGER_TIMEOUT.as_secs());
    }
}
