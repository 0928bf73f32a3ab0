//! Limits connections in total and for each peer, with a reserve in which health requests are always answered.
//!
//! When a limit is reached, the connection that has waited longest for its own peer (to send a request or to read an
//! answer) gives its slot to the new connection and is moved to the reserve. A connection whose request is being
//! processed is not moved. If all requests are being processed, the new connection is served in the reserve: health
//! requests are answered there, and other requests are refused with a request to try again. If the reserve is full, its
//! oldest connection is closed as soon as it has had time to be answered. Until then the new connection waits,
//! independently of other peers. If too many connections wait, those of a peer beyond its share are closed.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Minimum time of a connection in the reserve, so that its request can arrive and be answered.
const MINIMUM_STAY: Duration = Duration::from_secs(1);

/// Limits on connections.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Maximum number of regular connections.
    pub connections: usize,
    /// Maximum number of regular connections of one peer (an IPv4 address, or the first 64 bits of an IPv6 address).
    pub connections_per_peer: usize,
    /// Number of further connections, on which only health requests are answered; at least one.
    pub reserve: usize,
    /// Maximum number of connections that wait for the reserve.
    pub waiting: usize,
    /// Maximum number of event streams that are open at a time. Each of them occupies a connection.
    pub event_streams: usize,
    /// Maximum time that an answer may wait for its reader. Each 8 KiB read give back one second.
    pub write_patience: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_peer: 512,
            reserve: 64,
            waiting: 256,
            event_streams: 128,
            write_patience: Duration::from_secs(30),
        }
    }
}

/// All connections.
#[derive(Debug)]
pub(super) struct Connections {
    limits: HttpLimits,
    begun: Instant,
    held: Mutex<Held>,
    /// A connection has ended.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    /// Connections in the order of their arrival.
    by_number: BTreeMap<u64, Holder>,
}

#[derive(Debug)]
struct Holder {
    peer: IpAddr,
    /// Since when it has been in the reserve.
    in_reserve: Option<Instant>,
    activity: Arc<Activity>,
    displaced: CancellationToken,
    evicted: CancellationToken,
}

/// The observable activity of a connection.
#[derive(Debug)]
pub(super) struct Activity {
    begun: Instant,
    /// When bytes were last transferred, in milliseconds since `begun`.
    touched: AtomicU64,
    /// Whether a request is being processed and the connection does not wait for its peer.
    is_working: AtomicBool,
    /// Whether a request has arrived.
    has_begun: AtomicBool,
}

/// Cancelled when the connection of a request makes room for another one. An answer without an end of its own ends then.
#[derive(Clone, Debug)]
pub(super) struct Displaced(pub(super) CancellationToken);

/// The slot of a connection, until this is dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    connections: Arc<Connections>,
    number: u64,
    pub(super) activity: Arc<Activity>,
    /// Cancelled when this slot is moved to the reserve, where only health requests are answered.
    pub(super) displaced: CancellationToken,
    /// Cancelled when another connection needs this slot in the reserve.
    pub(super) evicted: CancellationToken,
}

impl Connections {
    pub(super) fn new(limits: HttpLimits) -> Arc<Self> {
        Arc::new(Self { limits, begun: Instant::now(), held: Mutex::default(), freed: Notify::new() })
    }

    /// Waits for a slot for a connection from this address.
    pub(super) async fn take(self: &Arc<Self>, address: IpAddr) -> ConnectionSlot {
        loop {
            let taken = self.try_take(address);
            match taken {
                Ok(slot) => return slot,
                Err(until) => drop(tokio::time::timeout_at(until, self.freed.notified()).await),
            }
        }
    }

    /// Whether the peer at this address has reached its limit.
    pub(super) fn has_its_share(&self, address: IpAddr) -> bool {
        self.held().regular_of(peer_of(address)) >= self.limits.connections_per_peer
    }

