//! DHCPv4 as common clients speak it.

use super::Client;
use super::frame::{Path, SERVER_MAC, v4};

const SERVER: [u8; 4] = [10, 255, 0, 1];
const NOWHERE: [u8; 4] = [0; 4];
const EVERYONE: [u8; 4] = [255; 4];
const BROADCAST_MAC: [u8; 6] = [255; 6];
/// BOOTP's smallest message, to which most clients and servers fill up (RFC 1542 section 2.1).
const SMALLEST: usize = 300;

/// What a make of client puts into its messages besides what every client does.
struct Make {
    vendor_class: &'static [u8],
    parameters: &'static [u8],
    /// Whether it says a name, and whether it says it in option 81 too.
    named: bool,
    fqdn: bool,
    identifier: Identifier,
}

enum Identifier {
    None,
    /// Type and hardware address.
    Hardware,
    /// RFC 4361: 255, IAID, DUID-EN.
    Duid,
}

/// Windows, Android, busybox, dhclient, systemd-networkd.
const MAKES: [Make; 5] = [
    Make {
        vendor_class: b"MSFT 5.0",
        parameters: &[1, 3, 6, 15, 31, 33, 43, 44, 46, 47, 119, 121, 249, 252],
        named: true,
        fqdn: true,
        identifier: Identifier::Hardware,
    },
    Make {
        vendor_class: b"android-dhcp-14",
        parameters: &[1, 3, 6, 15, 26, 28, 51, 58, 59, 43, 114, 108],
        named: true,
        fqdn: false,
        identifier: Identifier::Hardware,
    },
    Make {
        vendor_class: b"udhcp 1.36.1",
        parameters: &[1, 3, 6, 12, 15, 28, 42],
        named: false,
        fqdn: false,
        identifier: Identifier::Hardware,
    },
    Make {
        vendor_class: b"",
        parameters: &[1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42],
        named: true,
        fqdn: false,
        identifier: Identifier::None,
    },
    Make {
        vendor_class: b"",
        parameters: &[1, 3, 12, 15, 6, 33, 121, 42, 119, 120],
        named: true,
        fqdn: false,
        identifier: Identifier::Duid,
    },
];

fn address(client: Client) -> [u8; 4] {
    (0x0a00_0100_u32 + client.number).to_be_bytes()
}

fn option(message: &mut Vec<u8>, code: u8, value: &[u8]) {
    message.extend([code, value.len() as u8]);
    message.extend(value);
}

pub(super) fn frame(client: Client, step: u32) -> Vec<u8> {
    let make = &MAKES[client.choose(10, MAKES.len() as u64) as usize];
    let (answer, renews) = (step % 2 == 1, step >= 4);
    let kind = match step {
        0 => 1,
        1 => 2,
        _ if answer => 5,
        _ => 3,
    };
    let address = address(client);
    // Renewals go straight to the server, past the relay.
    let relayed = !renews && client.choose(11, 10) < 3;
    let [a, b, c, _] = address;
    let relay = if relayed { [a, b, c & 0xf0, 1] } else { NOWHERE };

    let mut message = vec![if answer { 2 } else { 1 }, 1, 6, u8::from(relayed)];
    message.extend(client.transaction(step).to_be_bytes());
    message.extend([0, (step as u8) % 3, 0, 0]);
    message.extend(if renews { address } else { NOWHERE });
    message.extend(if answer { address } else { NOWHERE });
    message.extend(NOWHERE);
    message.extend(relay);
    message.extend(client.mac());
    message.resize(236, 0);
    message.extend([99, 130, 83, 99]);
    option(&mut message, 53, &[kind]);
    let name = format!("client-{:06x}", client.number);
    if answer {
        answered(&mut message, make, &name);
    } else {
        asked(&mut message, client, make, &name, step);
    }
    if relayed {
        let circuit = format!("\x01\x0fge-0/0/{:02}.{:04}\x02\x06", client.number % 48, client.number % 4096);
        option(&mut message, 82, &[circuit.as_bytes(), &client.mac()].concat());
    }
    message.push(255);
    message.resize(message.len().max(SMALLEST), 0);

    let (here, there) = if relayed {
        ((SERVER_MAC, relay, 67), (SERVER_MAC, SERVER, 67))
    } else if renews || answer {
        ((client.mac(), address, 68), (SERVER_MAC, SERVER, 67))
    } else {
        ((client.mac(), NOWHERE, 68), (BROADCAST_MAC, EVERYONE, 67))
    };
    let path = if answer { Path { from: there, to: here } } else { Path { from: here, to: there } };
    v4(&path, &message)
}

fn asked(message: &mut Vec<u8>, client: Client, make: &Make, name: &str, step: u32) {
    let mac = client.mac();
    match make.identifier {
        Identifier::None => {}
        Identifier::Hardware => option(message, 61, &[&[1][..], &mac].concat()),
        Identifier::Duid => {
            let duid = [&[255][..], &mac[2..], &[0, 2, 0, 0, 0xab, 0x11], &mac, &mac[..2]].concat();
            option(message, 61, &duid);
        }
    }
    if step == 2 {
        option(message, 50, &address(client));
        option(message, 54, &SERVER);
    }
    option(message, 57, &1500_u16.to_be_bytes());
    if make.named {
        option(message, 12, name.as_bytes());
    }
    if make.fqdn && step > 0 {
        option(message, 81, &[&[0, 0, 0][..], name.as_bytes()].concat());
    }
    if !make.vendor_class.is_empty() {
        option(message, 60, make.vendor_class);
    }
    option(message, 55, make.parameters);
}

fn answered(message: &mut Vec<u8>, make: &Make, name: &str) {
    option(message, 54, &SERVER);
    for (code, seconds) in [(51, 3_600_u32), (58, 1_800), (59, 3_150)] {
        option(message, code, &seconds.to_be_bytes());
    }
    option(message, 1, &[255, 255, 240, 0]);
    option(message, 3, &[10, 255, 0, 1]);
    option(message, 6, &[10, 255, 0, 2, 10, 255, 0, 3]);
    option(message, 15, b"corp.example.org");
    if make.fqdn {
        option(message, 81, &[&[0, 255, 255][..], name.as_bytes(), b".corp.example.org"].concat());
    } else if make.named {
        option(message, 12, name.as_bytes());
    }
}
