//! Steps of a script.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dhcp_observer::dissect::{Datagram, VlanTag, VlanTags};
use dhcp_observer::frame::{Direction, Interface};
use dhcp_observer::time::Timestamp;
use dhcp_observer::tracker::{Observed, ObservedMessage};
use dhcp_observer::{dhcpv4, dhcpv6};

use super::craft;
use crate::bytes::{Bytes, push_counted};

/// Time passes, then perhaps a message.
pub struct Step {
    pub at: Timestamp,
    pub message: Option<Observed>,
}

/// How much time passes, in milliseconds; behind the last one, until the next deadline.
const PAUSES: [u64; 15] = [
    0,
    0,
    0,
    1,
    500,
    999,
    1_000,
    1_001,
    10_000,
    30_000,
    120_000,
    600_000,
    3_600_000,
    90_000_000,
    // Past the end of 32-bit time.
    4_000_000_000_000,
];
const DIRECTIONS: [Direction; 4] = [Direction::In, Direction::Out, Direction::Unknown, Direction::Out];

impl Step {
    /// Takes off the next step. An octet says which kind it is, which way its message goes and how much time passes.
    pub fn read(input: &mut Bytes<'_>, now: Timestamp, due: Option<Timestamp>) -> Self {
        let how = input.octet();
        let at = match PAUSES.get(usize::from(how >> 4)) {
            Some(pause) => now + Duration::from_millis(*pause),
            None => due.unwrap_or(now).max(now),
        };
        let direction = DIRECTIONS[usize::from(how >> 2) % 4];
        let message = match how % 4 {
            0 => {
                let way = input.octet();
                Some(observed(way, direction, input.counted()))
            }
            1 => {
                let (way, payload) = craft::dhcpv4(input);
                Some(observed(way & !V6, direction, &payload))
            }
            2 => {
                let (way, payload) = craft::dhcpv6(input);
                Some(observed(way | V6, direction, &payload))
            }
            _ => None,
        };
        Self { at, message }
    }
}

const V6: u8 = 1;

/// A payload with an envelope: one bit each for its family, another interface, a VLAN, another sender, broadcast.
fn observed(way: u8, direction: Direction, payload: &[u8]) -> Observed {
    let is = |bit: u8| way & bit != 0;
    let interface = Arc::new(Interface { index: Some(u32::from(way >> 1 & 1)), name: "i0".into() });
    let mut vlans = VlanTags::default();
    let tagged = is(4) && vlans.push(VlanTag { ethertype: 0x8100, tci: 100 });
    let mac = [2, 0, 0, 0, u8::from(tagged), way >> 3 & 1];
    let address =
        |v4: &str, v6: &str| -> SocketAddr { if is(V6) { v6 } else { v4 }.parse().expect("literal") };
    let source = if is(8) {
        address("192.0.2.1:67", "[fe80::1]:547")
    } else {
        address("192.0.2.9:68", "[fe80::9]:546")
    };
    let destination = if is(16) {
        address("255.255.255.255:67", "[ff02::1:2]:547")
    } else {
        address("192.0.2.1:67", "[fe80::1]:547")
    };
    macro_rules! with {
        ($message:expr) => {
            Arc::new(ObservedMessage {
                interface,
                direction,
                vlans,
                source_mac: Some(mac),
                destination_mac: None,
                source,
                destination,
                message: $message,
            })
        };
    }
    if is(V6) {
        Observed::V6(with!(dhcpv6::parse(payload)))
    } else {
        Observed::V4(with!(dhcpv4::parse(payload)))
    }
}

/// The step that shows the message of a datagram.
pub fn encode(datagram: &Datagram<'_>) -> Vec<u8> {
    let direction = DIRECTIONS.iter().position(|direction| *direction == datagram.direction).unwrap_or(0);
    let is_v6 = datagram.source.is_ipv6();
    let from_server = [67, 547].contains(&datagram.source.port());
    let way = u8::from(is_v6) | u8::from(from_server) << 3;
    let mut input = vec![u8::try_from(direction << 2 | 4 << 4).unwrap_or(0), way];
    push_counted(&mut input, &datagram.payload);
    input
}
