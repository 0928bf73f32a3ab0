//! The socket of a connection, so that it can be cut.

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

/// A second hold on a connection's socket. Lapin's thread waits for an answer for ever, also when nobody waits
/// for the connection any more; cutting the socket ends it.
#[derive(Clone, Debug, Default)]
pub(super) struct Socket(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    stream: Option<TcpStream>,
    is_cut: bool,
}

impl Socket {
    /// Takes hold of the socket; of one that comes too late, only to cut it.
    pub(super) fn hold(&self, socket: &impl AsFd) -> std::io::Result<()> {
        let stream = TcpStream::from(socket.as_fd().try_clone_to_owned()?);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_cut {
            let _ = stream.shutdown(Shutdown::Both);
        }
        state.stream = Some(stream);
        Ok(())
    }

    /// Ends the connection, whatever state it is in.
    pub(super) fn cut(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_cut = true;
        if let Some(stream) = state.stream.take() {
            // One that has ended on its own needs no cutting.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
