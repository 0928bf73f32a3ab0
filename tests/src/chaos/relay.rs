//! A relay between programs and their broker, in this process. It can cut connections, stall them and discard their data.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Listens on a separate port and forwards all connections, until it is dropped.
pub struct Relay {
    listens_at: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    to: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    closed: bool,
    stalled: bool,
    swallows: bool,
    next_id: u64,
    connections: Vec<Connection>,
}

struct Connection {
    id: u64,
    ends: [TcpStream; 2],
}

impl Relay {
    /// A relay to this address.
    ///
    /// # Panics
    /// If there is no free port.
    #[must_use]
    pub fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let listens_at = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared { to: address.to_owned(), state: Mutex::default(), changed: Condvar::default() });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.state().closed {
                    return;
                }
                serving.pass_on(stream);
            }
        });
        Self { listens_at, shared }
    }

    /// Its address for clients.
    #[must_use]
    pub fn address(&self) -> String {
        self.listens_at.to_string()
    }

    /// Number of open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.state().connections.len()
    }

    /// Closes one of the connections, selected by `which` modulo their number.
    pub fn cut(&self, which: usize) {
        let mut state = self.shared.state();
        if !state.connections.is_empty() {
            let at = which % state.connections.len();
            state.connections.swap_remove(at).cut();
        }
    }

    /// Closes all connections.
    pub fn cut_all(&self) {
        for connection in self.shared.state().connections.drain(..) {
            connection.cut();
        }
    }

    /// Stalls or resumes all connections. No data is lost. Connections stay open and new ones are accepted.
    pub fn stall(&self, stalled: bool) {
        self.shared.state().stalled = stalled;
        self.shared.changed.notify_all();
    }

    /// Discards all data from now on, as on the path to a disconnected node. Connections stay open and new ones are accepted. This
    /// cannot be undone, since connections cannot continue after lost data.
    pub fn swallow(&self) {
        self.shared.state().swallows = true;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.stall(false);
        self.cut_all();
        // A last connection wakes the accepting thread.
        let _ = TcpStream::connect(self.listens_at);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_on(self: &Arc<Self>, near: TcpStream) {
        // The target refuses the connection, so the program's connection is closed as well.
        let Ok(far) = TcpStream::connect(&self.to) else { return };
        for end in [&near, &far] {
            let _ = end.set_nodelay(true);
        }
        let pumps = || Ok::<_, std::io::Error>((near.try_clone()?, far.try_clone()?));
        let (Ok(there), Ok(back)) = (pumps(), pumps()) else { return };
        let mut state = self.state();
        if state.closed {
            return;
        }
        let id = state.next_id;
        state.next_id += 1;
        state.connections.push(Connection { id, ends: [near, far] });
        drop(state);
        for (from, to) in [there, (back.1, back.0)] {
            let shared = Arc::clone(self);
            thread::spawn(move || {
                shared.pump(from, to);
                shared.forget(id);
            });
        }
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let state = self.state();
            let state = self.changed.wait_while(state, |state| state.stalled).unwrap_or_else(PoisonError::into_inner);
            let is_lost = state.swallows;
            drop(state);
            if is_lost {
                continue;
            }
            if to.write_all(&buffer[..read]).is_err() {
                return;
            }
        }
    }

    /// Closes the other direction when one has ended.
    fn forget(&self, id: u64) {
        let mut state = self.state();
        if let Some(at) = state.connections.iter().position(|connection| connection.id == id) {
            state.connections.swap_remove(at).cut();
        }
    }
}

impl Connection {
    fn cut(self) {
        for end in self.ends {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::eventually;

    /// A server that returns its input.
    fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut &stream));
            }
        });
        address
    }

    fn say(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
        stream.write_all(text)?;
        let mut back = vec![0; text.len()];
        stream.read_exact(&mut back).map(|()| back)
    }

    #[test]
    fn passes_on_and_cuts() {
        let relay = Relay::to(&echo());
        let mut streams = [0, 1].map(|_| TcpStream::connect(relay.address()).unwrap());
        for stream in &mut streams {
            assert_eq!(say(stream, b"hello").unwrap(), b"hello");
        }
        assert_eq!(relay.connections(), 2);
        relay.cut(7);
        let alive = streams.iter_mut().filter_map(|stream| say(stream, b"still there").ok()).count();
        assert_eq!((alive, relay.connections()), (1, 1));
        relay.cut_all();
        assert!(streams.iter_mut().all(|stream| say(stream, b"gone").is_err()));
    }

    #[test]
    fn holds_up_and_loses_nothing() {
        let relay = Relay::to(&echo());
        let mut stream = TcpStream::connect(relay.address()).unwrap();
        assert_eq!(say(&mut stream, b"before").unwrap(), b"before");
        relay.stall(true);
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(say(&mut stream, b"during").is_err());
        relay.stall(false);
        stream.set_read_timeout(None).unwrap();
        let mut late = vec![0; 6];
        stream.read_exact(&mut late).unwrap();
        assert_eq!(late, b"during");
    }

    #[test]
    fn swallows_and_keeps_connections_open() {
        let relay = Relay::to(&echo());
        let mut stream = TcpStream::connect(relay.address()).unwrap();
        assert_eq!(say(&mut stream, b"before").unwrap(), b"before");
        relay.swallow();
        let late = TcpStream::connect(relay.address()).unwrap();
        for mut stream in [stream, late] {
            stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            let error = say(&mut stream, b"lost").unwrap_err();
            assert!(matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{error}");
        }
    }

    #[test]
    fn who_hangs_up_is_forgotten() {
        let relay = Relay::to(&echo());
        let mut stream = TcpStream::connect(relay.address()).unwrap();
        assert_eq!(say(&mut stream, b"hello").unwrap(), b"hello");
        drop(stream);
        eventually("the relay forgets it", || match relay.connections() {
            0 => Ok(()),
            some => Err(some),
        });
    }
}