    /// A slot, or the latest time at which one becomes available.
    pub(super) fn try_take(self: &Arc<Self>, address: IpAddr) -> Result<ConnectionSlot, Instant> {
        let peer = peer_of(address);
        let activity = Arc::new(Activity {
            begun: self.begun,
            touched: AtomicU64::new(0),
            is_working: AtomicBool::new(false),
            has_begun: AtomicBool::new(false),
        });
        activity.touch();
        let (displaced, evicted) = (CancellationToken::new(), CancellationToken::new());
        let mut held = self.held();
        let is_regular = held.make_room(&self.limits, peer)?;
        let number = held.next;
        held.next += 1;
        let mut holder = Holder {
            peer,
            in_reserve: None,
            activity: Arc::clone(&activity),
            displaced: displaced.clone(),
            evicted: evicted.clone(),
        };
        if !is_regular {
            holder.displace();
        }
        held.by_number.insert(number, holder);
        Ok(ConnectionSlot { connections: Arc::clone(self), number, activity, displaced, evicted })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // No code panics while holding this lock.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// The connections outside the reserve.
    fn regular(&self) -> impl Iterator<Item = &Holder> {
        self.by_number.values().filter(|holder| holder.in_reserve.is_none())
    }

    fn regular_of(&self, peer: IpAddr) -> usize {
        self.regular().filter(|holder| holder.peer == peer).count()
    }

    /// Makes room for a connection of this peer. Returns whether it is regular; otherwise it is in the reserve.
    ///
    /// # Errors
    /// If the reserve is full: the latest time at which it has room.
    fn make_room(&mut self, limits: &HttpLimits, peer: IpAddr) -> Result<bool, Instant> {
        let all = self.regular().count();
        let idlest = if self.regular_of(peer) >= limits.connections_per_peer {
            self.idlest(|holder| holder.peer == peer)
        } else if all < limits.connections {
            return Ok(true);
        } else {
            self.idlest(|_| true)
        };
        self.make_room_in_reserve(limits)?;
        let displaced = idlest.and_then(|number| self.by_number.get_mut(&number));
        let is_regular = displaced.is_some();
        if let Some(holder) = displaced {
            holder.displace();
        }
        Ok(is_regular)
    }

    fn make_room_in_reserve(&mut self, limits: &HttpLimits) -> Result<(), Instant> {
        let reserve = || self.by_number.iter().filter_map(|(number, holder)| Some((holder.in_reserve?, *number)));
        if reserve().count() < limits.reserve.max(1) {
            return Ok(());
        }
        let now = Instant::now();
        // A connection that is being answered is not closed.
        let idle = reserve().filter(|(_, number)| !self.by_number[number].activity.is_working());
        let (since, oldest) = idle.min().ok_or(now + MINIMUM_STAY)?;
        if since + MINIMUM_STAY > now {
            return Err(since + MINIMUM_STAY);
        }
        if let Some(holder) = self.by_number.remove(&oldest) {
            holder.evicted.cancel();
        }
        Ok(())
    }

    /// The connection that has waited longest for its peer, if there is one.
    fn idlest(&self, may: impl Fn(&Holder) -> bool) -> Option<u64> {
        let idle = self
            .by_number
            .iter()
            .filter(|(_, holder)| holder.in_reserve.is_none() && !holder.activity.is_working() && may(holder));
        let idlest = idle.min_by_key(|(_, holder)| holder.activity.touched.load(Ordering::Relaxed));
        idlest.map(|(number, _)| *number)
    }
}

impl Holder {
    /// Moves it to the reserve.
    fn displace(&mut self) {
        self.in_reserve = Some(Instant::now());
        self.displaced.cancel();
    }
}

impl Activity {
    /// Records that bytes were transferred.
    pub(super) fn touch(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.touched.store(now, Ordering::Relaxed);
    }

    pub(super) fn is_working(&self) -> bool {
        self.is_working.load(Ordering::Relaxed)
    }

    /// Records that a request has arrived.
    pub(super) fn begin(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
        self.set_working(true);
    }

