//! The connections of a server, and how many of them may wait for their client.
//!
//! A connection waits while no request has arrived on it completely: it is idle, or a head or a body
//! is on its way. It costs a file descriptor, and a client that sends slowly, or nothing, keeps it
//! for as long as it likes. So there is a limit for each address and one for all together. Above a
//! limit the connections that have waited longest are closed, which makes room for clients that send
//! their requests at once. A connection whose request is being served, a long poll or a WebSocket
//! among them, counts for nothing and is never closed here. The limit for each address does not hold
//! for trusted proxies, which connect for many clients.

mod pace;
mod serving;
mod stream;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use botarmy_web::TrustedProxies;
use futures_util::task::AtomicWaker;

pub(crate) use pace::{Paced, is_too_slow};
pub(crate) use serving::{Serving, Tracked};
pub(crate) use stream::GuardedStream;

/// Time that a connection above the limit of its address may have, for one whose request is there
/// but has not been read yet.
const GRACE: Duration = Duration::from_secs(1);
/// Longest time for the head of a request, from its first byte.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Interval between two searches for heads that take too long.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Limits of waiting connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WaitingLimits {
    /// Largest number for one address; 0 for no limit.
    pub(crate) per_address: usize,
    /// Largest number for all addresses together.
    pub(crate) total: usize,
}

/// All connections of a server.
pub(crate) struct Connections {
    limits: WaitingLimits,
    trusted: TrustedProxies,
    started: Instant,
    waiting: AtomicUsize,
    next_id: AtomicU64,
    addresses: Mutex<HashMap<Source, Address>>,
}

/// Source of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    /// A client, by what [`network`] returns for its address.
    Client(IpAddr),
    /// A trusted proxy, by its address.
    Proxy(IpAddr),
}

/// Connections from one address.
#[derive(Default)]
struct Address {
    waiting: Arc<AtomicUsize>,
    connections: HashMap<u64, Arc<Connection>>,
}

/// No request has begun, or only its head has.
const IDLE: u8 = 0;
/// The head has arrived, and the body is on its way.
const BODY: u8 = 1;
/// A request is being served.
const SERVING: u8 = 2;
/// The connection is to be closed.
const CLOSED: u8 = 3;

/// One connection: what it does now, and since when.
pub(crate) struct Connection {
    id: u64,
    source: Source,
    all: Arc<Connections>,
    /// Number of waiting connections from the same address.
    waiting_beside: Arc<AtomicUsize>,
    phase: AtomicU8,
    /// Beginning of the wait, in milliseconds since the start of the server.
    since: AtomicU64,
    /// Arrival of the first byte of a head that is not complete, likewise; 0 without one.
    head_since: AtomicU64,
    /// Whether the socket was read to its end: before that, a complete request may lie in it.
    is_read: AtomicBool,
    reader: AtomicWaker,
}

impl Connections {
    /// Creates an empty set.
    pub(crate) fn new(limits: WaitingLimits, trusted: TrustedProxies) -> Arc<Self> {
        Arc::new(Self {
            limits,
            trusted,
            started: Instant::now(),
            waiting: AtomicUsize::new(0),
            next_id: AtomicU64::new(0),
            addresses: Mutex::default(),
        })
    }

