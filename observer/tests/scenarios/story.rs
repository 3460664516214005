//! A timed script on a virtual clock: frames go into the driver, calls of hooks come out.

use std::net::SocketAddr;
use std::sync::Arc;

use dhcp_observer::config::{KeaVersion, ServerConfig};
use dhcp_observer::dialect::invocation::Invocation;
use dhcp_observer::dialect::kea;
use dhcp_observer::dissect::{FragmentCounts, FragmentsWaiting};
use dhcp_observer::drive::{Driver, Totals};
use dhcp_observer::frame::{Direction, Frame, Interface, LinkType};
use dhcp_observer::time::Timestamp;
use dhcp_observer::tracker::{Answers, Counters, LeaseEvent, Limits, network};

/// The moment at which every story begins, in Unix seconds.
pub const START: i64 = 1_700_000_000;

/// Something that can be put on the wire.
pub trait Packet {
    /// UDP payload.
    fn payload(&self) -> Vec<u8>;
    /// Source and destination.
    fn addresses(&self) -> (SocketAddr, SocketAddr);
    /// The Ethernet source and destination.
    fn macs(&self) -> ([u8; 6], [u8; 6]);

    /// The whole Ethernet frame.
    fn frame(&self) -> Vec<u8> {
        let datagram = self.datagram();
        let (source_mac, destination_mac) = self.macs();
        let ethertype = if self.addresses().0.is_ipv4() { [0x08, 0x00] } else { [0x86, 0xdd] };
        [&destination_mac[..], &source_mac, &ethertype, &datagram].concat()
    }

    /// The IP datagram, with everything in front of it left out.
    fn datagram(&self) -> Vec<u8> {
        let payload = self.payload();
        let (source, destination) = self.addresses();
        let length = |octets: usize| u16::try_from(octets).unwrap().to_be_bytes();
        let mut udp = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
        udp.extend(length(8 + payload.len()));
        // No checksum: frames that leave have none yet, so none is ever looked at.
        udp.extend([0, 0]);
        udp.extend(payload);

        let mut frame = Vec::new();
        match (source, destination) {
            (SocketAddr::V4(source), SocketAddr::V4(destination)) => {
                frame.extend([0x45, 0]);
                frame.extend(length(20 + udp.len()));
                frame.extend([0, 0, 0, 0, 64, 17, 0, 0]);
                frame.extend(source.ip().octets());
                frame.extend(destination.ip().octets());
            }
            (SocketAddr::V6(source), SocketAddr::V6(destination)) => {
                frame.extend([0x60, 0, 0, 0]);
                frame.extend(length(udp.len()));
                frame.extend([17, 64]);
                frame.extend(source.ip().octets());
                frame.extend(destination.ip().octets());
            }
            _ => panic!("one family, please"),
        }
        frame.extend(udp);
        frame
    }
}

/// The script and what it has brought about so far.
pub struct Story {
    driver: Driver,
    version: KeaVersion,
    interface: Arc<Interface>,
    now: Timestamp,
    calls: Vec<Invocation>,
    events: Vec<LeaseEvent>,
}

/// Text of a moment, as CLTT shows it.
pub fn unix(seconds: i64) -> String {
    (START + seconds).to_string()
}

impl Story {
    /// An observer beside a server of which nothing is known.
    pub fn new() -> Self {
        Self::with(ServerConfig::default())
    }

    /// An observer that was given the server's configuration.
    pub fn with(config: ServerConfig) -> Self {
        Self::tapping(config, Answers::Out, Limits::default())
    }

