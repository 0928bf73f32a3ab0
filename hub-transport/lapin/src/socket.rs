//! A handle that closes the socket of a connection.

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

/// A second handle of a connection's socket. Lapin's thread waits for a response without a limit, even if the connection was
/// dropped. Closing the socket ends this wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Socket(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    stream: Option<TcpStream>,
    is_cut: bool,
}

impl Socket {
    /// Keeps a handle of the socket. If `cut` was called before, closes the socket.
    pub(super) fn hold(&self, socket: &impl AsFd) -> std::io::Result<()> {
        let stream = TcpStream::from(socket.as_fd().try_clone_to_owned()?);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_cut {
            let _ = stream.shutdown(Shutdown::Both);
        }
        state.stream = Some(stream);
        Ok(())
    }

    /// Closes the socket, in any state of the connection.
    pub(super) fn cut(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_cut = true;
        if let Some(stream) = state.stream.take() {
            // An error means that the socket is closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
