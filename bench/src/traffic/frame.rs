//! Headers around a message.

use etherparse::PacketBuilder;

/// The server's hardware address; also the router's, behind which the relays are.
pub const SERVER_MAC: [u8; 6] = [0x02, 0x5e, 0, 0, 0, 1];
const HOPS: u8 = 64;

/// Who sends to whom: hardware address, IP address, UDP port.
pub struct Path<A> {
    /// The sender.
    pub from: ([u8; 6], A, u16),
    /// The receiver.
    pub to: ([u8; 6], A, u16),
}

/// A DHCPv4 message in its frame.
pub fn v4(path: &Path<[u8; 4]>, message: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(path.from.0, path.to.0)
        .ipv4(path.from.1, path.to.1, HOPS)
        .udp(path.from.2, path.to.2);
    let mut frame = Vec::with_capacity(builder.size(message.len()));
    // Writing to a vector cannot fail, and no message here is longer than a datagram.
    let _ = builder.write(&mut frame, message);
    frame
}

/// A DHCPv6 message in its frame.
pub fn v6(path: &Path<[u8; 16]>, message: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(path.from.0, path.to.0)
        .ipv6(path.from.1, path.to.1, HOPS)
        .udp(path.from.2, path.to.2);
    let mut frame = Vec::with_capacity(builder.size(message.len()));
    // As above.
    let _ = builder.write(&mut frame, message);
    frame
}
