//! A UDP datagram in an Ethernet frame.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail};
use etherparse::{LinkSlice, NetSlice, PacketBuilder, SlicedPacket, TransportSlice};

use super::message4::Message4;

/// A UDP datagram with the addresses of all layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The Ethernet source.
    pub from_mac: [u8; 6],
    /// The Ethernet destination.
    pub to_mac: [u8; 6],
    /// The IP source and UDP source port.
    pub from: SocketAddr,
    /// The IP destination and UDP destination port.
    pub to: SocketAddr,
    /// What the datagram carries.
    pub payload: Vec<u8>,
}

impl Datagram {
    /// The frame's bytes, with correct lengths and checksums.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let ethernet = PacketBuilder::ethernet2(self.from_mac, self.to_mac);
        let ip = match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), 64),
            (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), 64),
            (from, to) => bail!("{from} and {to} are not of one family"),
        };
        let udp = ip.udp(self.from.port(), self.to.port());
        let mut bytes = Vec::with_capacity(udp.size(self.payload.len()));
        udp.write(&mut bytes, &self.payload).context("cannot build a datagram")?;
        Ok(bytes)
    }

    /// Reads an untagged Ethernet frame; `None` when it carries no whole UDP datagram.
    pub fn decode(frame: &[u8]) -> Option<Self> {
        let packet = SlicedPacket::from_ethernet(frame).ok()?;
        let Some(LinkSlice::Ethernet2(ethernet)) = packet.link else { return None };
        let (from, to): (IpAddr, IpAddr) = match packet.net? {
            NetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
            NetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
            NetSlice::Arp(_) => return None,
        };
        let Some(TransportSlice::Udp(udp)) = packet.transport else { return None };
        Some(Self {
            from_mac: ethernet.source(),
            to_mac: ethernet.destination(),
            from: SocketAddr::new(from, udp.source_port()),
            to: SocketAddr::new(to, udp.destination_port()),
            payload: udp.payload().to_vec(),
        })
    }
}

/// Where a frame comes from or goes to: hardware address, address and port.
pub type Station = ([u8; 6], Ipv4Addr, u16);

/// A DHCPv4 message as a frame from one station to another.
pub fn frame(message: &Message4, from: Station, to: Station) -> Vec<u8> {
    let datagram = Datagram {
        from_mac: from.0,
        to_mac: to.0,
        from: SocketAddr::from((from.1, from.2)),
        to: SocketAddr::from((to.1, to.2)),
        payload: message.encode(),
    };
    datagram.encode().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (from, to) in [("192.0.2.100:68", "255.255.255.255:67"), ("[fe80::1]:546", "[ff02::1:2]:547")] {
            let datagram = Datagram {
                from_mac: [2, 0, 0, 0, 0, 9],
                to_mac: [0xff; 6],
                from: from.parse().unwrap(),
                to: to.parse().unwrap(),
                payload: vec![1, 2, 3],
            };
            assert_eq!(Datagram::decode(&datagram.encode().unwrap()), Some(datagram));
        }
    }
}
