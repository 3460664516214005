//! Tests of dissection: frames are made by etherparse's builder or by hand.

mod corpus;
mod duplicates;
mod fragments;
mod hostile;
mod plain;

use std::sync::Arc;

use etherparse::PacketBuilder;

use super::*;
use crate::frame::{Direction, Interface, LinkType};
use crate::time::Timestamp;

const CLIENT: MacAddress = [2, 0, 0, 0, 0, 2];
const SERVER: MacAddress = [2, 0, 0, 0, 0, 1];
const PAYLOAD: &[u8] = b"the payload of a DHCP message";

fn interface(name: &str) -> Arc<Interface> {
    Arc::new(Interface { index: None, name: name.to_owned() })
}

/// A frame on `on` at a number of milliseconds.
fn frame<'a>(on: &'a Arc<Interface>, milliseconds: i64, link_type: LinkType, bytes: &'a [u8]) -> Frame<'a> {
    Frame {
        at: Timestamp::from_nanos(milliseconds * 1_000_000),
        interface: on,
        direction: Direction::In,
        link_type,
        metadata_tag: None,
        bytes,
        wire_length: bytes.len(),
    }
}

/// One frame through a fresh dissector.
fn dissect(link_type: LinkType, bytes: &[u8]) -> Result<Datagram<'static>, Skip> {
    let on = interface("eth0");
    let mut dissector = Dissector::default();
    let outcome = dissector.dissect(&frame(&on, 0, link_type, bytes));
    assert_eq!(dissector.frames(), 1);
    outcome.map(|datagram| Datagram { payload: Cow::Owned(datagram.payload.into_owned()), ..datagram })
}

fn udp4(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4([192, 0, 2, 9], [192, 0, 2, 1], 64)
        .udp(source, destination)
        .write(&mut bytes, payload)
        .unwrap();
    bytes
}

fn udp6(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let address = |last| [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    PacketBuilder::ipv6(address(9), address(1), 64)
        .udp(source, destination)
        .write(&mut bytes, payload)
        .unwrap();
    bytes
}

/// An Ethernet header, tags (EtherType, TCI) and an IP packet.
fn ethernet(tags: &[(u16, u16)], ethertype: u16, packet: &[u8]) -> Vec<u8> {
    let mut bytes = [SERVER, CLIENT].concat();
    for (tag, tci) in tags {
        bytes.extend(tag.to_be_bytes());
        bytes.extend(tci.to_be_bytes());
    }
    bytes.extend(ethertype.to_be_bytes());
    bytes.extend(packet);
    bytes
}

fn ethernet4(packet: &[u8]) -> Vec<u8> {
    ethernet(&[], 0x0800, packet)
}

/// A sequence of numbers that is the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
