//! Who may hold a connection: limits in all and for each peer, and a reserve in which health is answered in any case.
//!
//! Where a limit is reached, the connection that has waited longest for its own peer (to send a request, or to take an answer)
//! gives its slot to the new one and goes into the reserve. A connection whose request is being worked on never does. Where
//! all are at work, the new connection itself is served in the reserve: health is answered there, everything else is asked
//! to come again. Where the reserve is full too, its oldest connection is ended as soon as that one has had the time to be
//! answered; until then the new one waits, beside those of other peers. Where too many wait, those of a peer beyond its share
//! are closed.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Minimum time that a connection has in the reserve, in which its request arrives and is answered.
const MINIMUM_STAY: Duration = Duration::from_secs(1);

/// Limits on connections.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Maximum number of connections that are served at a time.
    pub connections: usize,
    /// Maximum number of these that one peer (an IPv4 address, or the first 64 bits of an IPv6 address) can hold.
    pub connections_per_peer: usize,
    /// Number of further connections, on which only health is answered; at least one.
    pub reserve: usize,
    /// Number of further connections that may wait for room in the reserve.
    pub waiting: usize,
    /// Maximum number of event streams that are open at a time. Each of them occupies a connection.
    pub event_streams: usize,
    /// Maximum time that an answer may wait for its reader. Each 8 KiB taken gives a second of it back.
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
    /// In the order of their arrival.
    by_number: BTreeMap<u64, Holder>,
}

#[derive(Debug)]
struct Holder {
    peer: IpAddr,
    /// Since when it is in the reserve.
    in_reserve: Option<Instant>,
    activity: Arc<Activity>,
    displaced: CancellationToken,
    evicted: CancellationToken,
}

/// What a connection does, seen from outside of it.
#[derive(Debug)]
pub(super) struct Activity {
    begun: Instant,
    /// When bytes last came or went: milliseconds since `begun`.
    touched: AtomicU64,
    /// A request is being worked on, and it is not the peer who is waited for.
    is_working: AtomicBool,
    /// A request has come.
    has_begun: AtomicBool,
}

/// Cancelled when the connection of a request makes room for another one. An answer without an end of its own ends then.
#[derive(Clone, Debug)]
pub(super) struct Displaced(pub(super) CancellationToken);

/// A connection that is counted, until this is dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    connections: Arc<Connections>,
    number: u64,
    pub(super) activity: Arc<Activity>,
    /// Cancelled when this slot is in the reserve: only health is answered here.
    pub(super) displaced: CancellationToken,
    /// Cancelled when another connection needs this slot in the reserve.
    pub(super) evicted: CancellationToken,
}

impl Connections {
    pub(super) fn new(limits: HttpLimits) -> Arc<Self> {
        Arc::new(Self { limits, begun: Instant::now(), held: Mutex::default(), freed: Notify::new() })
    }

    /// A slot for a connection from this address, as soon as there is one.
    pub(super) async fn take(self: &Arc<Self>, address: IpAddr) -> ConnectionSlot {
        loop {
            let taken = self.try_take(address);
            match taken {
                Ok(slot) => return slot,
                Err(until) => drop(tokio::time::timeout_at(until, self.freed.notified()).await),
            }
        }
    }

    /// Whether the peer at this address holds all that it may hold.
    pub(super) fn has_its_share(&self, address: IpAddr) -> bool {
        self.held().regular_of(peer_of(address)) >= self.limits.connections_per_peer
    }

    /// A slot, or when there is one at the latest.
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
        // Nothing panics under this lock.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Those that are not in the reserve.
    fn regular(&self) -> impl Iterator<Item = &Holder> {
        self.by_number.values().filter(|holder| holder.in_reserve.is_none())
    }

    fn regular_of(&self, peer: IpAddr) -> usize {
        self.regular().filter(|holder| holder.peer == peer).count()
    }

    /// Makes room for one more connection of this peer. `false`: in the reserve.
    ///
    /// # Errors
    /// Where even the reserve has no room now: when it has at the latest.
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
        // One that is being answered stays: it is the last one to be ended.
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
    /// Puts it into the reserve.
    fn displace(&mut self) {
        self.in_reserve = Some(Instant::now());
        self.displaced.cancel();
    }
}

impl Activity {
    /// Bytes have come or gone.
    pub(super) fn touch(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.touched.store(now, Ordering::Relaxed);
    }

    pub(super) fn is_working(&self) -> bool {
        self.is_working.load(Ordering::Relaxed)
    }

    /// Notes that a request has come.
    pub(super) fn begin(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
        self.set_working(true);
    }

    /// Whether a request has come.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    /// Whether what comes next is up to Hub (or to the peer).
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

/// Who an address stands for: one host of IPv4, or a network of IPv6, which one host can have all addresses of.
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

    /// Which of these are in the reserve.
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
    async fn the_connection_that_has_waited_longest_gives_its_slot() {
        let (connections, peer) = (connections(3, 3, 1), address("10.0.0.1"));
        let taken: [_; 3] = take(&connections, peer).await;
        taken[0].activity.set_working(true);
        tokio::time::advance(Duration::from_secs(1)).await;
        taken[1].activity.touch();
        let fourth = connections.take(peer).await;
        assert_eq!((in_reserve(&taken), fourth.displaced.is_cancelled()), (vec![false, false, true], false));
        assert!(!taken[2].evicted.is_cancelled(), "it may have sent a request, which is answered");
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_at_work_there_is_still_room_in_the_reserve() {
        let (connections, peer) = (connections(2, 2, 1), address("10.0.0.1"));
        let taken: [_; 2] = take(&connections, peer).await;
        taken.iter().for_each(|slot| slot.activity.set_working(true));
        let begun = Instant::now();
        let first = connections.take(peer).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        let second = connections.take(address("10.0.0.2")).await;
        assert!(begun.elapsed() >= MINIMUM_STAY, "the first one has no time to be answered");
        assert!(first.displaced.is_cancelled() && second.displaced.is_cancelled());
        assert!(first.evicted.is_cancelled() && !second.evicted.is_cancelled(), "the older one makes room");
        assert_eq!(in_reserve(&taken), [false, false]);
        // A connection that ends makes room at once.
        let begun = Instant::now();
        let (third, ()) = tokio::join!(connections.take(peer), async { drop(second) });
        assert!(third.displaced.is_cancelled() && begun.elapsed() < MINIMUM_STAY);
        drop(taken);
        assert!(!connections.take(peer).await.displaced.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_has_a_share_and_beyond_it_only_its_own_connections_make_room() {
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
    fn one_host_is_one_peer_however_it_is_written() {
        assert_eq!(peer_of(address("::ffff:10.0.0.1")), address("10.0.0.1"));
        assert_eq!(peer_of(address("2001:db8::1")), peer_of(address("2001:db8::ffff:1")));
        assert_ne!(peer_of(address("2001:db8::1")), peer_of(address("2001:db8:0:1::1")));
    }
}
