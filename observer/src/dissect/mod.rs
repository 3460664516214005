//! From a frame to a datagram: everything below UDP, and nothing above it.
//!
//! [`Dissector::dissect`] is total. Whatever the bytes are, a frame becomes one [`Datagram`] or is skipped for one named
//! reason, so that frames read always equal datagrams plus skips. Checksums are never verified: a frame that leaves
//! the host does not have them yet.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unreachable
    )
)]

mod datagram;
mod duplicate;
mod fragment;
mod link;
mod network;
mod skip;
#[cfg(test)]
mod tests;
mod transport;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

pub use datagram::{Datagram, MacAddress, VlanTag, VlanTags};
pub use duplicate::{DuplicateCounts, DuplicateLimits, Duplicates};
pub use fragment::{FragmentCounts, FragmentLimits, FragmentsWaiting};
pub use skip::{Skip, SkipCounts};

use crate::frame::Frame;
use fragment::{Fragments, Whole};
use network::{Content, Fragment, Packet};

/// Takes frames apart down to the UDP payload, and puts fragments together.
#[derive(Debug, Default)]
pub struct Dissector {
    fragments: Fragments,
    skips: SkipCounts,
    datagrams: u64,
}

impl Dissector {
    /// A dissector whose table of unfinished datagrams has these limits.
    pub fn new(limits: FragmentLimits) -> Self {
        Self { fragments: Fragments::new(limits), ..Self::default() }
    }

    /// The datagram of a DHCP message that this frame carries or completes, or why there is none.
    ///
    /// Fragments wait in a bounded table for the rest of their datagram; time there is the time of frames.
    #[inline]
    pub fn dissect<'a>(&mut self, frame: &Frame<'a>) -> Result<Datagram<'a>, Skip> {
        let outcome = self.take_apart(frame);
        match &outcome {
            Ok(_) => self.datagrams += 1,
            Err(reason) => self.skips.count(*reason),
        }
        outcome
    }

    /// Counts a record that did not become a frame because its link type is not supported.
    pub fn skip_unsupported_link(&mut self) {
        self.skips.count(Skip::UnsupportedLink);
    }

    /// Datagrams handed out.
    pub fn datagrams(&self) -> u64 {
        self.datagrams
    }

    /// Frames skipped, by reason.
    pub fn skips(&self) -> &SkipCounts {
        &self.skips
    }

    /// What became of fragmented datagrams.
    pub fn fragments(&self) -> FragmentCounts {
        self.fragments.counts()
    }

    /// The unfinished datagrams of now.
    pub fn fragments_waiting(&self) -> FragmentsWaiting {
        self.fragments.waiting()
    }

    /// Frames that went in: every one was handed out or skipped.
    pub fn frames(&self) -> u64 {
        self.datagrams + self.skips.total()
    }

    #[inline]
    fn take_apart<'a>(&mut self, frame: &Frame<'a>) -> Result<Datagram<'a>, Skip> {
        self.fragments.expire(frame.at);
        let link = link::dissect(frame)?;
        let packet = network::dissect(link.network, frame)?;
        match packet.content {
            Content::Whole { bytes, truncated } => {
                let udp = transport::dissect(bytes, packet.source.is_ipv4(), truncated)?;
                Ok(Datagram {
                    at: frame.at,
                    interface: Arc::clone(frame.interface),
                    direction: frame.direction,
                    vlans: link.vlans,
                    source_mac: link.source,
                    destination_mac: link.destination,
                    source: SocketAddr::new(packet.source, udp.source),
                    destination: SocketAddr::new(packet.destination, udp.destination),
                    payload: Cow::Borrowed(udp.payload),
                    truncated: udp.truncated,
                    reassembled: false,
                })
            }
            Content::Fragment(ref fragment) => self.take_fragment(frame, &link, &packet, fragment),
        }
    }

    #[cold]
    fn take_fragment<'a>(
        &mut self,
        frame: &Frame<'a>,
        link: &link::Link<'a>,
        packet: &Packet<'a>,
        fragment: &Fragment<'a>,
    ) -> Result<Datagram<'a>, Skip> {
        let Whole { protocol, mut bytes, source_mac, destination_mac } =
            self.fragments.take(frame, link, packet, fragment)?;
        // Extension headers that follow the fragment header were fragmented with the rest.
        let whole = network::upper(protocol, &bytes)?;
        let udp = transport::dissect(whole, packet.source.is_ipv4(), false)?;
        let (source, destination) = (udp.source, udp.destination);
        // The payload ends where UDP says, which may be before the end, and begins after the headers.
        let (length, truncated) = (udp.payload.len(), udp.truncated);
        let start = bytes.len() - whole.len() + transport::HEADER;
        bytes.truncate(start + length);
        bytes.drain(..start.min(bytes.len()));
        Ok(Datagram {
            at: frame.at,
            interface: Arc::clone(frame.interface),
            direction: frame.direction,
            vlans: link.vlans,
            source_mac,
            destination_mac,
            source: SocketAddr::new(packet.source, source),
            destination: SocketAddr::new(packet.destination, destination),
            payload: Cow::Owned(bytes),
            truncated,
            reassembled: true,
        })
    }
}