    /// Adds a connection. It is removed when its stream is dropped.
    pub(crate) fn add(self: &Arc<Self>, peer: Option<SocketAddr>) -> Arc<Connection> {
        let address = peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip());
        let source = if self.trusted.contains(address) {
            Source::Proxy(address.to_canonical())
        } else {
            Source::Client(network(address))
        };
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let connection = {
            let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            let known = addresses.entry(source).or_default();
            let connection = Arc::new(Connection {
                id,
                source,
                all: Arc::clone(self),
                waiting_beside: Arc::clone(&known.waiting),
                phase: AtomicU8::new(IDLE),
                since: AtomicU64::new(self.now()),
                head_since: AtomicU64::new(0),
                is_read: AtomicBool::new(false),
                reader: AtomicWaker::new(),
            });
            known.connections.insert(id, Arc::clone(&connection));
            connection
        };
        connection.count_as_waiting();
        connection
    }

    fn remove(&self, connection: &Connection) {
        if is_waiting(connection.phase.swap(CLOSED, Ordering::AcqRel)) {
            connection.count_as_over();
        }
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = addresses.get_mut(&connection.source) {
            known.connections.remove(&connection.id);
            if known.connections.is_empty() {
                addresses.remove(&connection.source);
            }
        }
    }

    /// Returns the time since the start, in milliseconds, and never 0.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).map_or(u64::MAX, |now| now.max(1))
    }

    /// Returns the largest number of waiting connections of a source; 0 for no limit.
    const fn limit(&self, source: Source) -> usize {
        match source {
            Source::Client(_) => self.limits.per_address,
            Source::Proxy(_) => 0,
        }
    }

    /// Closes the connections that have waited longest, as far as there are too many.
    fn make_room(&self, beside: &AtomicUsize, source: Source) {
        let limit = self.limit(source);
        let too_many_beside = || limit > 0 && beside.load(Ordering::Relaxed) > limit;
        let too_many = || self.waiting.load(Ordering::Relaxed) > self.limits.total;
        if !too_many_beside() && !too_many() {
            return;
        }
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if too_many_beside()
            && let Some(known) = addresses.get(&source)
        {
            let young = self.now().saturating_sub(millis(GRACE));
            close_oldest(known, some(limit), young);
        }
        if too_many() {
            let busiest = addresses.values().max_by_key(|a| a.waiting.load(Ordering::Relaxed));
            if let Some(busiest) = busiest {
                close_oldest(busiest, some(self.limits.total), u64::MAX);
            }
        }
    }

    /// Closes connections whose head takes too long, and those above the limit of their address for
    /// which it was too early.
    fn sweep(&self) {
        let now = self.now();
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        for (source, known) in addresses.iter() {
            for connection in known.connections.values() {
                let begun = connection.head_since.load(Ordering::Relaxed);
                if begun > 0 && begun + millis(HEAD_TIMEOUT) < now {
                    connection.close();
                }
            }
            let limit = self.limit(*source);
            let excess = known.waiting.load(Ordering::Relaxed).saturating_sub(limit);
            if limit > 0 && excess > 0 {
                close_oldest(known, excess, now.saturating_sub(millis(GRACE)));
            }
        }
    }

    /// Looks for heads that take too long, for as long as the server has connections or may get any.
    pub(crate) async fn run(all: Weak<Self>) {
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            let Some(all) = all.upgrade() else { return };
            all.sweep();
        }
    }
}

/// Returns how many connections to close at once above this limit. Each search looks at all of them,
/// so it makes room for some more.
const fn some(limit: usize) -> usize {
    if limit < 16 { 1 } else { limit / 8 }
}

