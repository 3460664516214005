//! Messages that are well formed, made of a few octets: a handful of clients, addresses, servers, and transactions.

use crate::bytes::Bytes;

const LIFETIMES: [u32; 8] = [0, 1, 30, 60, 600, 3_600, 86_400, u32::MAX];
const ADDRESSES: [[u8; 4]; 8] = [
    [192, 0, 2, 10],
    [192, 0, 2, 11],
    [192, 0, 2, 12],
    [198, 51, 100, 10],
    [198, 51, 100, 11],
    [203, 0, 113, 1],
    [0, 0, 0, 0],
    [255, 255, 255, 255],
];

fn bit(octet: u8, bit: u8) -> bool {
    octet >> bit & 1 != 0
}

/// Envelope and payload of a DHCPv4 message.
pub fn dhcpv4(input: &mut Bytes<'_>) -> (u8, Vec<u8>) {
    let [way, kind, who, what, more] = [(); 5].map(|()| input.octet());
    let kind = kind % 10;
    let is_answer = matches!(kind, 2 | 5 | 6 | 9);
    let client = who & 7;
    let mut payload = vec![0; 236];
    payload[0] = if is_answer { 2 } else { 1 };
    payload[1] = 1;
    payload[2] = if client == 7 { 0 } else { 6 };
    payload[7] = who >> 3 & 3;
    payload[28..34].copy_from_slice(&[2, 0, 0, 0, 0, client]);
    let address = ADDRESSES[usize::from(what & 7)];
    let lifetime = LIFETIMES[usize::from(what >> 3 & 7)];
    if is_answer {
        payload[16..20].copy_from_slice(&address);
    } else if bit(what, 6) {
        payload[12..16].copy_from_slice(&address);
    }
    if bit(more, 0) {
        payload[24..28].copy_from_slice(&[203, 0, 113, 254]);
    }
    payload.extend([99, 130, 83, 99]);
    let mut option = |code: u8, value: &[u8]| {
        payload.extend([code, value.len() as u8]);
        payload.extend(value);
    };
    if (1..9).contains(&kind) {
        option(53, &[kind]);
    }
    if is_answer && kind != 9 {
        option(51, &lifetime.to_be_bytes());
    }
    if is_answer && bit(more, 1) {
        option(1, &[255, 255, 255, 0]);
    }
    if !is_answer && !bit(what, 6) {
        option(50, &address);
    }
    if bit(who, 5) {
        option(61, &[1, who >> 6]);
    }
    if bit(more, 2) {
        option(54, &[192, 0, 2, 1 + (more >> 7)]);
    }
    if bit(more, 3) {
        option(12, if bit(more, 4) { b"one" } else { b"h-192-0-2-10" });
    }
    if bit(more, 5) {
        option(82, &[1, 2, b'p', b'0' + client, 2, 1, b'r']);
    }
    if bit(more, 6) {
        option(80, &[]);
    }
    payload.push(255);
    (way, payload)
}

fn push_option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend(code.to_be_bytes());
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value);
}

/// Envelope and payload of a DHCPv6 message.
pub fn dhcpv6(input: &mut Bytes<'_>) -> (u8, Vec<u8>) {
    const KINDS: [u8; 12] = [1, 3, 5, 6, 7, 7, 7, 8, 9, 36, 37, 4];
    let [way, kind, who, what] = [(); 4].map(|()| input.octet());
    let kind = KINDS[usize::from(kind) % KINDS.len()];
    let mut message = vec![kind, 0, 0, who >> 3 & 3];
    if who & 7 != 7 {
        push_option(&mut message, 1, &[0, 3, 0, 1, 2, 0, 0, 0, 0, who & 7]);
    }
    if bit(who, 5) {
        push_option(&mut message, 2, &[0, 3, 0, 1, 2, 0, 0, 0, 1, who >> 6]);
    }
    if bit(what, 0) {
        push_option(&mut message, 14, &[]);
    }
    if bit(what, 1) {
        push_option(&mut message, 39, &[1, 3, b'o', b'n', b'e', 0]);
    }
    if bit(what, 2) {
        push_option(&mut message, 5, &address(input));
    }
    for _ in 0..what >> 4 & 3 {
        let association = input.octet();
        let code = [3, 25, 3, 4][usize::from(association) % 4];
        let mut value = vec![0, 0, 0, association >> 2 & 1];
        if code != 4 {
            value.extend([0; 8]);
        }
        for _ in 0..association >> 3 & 3 {
            match code {
                25 => push_option(&mut value, 26, &prefix(input)),
                _ => push_option(&mut value, 5, &address(input)),
            }
        }
        if bit(association, 5) {
            push_option(&mut value, 13, &[0, association >> 6]);
        }
        push_option(&mut message, code, &value);
    }
    for hop in 0..what >> 6 {
        let is_answer = matches!(kind, 7 | 37);
        let mut envelope = vec![if is_answer { 13 } else { 12 }, hop];
        envelope.extend([0x20; 16]);
        envelope.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, hop]);
        push_option(&mut envelope, 18, b"eth");
        push_option(&mut envelope, 9, &message);
        message = envelope;
    }
    (way, message)
}

fn lifetimes(what: u8) -> [u8; 8] {
    let valid = LIFETIMES[usize::from(what >> 3 & 7)];
    let mut lifetimes = [0; 8];
    lifetimes[..4].copy_from_slice(&(valid / 2).to_be_bytes());
    lifetimes[4..].copy_from_slice(&valid.to_be_bytes());
    lifetimes
}

fn address(input: &mut Bytes<'_>) -> Vec<u8> {
    let what = input.octet();
    let network = what >> 6;
    [&[0x20, 1, 0xd, 0xb8, 0, 0, 0, network, 0, 0, 0, 0, 0, 0, 0, what & 7][..], &lifetimes(what)].concat()
}

fn prefix(input: &mut Bytes<'_>) -> Vec<u8> {
    let what = input.octet();
    let prefix = [0x20, 1, 0xd, 0xb8, 0xf0, what & 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    [&lifetimes(what)[..], &[56], &prefix].concat()
}