    /// Whether a request has arrived.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    /// Sets whether the connection waits for Hub (or for the peer).
    pub(super) fn set_working(&self, is_working: bool) {
        self.is_working.store(is_working, Ordering::Relaxed);
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.connections.held().by_number.remove(&self.number);
        self.connections.freed.notify_one();
    }
}

/// The peer of an address: one IPv4 host, or one IPv6 network, because one host can have all its addresses.
fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(connections: usize, connections_per_peer: usize, reserve: usize) -> Arc<Connections> {
        Connections::new(HttpLimits { connections, connections_per_peer, reserve, ..HttpLimits::default() })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Whether each of these is in the reserve.
    fn in_reserve(slots: &[ConnectionSlot]) -> Vec<bool> {
        slots.iter().map(|slot| slot.displaced.is_cancelled()).collect()
    }

    async fn take<const N: usize>(connections: &Arc<Connections>, peer: IpAddr) -> [ConnectionSlot; N] {
        let mut taken = Vec::new();
        for _ in 0..N {
            taken.push(connections.take(peer).await);
        }
        taken.try_into().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_has_waited_longest_is_displaced() {
        let (connections, peer) = (connections(3, 3, 1), address("10.0.0.1"));
        let taken: [_; 3] = take(&connections, peer).await;
        taken[0].activity.set_working(true);
        tokio::time::advance(Duration::from_secs(1)).await;
        taken[1].activity.touch();
        let fourth = connections.take(peer).await;
        assert_eq!((in_reserve(&taken), fourth.displaced.is_cancelled()), (vec![false, false, true], false));
        assert!(!taken[2].evicted.is_cancelled(), "it may have sent a request, which must be answered");
    }

    #[tokio::test(start_paused = true)]
    async fn busy_connections_are_not_displaced_and_new_ones_use_the_reserve() {
        let (connections, peer) = (connections(2, 2, 1), address("10.0.0.1"));
        let taken: [_; 2] = take(&connections, peer).await;
        taken.iter().for_each(|slot| slot.activity.set_working(true));
        let begun = Instant::now();
        let first = connections.take(peer).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        let second = connections.take(address("10.0.0.2")).await;
        assert!(begun.elapsed() >= MINIMUM_STAY, "the first one must have time to be answered");
        assert!(first.displaced.is_cancelled() && second.displaced.is_cancelled());
        assert!(first.evicted.is_cancelled() && !second.evicted.is_cancelled(), "the older one makes room");
        assert_eq!(in_reserve(&taken), [false, false]);
        // A connection that ends makes room immediately.
        let begun = Instant::now();
        let (third, ()) = tokio::join!(connections.take(peer), async { drop(second) });
        assert!(third.displaced.is_cancelled() && begun.elapsed() < MINIMUM_STAY);
        drop(taken);
        assert!(!connections.take(peer).await.displaced.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_beyond_its_share_displaces_only_its_own_connections() {
        let connections = connections(10, 2, 1);
        let (many, other) = (address("10.0.0.1"), connections.take(address("10.0.0.2")).await);
        let taken: [_; 5] = take(&connections, many).await;
        assert_eq!(in_reserve(&taken).iter().filter(|is_displaced| **is_displaced).count(), 3);
        assert!(!other.displaced.is_cancelled());
        let working: [_; 2] = take(&connections, many).await;
        working.iter().for_each(|slot| slot.activity.set_working(true));
        assert!(connections.take(many).await.displaced.is_cancelled());
        assert!(!connections.take(address("10.0.0.3")).await.displaced.is_cancelled());
    }

    #[test]
    fn all_addresses_of_a_host_are_one_peer() {
        assert_eq!(peer_of(address("::ffff:10.0.0.1")), address("10.0.0.1"));
        assert_eq!(peer_of(address("2001:db8::1")), peer_of(address("2001:db8::ffff:1")));
        assert_ne!(peer_of(address("2001:db8::1")), peer_of(address("2001:db8:0:1::1")));
    }
}