/// Closes this many connections, those that have waited longest, of those that have waited since
/// before `young`.
fn close_oldest(known: &Address, count: usize, young: u64) {
    let since = |connection: &&Arc<Connection>| connection.since.load(Ordering::Relaxed);
    let waiting = known.connections.values().filter(|connection| connection.waits());
    let mut waiting: Vec<_> = waiting.filter(|connection| since(connection) < young).collect();
    if waiting.len() > count {
        waiting.select_nth_unstable_by_key(count, since);
    }
    waiting.iter().take(count).for_each(|connection| {
        connection.close();
    });
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the address that a limit is for: of IPv6 the network, because a client has all of it.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

const fn is_waiting(phase: u8) -> bool {
    matches!(phase, IDLE | BODY)
}

impl Connection {
    /// Whether it is known to wait for its client.
    fn waits(&self) -> bool {
        self.is_read.load(Ordering::Acquire) && is_waiting(self.phase.load(Ordering::Acquire))
    }

    /// Notes that nothing more has arrived.
    fn is_read_to_the_end(&self) {
        self.is_read.store(true, Ordering::Release);
    }

    fn count_as_waiting(&self) {
        self.all.waiting.fetch_add(1, Ordering::Relaxed);
        self.waiting_beside.fetch_add(1, Ordering::Relaxed);
        self.all.make_room(&self.waiting_beside, self.source);
    }

    fn count_as_over(&self) {
        self.all.waiting.fetch_sub(1, Ordering::Relaxed);
        self.waiting_beside.fetch_sub(1, Ordering::Relaxed);
    }

    /// Changes the phase, unless the connection is closed; returns the one before.
    fn change(&self, phase: u8) -> u8 {
        let change = |now| (now != CLOSED).then_some(phase);
        let before = self.phase.fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
        let before = before.unwrap_or_else(|closed| closed);
        if is_waiting(before) && !is_waiting(phase) {
            self.count_as_over();
        }
        before
    }

    /// Notes that the head of a request has arrived and its body has not.
    pub(crate) fn awaits_body(&self) {
        self.head_since.store(0, Ordering::Relaxed);
        self.change(BODY);
    }

    /// Notes that a request has arrived completely.
    fn serves(&self) {
        self.head_since.store(0, Ordering::Relaxed);
        self.change(SERVING);
    }

    /// Notes that a response was given, and that the next request may come.
    fn idles(&self) {
        self.since.store(self.all.now(), Ordering::Relaxed);
        if self.change(IDLE) == SERVING {
            self.count_as_waiting();
        }
    }

    /// Notes that bytes have arrived.
    fn received(&self) {
        if self.phase.load(Ordering::Relaxed) == IDLE
            && self.head_since.load(Ordering::Relaxed) == 0
        {
            self.head_since.store(self.all.now(), Ordering::Relaxed);
        }
    }

    /// Notes that bytes were accepted by the client, of a response that was given.
    fn sent(&self) {
        if self.phase.load(Ordering::Relaxed) == IDLE {
            self.since.store(self.all.now(), Ordering::Relaxed);
        }
    }

    /// Has the connection closed, unless it serves a request.
    fn close(&self) -> bool {
        let close = |phase| is_waiting(phase).then_some(CLOSED);
        if self.phase.fetch_update(Ordering::AcqRel, Ordering::Acquire, close).is_err() {
            return false;
        }
        self.count_as_over();
        self.reader.wake();
        true
    }

    fn is_closed(&self) -> bool {
        self.phase.load(Ordering::Acquire) == CLOSED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Option<SocketAddr> {
        Some(SocketAddr::new(text.parse().unwrap(), 1))
    }

    fn all(per_address: usize, total: usize) -> Arc<Connections> {
        Connections::new(WaitingLimits { per_address, total }, TrustedProxies::default())
    }

    /// Adds a connection on which nothing has arrived.
    fn add(all: &Arc<Connections>, address: &str) -> Arc<Connection> {
        let connection = all.add(peer(address));
        connection.is_read_to_the_end();
        connection
    }

    /// Sets the beginning of the wait into the past of a server that has run for long.
    fn age(connection: &Connection, seconds: u64) {
        let now = connection.all.now();
        connection.since.store(now.saturating_sub(seconds * 1000), Ordering::Relaxed);
    }

    fn old_server(limits: WaitingLimits) -> Arc<Connections> {
        old_server_behind(TrustedProxies::default(), limits)
    }

    fn old_server_behind(trusted: TrustedProxies, limits: WaitingLimits) -> Arc<Connections> {
        let all = Connections::new(limits, trusted);
        let Ok(mut all) = Arc::try_unwrap(all) else { unreachable!("it is not shared yet") };
        all.started = all.started.checked_sub(Duration::from_secs(1000)).unwrap();
        Arc::new(all)
    }

    #[test]
    fn above_the_limit_of_an_address_the_connection_that_waited_longest_is_closed() {
        let all = old_server(WaitingLimits { per_address: 2, total: 100 });
        let one = add(&all, "10.0.0.1");
        let two = add(&all, "10.0.0.1");
        let other = add(&all, "10.0.0.2");
        age(&one, 5);
        age(&two, 9);
        age(&other, 99);
        let three = add(&all, "10.0.0.1");
        let closed = [&one, &two, &other, &three].map(|connection| connection.is_closed());
        assert_eq!(closed, [false, true, false, false]);
        assert_eq!(all.waiting.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn the_limit_of_an_address_does_not_hold_for_trusted_proxies_and_that_of_all_does() {
        let trusted = TrustedProxies::parse(["10.0.0.1", "2001:db8::1"]).unwrap();
        let limits = WaitingLimits { per_address: 1, total: 8 };
        let all = old_server_behind(trusted, limits);
        let old = |address: &str| {
            let connection = add(&all, address);
            age(&connection, 9);
            connection
        };
        let proxy = ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.1", "2001:db8::1", "2001:db8::1"];
        let proxy = proxy.map(old);
        // A neighbour in the same network is no proxy.
        let client = ["2001:db8::2", "2001:db8::3"].map(old);
        all.sweep();
        assert!(proxy.iter().all(|connection| !connection.is_closed()));
        assert!(client[0].is_closed() && !client[1].is_closed());
        let more: Vec<_> = (0..4).map(|_| old("10.0.0.1")).collect();
        let closed = proxy.iter().chain(&more).filter(|connection| connection.is_closed());
        assert_eq!(closed.count(), 2, "the limit of all");
    }

    #[test]
    fn a_connection_that_serves_counts_for_nothing_and_stays() {
        let all = old_server(WaitingLimits { per_address: 1, total: 100 });
        let poll = add(&all, "10.0.0.1");
        age(&poll, 99);
        poll.serves();
        let one = add(&all, "10.0.0.1");
        age(&one, 9);
        assert!(!poll.is_closed() && !one.is_closed());
        poll.idles();
        assert!(!poll.is_closed() && one.is_closed(), "now it waits, but not for long");
    }

    #[test]
    fn a_burst_is_not_cut_by_the_limit_of_an_address_but_by_the_limit_of_all() {
        let burst = all(2, 5);
        let connections: Vec<_> = (0..5).map(|_| add(&burst, "10.0.0.1")).collect();
        assert!(connections.iter().all(|connection| !connection.is_closed()));
        let other = add(&burst, "10.0.0.2");
        let closed = connections.iter().filter(|connection| connection.is_closed()).count();
        assert_eq!((closed, other.is_closed()), (1, false));
    }

    #[test]
    fn a_connection_that_was_not_read_yet_is_not_closed() {
        let all = all(100, 2);
        let unread = all.add(peer("10.0.0.1"));
        let idle: Vec<_> = (0..4).map(|_| add(&all, "10.0.0.1")).collect();
        all.sweep();
        assert!(!unread.is_closed(), "its request may be there");
        assert!(idle.iter().any(|connection| connection.is_closed()));
    }

    #[test]
    fn a_sweep_closes_slow_heads_and_what_has_become_too_much() {
        let all = old_server(WaitingLimits { per_address: 2, total: 100 });
        let slow = add(&all, "10.0.0.1");
        slow.head_since.store(all.now() - 10_001, Ordering::Relaxed);
        let idle = add(&all, "10.0.0.1");
        all.sweep();
        assert!(slow.is_closed() && !idle.is_closed());
        let more: Vec<_> = (0..3).map(|_| add(&all, "10.0.0.1")).collect();
        all.sweep();
        assert!(more.iter().all(|connection| !connection.is_closed()), "they are young");
        more.iter().chain([&idle]).for_each(|connection| age(connection, 2));
        all.sweep();
        let open = more.iter().chain([&idle]).filter(|connection| !connection.is_closed());
        assert_eq!(open.count(), 2);
    }

    #[test]
    fn nothing_is_left_of_connections_that_are_gone() {
        let all = all(2, 5);
        let (one, two) = (add(&all, "::1"), add(&all, "2001:db8:1:2:3::4"));
        assert_eq!(
            network("2001:db8:1:2:3::4".parse().unwrap()),
            "2001:db8:1:2::".parse::<IpAddr>().unwrap()
        );
        one.serves();
        one.idles();
        two.awaits_body();
        all.remove(&one);
        all.remove(&two);
        assert_eq!(all.waiting.load(Ordering::Relaxed), 0);
        assert!(all.addresses.lock().unwrap().is_empty());
    }
}