    /// An observer that stands elsewhere, or keeps less.
    pub fn tapping(config: ServerConfig, answers: Answers, limits: Limits) -> Self {
        Self {
            version: config.version,
            driver: Driver::new(Arc::new(config), answers, limits),
            interface: Arc::new(Interface { index: Some(3), name: "vs".into() }),
            now: Timestamp::from_seconds(START),
            calls: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Moves the clock to so many seconds after the start. Deadlines on the way happen.
    pub fn at(&mut self, seconds: i64) -> &mut Self {
        self.at_millis(seconds * 1_000)
    }

    /// The same in milliseconds.
    pub fn at_millis(&mut self, millis: i64) -> &mut Self {
        self.at_nanos(millis * 1_000_000)
    }

    /// What passes next has this stamp, in milliseconds; nobody looks at the clock.
    pub fn stamp(&mut self, millis: i64) -> &mut Self {
        self.now = Timestamp::from_nanos(START * 1_000_000_000 + millis * 1_000_000);
        self
    }

    /// The same in nanoseconds.
    pub fn at_nanos(&mut self, nanos: i64) -> &mut Self {
        self.now = Timestamp::from_nanos(START * 1_000_000_000 + nanos);
        let (calls, events, version) = (&mut self.calls, &mut self.events, self.version);
        self.driver.handle_time(self.now, |event| {
            calls.extend(kea::invocation(&event, version));
            events.push(event);
        });
        self
    }

    /// A frame passes.
    pub fn pass(&mut self, packet: &impl Packet, direction: Direction) -> &mut Self {
        let interface = Arc::clone(&self.interface);
        self.pass_on(&interface, packet, direction)
    }

    /// A frame passes on another interface.
    pub fn pass_on(
        &mut self,
        interface: &Arc<Interface>,
        packet: &impl Packet,
        direction: Direction,
    ) -> &mut Self {
        self.pass_bytes(interface, &packet.frame(), direction)
    }

    /// Bytes pass.
    pub fn pass_bytes(
        &mut self,
        interface: &Arc<Interface>,
        bytes: &[u8],
        direction: Direction,
    ) -> &mut Self {
        self.pass_as(LinkType::Ethernet, interface, bytes, direction)
    }

    fn pass_as(
        &mut self,
        link_type: LinkType,
        interface: &Arc<Interface>,
        bytes: &[u8],
        direction: Direction,
    ) -> &mut Self {
        let frame = Frame {
            at: self.now,
            interface,
            direction,
            link_type,
            metadata_tag: None,
            bytes,
            wire_length: bytes.len(),
        };
        let (calls, events, version) = (&mut self.calls, &mut self.events, self.version);
        self.driver.handle_frame(&frame, |event| {
            calls.extend(kea::invocation(&event, version));
            events.push(event);
        });
        self
    }

    /// A datagram that is too large for a frame passes.
    pub fn whole(&mut self, packet: &impl Packet, direction: Direction) -> &mut Self {
        let interface = Arc::clone(&self.interface);
        self.pass_as(LinkType::RawIp, &interface, &packet.datagram(), direction)
    }

    /// A question arrives.
    pub fn asks(&mut self, packet: &impl Packet) -> &mut Self {
        self.pass(packet, Direction::In)
    }

    /// An answer leaves.
    pub fn answers(&mut self, packet: &impl Packet) -> &mut Self {
        self.pass(packet, Direction::Out)
    }

    /// Watches for these events beside those of leases.
    pub fn watching(mut self, kinds: &[network::Kind]) -> Self {
        let kinds = kinds.iter().copied().collect();
        self.driver.set_network_events(network::Options { kinds, ..network::Options::default() });
        self
    }

    /// Is told messages too for which no server calls a hook.
    pub fn telling_heard(mut self) -> Self {
        self.driver.tell_heard(true);
        self
    }

    /// The events since the last look.
    pub fn events(&mut self) -> Vec<LeaseEvent> {
        std::mem::take(&mut self.events)
    }

    pub fn network_counters(&self) -> network::Counters {
        self.driver.network_counters()
    }

    /// What was called since the last look for events that are not about leases, and nothing else: these events.
    #[track_caller]
    pub fn expect_network<const N: usize>(&mut self, expected: [&str; N]) -> Calls {
        let mut calls = self.calls();
        calls.0.retain(|call| call.arguments.iter().next().unwrap().to_bytes().starts_with(b"observer_"));
        assert_eq!(calls.0.iter().map(summary).collect::<Vec<_>>(), expected);
        calls
    }

    /// Says on how many interfaces frames are seen.
    pub fn taps(&mut self, taps: usize) -> &mut Self {
        self.driver.set_taps(taps);
        self
    }

    /// The next deadline in nanoseconds after the start.
    pub fn deadline(&self) -> Option<i64> {
        self.driver.poll_timeout().map(|due| due.as_nanos() - START * 1_000_000_000)
    }

    pub fn counters(&self) -> Counters {
        self.driver.counters()
    }

    /// What became of fragmented datagrams, and what waits of them.
    pub fn fragments(&self) -> (FragmentCounts, FragmentsWaiting) {
        (self.driver.fragments(), self.driver.fragments_waiting())
    }

    /// How many frames were skipped for this reason.
    pub fn skipped(&self, reason: &str) -> u64 {
        let all = self.driver.totals();
        let skipped: Vec<_> = self.driver.skipped().collect();
        let total: u64 = skipped.iter().map(|(_, count)| count).sum();
        assert_eq!(all.frames, all.handled + total, "every frame is handled or skipped");
        skipped.iter().find(|(name, _)| *name == reason).map_or(0, |(_, count)| *count)
    }

    pub fn totals(&self) -> Totals {
        self.driver.totals()
    }

    /// What was called since the last look.
    pub fn calls(&mut self) -> Calls {
        Calls(std::mem::take(&mut self.calls))
    }

    /// Just these calls, no others, since the last look: `event: hook_point` or `event: hook_point(leases,deleted)`.
    #[track_caller]
    pub fn expect<const N: usize>(&mut self, expected: [&str; N]) -> Calls {
        let calls = self.calls();
        assert_eq!(calls.0.iter().map(summary).collect::<Vec<_>>(), expected);
        calls
    }

    /// No calls at all since the last look.
    #[track_caller]
    pub fn expect_nothing(&mut self) -> &mut Self {
        self.expect([]);
        self
    }
}

fn summary(call: &Invocation) -> String {
    let text = |name: &str| String::from_utf8_lossy(call.variable(name).unwrap_or(b"?")).into_owned();
    let hook_point = call.arguments.iter().next().unwrap().to_str().unwrap();
    let sizes = match hook_point {
        "leases4_committed" => format!("({},{})", text("LEASES4_SIZE"), text("DELETED_LEASES4_SIZE")),
        "leases6_committed" => format!("({},{})", text("LEASES6_SIZE"), text("DELETED_LEASES6_SIZE")),
        _ => String::new(),
    };
    format!("{}: {hook_point}{sizes}", text("OBSERVER_EVENT"))
}

/// Calls in their order.
#[derive(Debug, PartialEq, Eq)]
pub struct Calls(pub Vec<Invocation>);

impl Calls {
    /// The call at this place has these values; `-` is a variable that is not set.
    #[track_caller]
    pub fn has(&self, index: usize, expected: &[(&str, &str)]) -> &Self {
        for (name, value) in expected {
            assert_eq!(self.get(index, name), *value, "{name} of call {index}: {:#?}", self.0[index]);
        }
        self
    }

    /// One value; `-` when it is not set.
    pub fn get(&self, index: usize, name: &str) -> String {
        self.0[index].variable(name).map_or("-".into(), |value| String::from_utf8_lossy(value).into_owned())
    }

    /// The stamp of a call in nanoseconds after the start.
    pub fn at(&self, index: usize) -> i64 {
        self.0[index].at.as_nanos() - START * 1_000_000_000
    }
}
