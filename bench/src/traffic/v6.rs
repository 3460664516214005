//! DHCPv6 as hosts and home routers speak it.

use super::Client;
use super::frame::{Path, SERVER_MAC, v6};

const SERVER: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x5e, 0, 0xff, 0xfe, 0, 0, 1];
const SERVERS: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2];
const SERVERS_MAC: [u8; 6] = [0x33, 0x33, 0, 1, 0, 2];
/// 2001:db8::/32.
const NETWORK: [u8; 4] = [0x20, 1, 0x0d, 0xb8];
const SERVER_DUID: [u8; 14] = [0, 1, 0, 1, 0x2c, 0x6f, 0x10, 0x20, 2, 0x5e, 0, 0, 0, 1];

fn option(message: &mut Vec<u8>, code: u16, value: &[u8]) {
    message.extend(code.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend(value);
}

fn link_local(mac: [u8; 6]) -> [u8; 16] {
    let [a, b, c, d, e, f] = mac;
    [0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f]
}

pub(super) fn frame(client: Client, step: u32) -> Vec<u8> {
    let answer = step % 2 == 1;
    let kind = match step {
        0 => 1,
        1 => 2,
        2 => 3,
        _ if answer => 7,
        _ => 5,
    };
    let mac = client.mac();
    let mut message = vec![kind];
    message.extend(&client.transaction(step).to_be_bytes()[1..]);
    option(&mut message, 1, &[&[0, 1, 0, 1, 0x2a, 0x11, 0x22, 0x33][..], &mac].concat());
    if step > 0 {
        option(&mut message, 2, &SERVER_DUID);
    }
    associations(&mut message, client, step);
    let label = format!("\x0dclient-{:06x}", client.number);
    if answer {
        option(&mut message, 23, &[NETWORK.as_slice(), &[0; 11], &[0x53]].concat());
        option(&mut message, 24, b"\x04corp\x07example\x03org\x00");
        option(&mut message, 39, &[b"\x00", label.as_bytes(), b"\x04corp\x07example\x03org\x00"].concat());
    } else {
        option(&mut message, 8, &[0, step as u8]);
        option(&mut message, 6, &[0, 23, 0, 24, 0, 39, 0, 82, 0, 83]);
        option(&mut message, 39, &[b"\x01", label.as_bytes()].concat());
        option(&mut message, 16, b"\x00\x00\x01\x37\x00\x08MSFT 5.0");
    }
    let here = link_local(mac);
    if client.choose(20, 10) < 2 {
        return relayed(client, answer, here, &message);
    }
    let path = if answer {
        Path { from: (SERVER_MAC, SERVER, 547), to: (mac, here, 546) }
    } else {
        Path { from: (mac, here, 546), to: (SERVERS_MAC, SERVERS, 547) }
    };
    v6(&path, &message)
}

/// One address for everybody; a prefix for home routers, who are three of ten.
fn associations(message: &mut Vec<u8>, client: Client, step: u32) {
    let number = client.number.to_be_bytes();
    let times = [1_800_u32, 2_880].map(u32::to_be_bytes).concat();
    let lifetimes = [3_000_u32, 3_600].map(u32::to_be_bytes).concat();
    let mut association = [&number[..], &times].concat();
    if step > 0 {
        let address = [&NETWORK[..], &[0, 1, 0, 0, 0, 0, 0, 0], &number].concat();
        option(&mut association, 5, &[address, lifetimes.clone()].concat());
    }
    option(message, 3, &association);
    if client.choose(21, 10) < 3 {
        let mut association = [&number[..], &times].concat();
        if step > 0 {
            let [a, b, c, d] = number;
            let prefix = [&NETWORK[..], &[0x80 | a, b, c, d], &[0; 8]].concat();
            option(&mut association, 26, &[lifetimes, vec![64], prefix].concat());
        }
        option(message, 25, &association);
    }
}

/// Between a relay and the server.
fn relayed(client: Client, answer: bool, here: [u8; 16], message: &[u8]) -> Vec<u8> {
    let relay = [NETWORK.as_slice(), &[0, 1], &[0; 9], &[1]].concat();
    let mut envelope = vec![if answer { 13 } else { 12 }, 0];
    envelope.extend(&relay);
    envelope.extend(here);
    option(
        &mut envelope,
        18,
        format!("ge-0/0/{:02}.{:04}", client.number % 48, client.number % 4096).as_bytes(),
    );
    if !answer {
        option(&mut envelope, 37, &[&[0, 0, 0x0a, 0x4c][..], &client.mac()].concat());
    }
    option(&mut envelope, 9, message);
    let mut address = [0; 16];
    address.copy_from_slice(&relay);
    let (near, far) = ((SERVER_MAC, SERVER, 547), (SERVER_MAC, address, 547));
    v6(&if answer { Path { from: near, to: far } } else { Path { from: far, to: near } }, &envelope)
}
