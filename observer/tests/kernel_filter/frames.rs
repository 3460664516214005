//! Frames made by hand, header by header, so that a test says what is unusual about its frame and nothing else.

pub const CLIENT: [u8; 6] = [0x02, 0, 0, 0, 0, 0x0c];
pub const SERVER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x05];

pub const IPV4: u16 = 0x0800;
pub const IPV6: u16 = 0x86dd;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;

/// An Ethernet frame with the given VLAN tags, outermost first, as (EtherType, tag control information).
pub fn ethernet(tags: &[(u16, u16)], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [SERVER, CLIENT].concat();
    for (ethertype, tci) in tags {
        frame.extend(ethertype.to_be_bytes());
        frame.extend(tci.to_be_bytes());
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A UDP datagram.
pub fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
    let mut datagram = Vec::new();
    for field in [source, destination, length, 0] {
        datagram.extend(field.to_be_bytes());
    }
    datagram.extend(payload);
    datagram
}

/// An IPv4 header and what to put in it.
#[derive(Clone, Copy)]
pub struct V4<'a> {
    pub protocol: u8,
    pub identification: u16,
    pub more_fragments: bool,
    /// In units of eight octets.
    pub offset: u16,
    pub options: &'a [u8],
}

impl Default for V4<'_> {
    fn default() -> Self {
        Self { protocol: UDP, identification: 0x1234, more_fragments: false, offset: 0, options: &[] }
    }
}

impl V4<'_> {
    /// The packet: this header, then the payload.
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let words = u8::try_from((20 + self.options.len()) / 4).unwrap_or(15);
        let total = u16::try_from(20 + self.options.len() + payload.len()).unwrap_or(u16::MAX);
        let mut packet = vec![0x40 | words, 0];
        packet.extend(total.to_be_bytes());
        packet.extend(self.identification.to_be_bytes());
        packet.extend((u16::from(self.more_fragments) << 13 | self.offset).to_be_bytes());
        packet.extend([64, self.protocol, 0, 0]);
        packet.extend([10, 0, 0, 12]);
        packet.extend([10, 0, 0, 5]);
        packet.extend(self.options);
        packet.extend(payload);
        packet
    }

    /// The packet in an Ethernet frame.
    pub fn frame(&self, payload: &[u8]) -> Vec<u8> {
        ethernet(&[], IPV4, &self.packet(payload))
    }
}

/// An IPv6 packet whose fixed header announces `next_header`.
pub fn v6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
    packet.extend([next_header, 64]);
    packet.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0c]);
    packet.extend([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2]);
    packet.extend(payload);
    packet
}

/// An IPv6 packet in an Ethernet frame.
pub fn v6_frame(next_header: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(&[], IPV6, &v6(next_header, payload))
}

/// One IPv6 extension header in front of what it announces.
pub fn extension(kind: u8, next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = match kind {
        // An authentication header of 24 octets: its length field counts words and leaves out two.
        51 => [&[next_header, 4][..], &[0; 22]].concat(),
        // Sixteen octets: its length field counts units of eight and leaves out the first.
        _ => [&[next_header, 1][..], &[0; 14]].concat(),
    };
    octets.extend(payload);
    octets
}

/// An IPv6 fragment header in front of what it carries; the offset is in units of eight octets.
pub fn fragment(next_header: u8, offset: u16, more: bool, identification: u32, payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![next_header, 0];
    octets.extend((offset << 3 | u16::from(more)).to_be_bytes());
    octets.extend(identification.to_be_bytes());
    octets.extend(payload);
    octets
}

/// A DHCPv4 message from client to server as far as a filter cares: a whole frame with ports and some octets.
pub fn dhcpv4() -> Vec<u8> {
    V4::default().frame(&udp(68, 67, &[1; 240]))
}

/// The same for DHCPv6.
pub fn dhcpv6() -> Vec<u8> {
    v6_frame(UDP, &udp(546, 547, &[1; 60]))
}
