//! Who may hold a connection: limits in all and for each peer, and a reserve in which health is answered in any case.
//!
//! Where a limit is reached, the connection that has waited longest for its own peer (to send a request, or to take an answer)
//! gives its place to the new one. A connection whose request is being worked on is never ended for another. Where all are
//! at work, the new connection is served in the reserve: health is answered there, everything else is asked to come again.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Limits on connections.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Maximum number of connections that are served at a time.
    pub connections: usize,
    /// Maximum number of these that one peer (an IPv4 address, or the first 64 bits of an IPv6 address) can hold.
    pub connections_per_peer: usize,
    /// Number of further connections, on which only health is answered.
    pub reserve: usize,
    /// Maximum time that an answer may wait for its reader. Each 8 KiB taken gives a second of it back.
    pub write_patience: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { connections: 1024, connections_per_peer: 512, reserve: 64, write_patience: Duration::from_secs(30) }
    }
}

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    limits: HttpLimits,
    begun: Instant,
    held: Mutex<Held>,
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
    is_reserve: bool,
    activity: Arc<Activity>,
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
}

/// A place, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    /// Only health is answered here.
    pub(super) is_reserve: bool,
    pub(super) activity: Arc<Activity>,
    /// Cancelled when another connection gets this place.
    pub(super) evicted: CancellationToken,
}

impl Places {
    pub(super) fn new(limits: HttpLimits) -> Arc<Self> {
        Arc::new(Self { limits, begun: Instant::now(), held: Mutex::default() })
    }

    /// A place for a connection from this address.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Place {
        let peer = peer_of(address);
        let activity =
            Arc::new(Activity { begun: self.begun, touched: AtomicU64::new(0), is_working: AtomicBool::new(false) });
        activity.touch();
        let evicted = CancellationToken::new();
        let mut held = self.held();
        let is_reserve = !held.make_room(&self.limits, peer);
        let number = held.next;
        held.next += 1;
        let holder = Holder { peer, is_reserve, activity: Arc::clone(&activity), evicted: evicted.clone() };
        held.by_number.insert(number, holder);
        Place { places: Arc::clone(self), number, is_reserve, activity, evicted }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing panics under this lock.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Makes room for one more connection of this peer. `false`: only in the reserve, where there is room in any case.
    fn make_room(&mut self, limits: &HttpLimits, peer: IpAddr) -> bool {
        let regular = || self.by_number.values().filter(|holder| !holder.is_reserve);
        let (all, of_peer) = (regular().count(), regular().filter(|holder| holder.peer == peer).count());
        if of_peer >= limits.connections_per_peer {
            if self.evict_idlest(|holder| holder.peer == peer) {
                return true;
            }
        } else if all < limits.connections || self.evict_idlest(|_| true) {
            return true;
        }
        let reserve = || self.by_number.iter().filter(|(_, holder)| holder.is_reserve);
        if reserve().count() >= limits.reserve
            && let Some(oldest) = reserve().map(|(number, _)| *number).next()
        {
            self.evict(oldest);
        }
        false
    }

    /// Ends the connection that has waited longest for its peer, if there is one.
    fn evict_idlest(&mut self, may: impl Fn(&Holder) -> bool) -> bool {
        let idle = self.by_number.iter().filter(|(_, holder)| {
            !holder.is_reserve && !holder.activity.is_working.load(Ordering::Relaxed) && may(holder)
        });
        let idlest = idle.min_by_key(|(_, holder)| holder.activity.touched.load(Ordering::Relaxed));
        let Some(number) = idlest.map(|(number, _)| *number) else { return false };
        self.evict(number);
        true
    }

    fn evict(&mut self, number: u64) {
        if let Some(holder) = self.by_number.remove(&number) {
            holder.evicted.cancel();
        }
    }
}

impl Activity {
    /// Bytes have come or gone.
    pub(super) fn touch(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.touched.store(now, Ordering::Relaxed);
    }

    /// Whether what comes next is up to Hub (or to the peer).
    pub(super) fn set_working(&self, is_working: bool) {
        self.is_working.store(is_working, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.held().by_number.remove(&self.number);
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

    fn places(connections: usize, connections_per_peer: usize, reserve: usize) -> Arc<Places> {
        Places::new(HttpLimits { connections, connections_per_peer, reserve, ..HttpLimits::default() })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_has_waited_longest_gives_its_place() {
        let (places, peer) = (places(3, 3, 1), address("10.0.0.1"));
        let taken = [(); 3].map(|()| places.take(peer));
        taken[0].activity.set_working(true);
        tokio::time::advance(Duration::from_secs(1)).await;
        taken[1].activity.touch();
        let fourth = places.take(peer);
        let evicted = taken.iter().map(|place| place.evicted.is_cancelled()).collect::<Vec<_>>();
        assert_eq!((evicted, fourth.is_reserve), (vec![false, false, true], false));
    }

    #[test]
    fn where_all_are_at_work_there_is_still_room_in_the_reserve() {
        let (places, peer) = (places(2, 2, 1), address("10.0.0.1"));
        let taken = [(); 2].map(|()| places.take(peer));
        taken.iter().for_each(|place| place.activity.set_working(true));
        let (first, second) = (places.take(peer), places.take(address("10.0.0.2")));
        assert!(first.is_reserve && second.is_reserve);
        assert!(first.evicted.is_cancelled() && !second.evicted.is_cancelled(), "the older one makes room");
        assert!(taken.iter().all(|place| !place.evicted.is_cancelled()));
        drop(taken);
        assert!(!places.take(peer).is_reserve);
    }

    #[test]
    fn a_peer_has_a_share_and_beyond_it_only_its_own_connections_make_room() {
        let places = places(10, 2, 1);
        let (many, other) = (address("10.0.0.1"), places.take(address("10.0.0.2")));
        let taken = [(); 5].map(|()| places.take(many));
        let evicted = taken.iter().filter(|place| place.evicted.is_cancelled()).count();
        assert_eq!((evicted, other.evicted.is_cancelled()), (3, false));
        let working = [(); 2].map(|()| places.take(many));
        working.iter().for_each(|place| place.activity.set_working(true));
        assert!(places.take(many).is_reserve);
        assert!(!places.take(address("10.0.0.3")).is_reserve);
    }

    #[test]
    fn one_host_is_one_peer_however_it_is_written() {
        assert_eq!(peer_of(address("::ffff:10.0.0.1")), address("10.0.0.1"));
        assert_eq!(peer_of(address("2001:db8::1")), peer_of(address("2001:db8::ffff:1")));
        assert_ne!(peer_of(address("2001:db8::1")), peer_of(address("2001:db8:0:1::1")));
    }
}
