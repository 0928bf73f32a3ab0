//! The end of a session: it comes once, from whichever side.

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::{Error, Health};

/// Ends a session, and knows whether it has ended.
#[derive(Clone, Debug)]
pub(super) struct End(pub(super) watch::Sender<Health>);

impl End {
    /// The session is over. Later causes than the first one are consequences of it.
    pub(super) fn come(&self, cause: Option<Arc<Error>>) {
        self.set(Health::Closed(cause));
    }

    /// Sets the health of a session that is not over.
    pub(super) fn set(&self, next: Health) {
        self.0.send_if_modified(|health| {
            let alive = !matches!(health, Health::Closed(_));
            if alive {
                *health = next;
            }
            alive
        });
    }

    pub(super) fn has_come(&self) -> bool {
        matches!(&*self.0.borrow(), Health::Closed(_))
    }
}

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
