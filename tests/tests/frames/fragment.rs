//! Frames cut into IP fragments (RFC 791 section 3.2, RFC 8200 section 4.5).

/// Octets of an Ethernet header.
const ETHERNET: usize = 14;

/// The fragments of an untagged frame on a link of this MTU, first one first.
pub fn fragments(frame: &[u8], mtu: usize, identification: u16) -> Vec<Vec<u8>> {
    let (ethernet, packet) = frame.split_at(ETHERNET);
    let is_v4 = packet[0] >> 4 == 4;
    let header = if is_v4 { 20 } else { 40 };
    let (header, payload) = packet.split_at(header);
    let room = (mtu - header.len() - if is_v4 { 0 } else { 8 }) / 8 * 8;
    let pieces = payload.chunks(room).enumerate();
    pieces
        .map(|(place, piece)| {
            let offset = u16::try_from(place * room / 8).unwrap();
            let more = place * room + piece.len() < payload.len();
            let packet = if is_v4 {
                v4(header, piece, identification, offset, more)
            } else {
                v6(header, piece, identification, offset, more)
            };
            [ethernet, &packet].concat()
        })
        .collect()
}

fn v4(header: &[u8], piece: &[u8], identification: u16, offset: u16, more: bool) -> Vec<u8> {
    let mut header = header.to_vec();
    let length = u16::try_from(header.len() + piece.len()).unwrap();
    header[2..4].copy_from_slice(&length.to_be_bytes());
    header[4..6].copy_from_slice(&identification.to_be_bytes());
    header[6..8].copy_from_slice(&(offset | u16::from(more) << 13).to_be_bytes());
    header[10..12].copy_from_slice(&[0, 0]);
    let sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap();
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    [&header, piece].concat()
}

fn v6(header: &[u8], piece: &[u8], identification: u16, offset: u16, more: bool) -> Vec<u8> {
    const FRAGMENT: u8 = 44;
    let mut header = header.to_vec();
    let next = std::mem::replace(&mut header[6], FRAGMENT);
    header[4..6].copy_from_slice(&u16::try_from(8 + piece.len()).unwrap().to_be_bytes());
    let mut extension = vec![next, 0];
    extension.extend((offset << 3 | u16::from(more)).to_be_bytes());
    extension.extend(u32::from(identification).to_be_bytes());
    [&header[..], &extension, piece].concat()
}
