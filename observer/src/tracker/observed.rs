//! A message with what its datagram told: where it passed, which way, from whom, to whom.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::dissect::VlanTags;
use crate::frame::{Direction, Interface};
use crate::{dhcpv4, dhcpv6};

/// One observed message of either family, shared from the start: it may be kept as a question and stand in several events.
#[derive(Clone, Debug)]
pub enum Observed {
    /// DHCPv4 or BOOTP.
    V4(Arc<Observed4>),
    /// DHCPv6.
    V6(Arc<Observed6>),
}

/// An observed DHCPv4 message.
pub type Observed4 = ObservedMessage<dhcpv4::Message>;
/// An observed DHCPv6 message.
pub type Observed6 = ObservedMessage<dhcpv6::Message>;

/// A message and its circumstances.
#[derive(Clone, Debug)]
pub struct ObservedMessage<M> {
    /// Where it was seen.
    pub interface: Arc<Interface>,
    /// Which way it crossed that interface.
    pub direction: Direction,
    /// VLAN tags, outermost first.
    pub vlans: VlanTags,
    /// The frame's source address, where the link has one.
    pub source_mac: Option<[u8; 6]>,
    /// The frame's destination address, where the link has one.
    pub destination_mac: Option<[u8; 6]>,
    /// IP source and UDP source port.
    pub source: SocketAddr,
    /// IP destination and UDP destination port.
    pub destination: SocketAddr,
    /// The message.
    pub message: M,
}

/// Whose answers make leases: those of the server that we stand beside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answers {
    /// Answers that leave the interface: we stand at the server.
    #[default]
    Out,
    /// Answers that arrive: we stand at a client, or on the host side of a container's server.
    In,
    /// All answers: a mirror port, or a capture file.
    Both,
}

impl Answers {
    /// Whether an answer that went this way counts. A capture that does not know the way is given the benefit of the doubt.
    pub fn answer_counts(self, direction: Direction) -> bool {
        match (self, direction) {
            (Self::Both, _) | (_, Direction::Unknown) => true,
            (Self::Out, direction) => direction == Direction::Out,
            (Self::In, direction) => direction == Direction::In,
        }
    }

    /// Whether a question that went this way is for a server whose answers count.
    pub fn query_counts(self, direction: Direction) -> bool {
        match direction {
            Direction::In => self.answer_counts(Direction::Out),
            Direction::Out => self.answer_counts(Direction::In),
            Direction::Unknown => true,
        }
    }
}
