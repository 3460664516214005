//! DHCPv6 clients and a server, as they write on the wire.

use std::cell::Cell;
use std::net::{Ipv6Addr, SocketAddr};

use crate::story::{Packet, Story};

pub const SERVER_DUID: [u8; 10] = [0, 3, 0, 1, 2, 0xbb, 0, 0, 0, 1];

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

pub type Options = Vec<(u16, Vec<u8>)>;

fn encode(options: &Options) -> Vec<u8> {
    options
        .iter()
        .flat_map(|(code, payload)| {
            let length = u16::try_from(payload.len()).unwrap();
            [&code.to_be_bytes()[..], &length.to_be_bytes(), payload].concat()
        })
        .collect()
}

/// An option inside an IA_NA: an address with its preferred and valid lifetime.
pub fn address(address: &str, preferred: u32, valid: u32) -> (u16, Vec<u8>) {
    (5, [&ip(address).octets()[..], &preferred.to_be_bytes(), &valid.to_be_bytes()].concat())
}

/// An option inside an IA_PD.
pub fn prefix(prefix: &str, length: u8, preferred: u32, valid: u32) -> (u16, Vec<u8>) {
    (26, [&preferred.to_be_bytes()[..], &valid.to_be_bytes(), &[length], &ip(prefix).octets()].concat())
}

/// A status code option.
pub fn status(code: u16) -> (u16, Vec<u8>) {
    (13, code.to_be_bytes().to_vec())
}

/// An IA_NA.
pub fn na(iaid: u32, inside: Options) -> (u16, Vec<u8>) {
    (3, [&iaid.to_be_bytes()[..], &11_u32.to_be_bytes(), &22_u32.to_be_bytes(), &encode(&inside)].concat())
}

/// An IA_PD.
pub fn pd(iaid: u32, inside: Options) -> (u16, Vec<u8>) {
    (25, na(iaid, inside).1)
}

/// Option 39 with a name of these labels.
pub fn fqdn(labels: &[&str]) -> (u16, Vec<u8>) {
    let mut payload = vec![1];
    for label in labels {
        payload.push(u8::try_from(label.len()).unwrap());
        payload.extend(label.as_bytes());
    }
    payload.push(0);
    (39, payload)
}

/// A client: its DUID and from where it speaks.
pub struct Client {
    pub duid: Vec<u8>,
    pub source: Ipv6Addr,
    xid: Cell<u32>,
}

/// The client with this number: DUID-LL of `02:aa:00:00:00:<number>`.
pub fn client(number: u8) -> Client {
    Client {
        duid: vec![0, 3, 0, 1, 2, 0xaa, 0, 0, 0, number],
        source: ip("fe80::ff:fe00:1"),
        xid: Cell::new(u32::from(number) << 16),
    }
}

impl Client {
    pub fn duid(mut self, duid: &[u8]) -> Self {
        self.duid = duid.to_vec();
        self
    }

    pub fn source(mut self, source: &str) -> Self {
        self.source = ip(source);
        self
    }

    fn message(&self, message_type: u8, names_server: bool, options: Options) -> Dhcp6 {
        self.xid.set(self.xid.get() + 1);
        let mut all = vec![(1, self.duid.clone())];
        if names_server {
            all.push((2, SERVER_DUID.to_vec()));
        }
        all.extend(options);
        Dhcp6 {
            message_type,
            xid: self.xid.get(),
            options: all,
            relays: vec![],
            source: SocketAddr::from((self.source, 546)),
            destination: SocketAddr::from((ip("ff02::1:2"), 547)),
        }
    }

    pub fn solicit(&self, options: Options) -> Dhcp6 {
        self.message(1, false, options)
    }

    pub fn request(&self, options: Options) -> Dhcp6 {
        self.message(3, true, options)
    }

    pub fn confirm(&self, options: Options) -> Dhcp6 {
        self.message(4, false, options)
    }

    pub fn renew(&self, options: Options) -> Dhcp6 {
        self.message(5, true, options)
    }

    pub fn rebind(&self, options: Options) -> Dhcp6 {
        self.message(6, false, options)
    }

    pub fn release(&self, options: Options) -> Dhcp6 {
        self.message(8, true, options)
    }

    pub fn decline(&self, options: Options) -> Dhcp6 {
        self.message(9, true, options)
    }

    pub fn information_request(&self, options: Options) -> Dhcp6 {
        self.message(11, false, options)
    }

    /// An ADDR-REG-INFORM (RFC 9686).
    pub fn inform_of_address(&self, options: Options) -> Dhcp6 {
        self.message(36, false, options)
    }
}

/// A relay on the way.
#[derive(Clone, Debug)]
pub struct Relay {
    pub link: Ipv6Addr,
    pub peer: Ipv6Addr,
    pub options: Options,
}

/// A message and its way.
#[derive(Clone, Debug)]
pub struct Dhcp6 {
    pub message_type: u8,
    pub xid: u32,
    pub options: Options,
    /// The relays that the message has passed, the one nearest to the client first.
    pub relays: Vec<Relay>,
    pub source: SocketAddr,
    pub destination: SocketAddr,
}

impl Dhcp6 {
    pub fn with(mut self, option: (u16, Vec<u8>)) -> Self {
        self.options.push(option);
        self
    }

    /// Through one more relay.
    pub fn relayed(mut self, link: &str, options: Options) -> Self {
        let SocketAddr::V6(from) = self.source else { panic!("IPv6, please") };
        self.relays.push(Relay { link: ip(link), peer: *from.ip(), options });
        self.source = SocketAddr::from((ip(link), 547));
        self.destination = SocketAddr::from((ip("2001:db8:ffff::1"), 547));
        self
    }

    fn answer(&self, message_type: u8, options: Options) -> Self {
        let mut all: Options = self.options.iter().filter(|(code, _)| *code == 1).cloned().collect();
        all.push((2, SERVER_DUID.to_vec()));
        all.extend(options);
        Self {
            message_type,
            options: all,
            source: self.destination,
            destination: self.source,
            ..self.clone()
        }
    }

    pub fn advertise(&self, options: Options) -> Self {
        self.answer(2, options)
    }

    pub fn reply(&self, options: Options) -> Self {
        self.answer(7, options)
    }

    /// An ADDR-REG-REPLY, which repeats the address.
    pub fn confirms_address(&self) -> Self {
        let address = self.options.iter().filter(|(code, _)| *code == 5).cloned().collect();
        self.answer(37, address)
    }
}

impl Packet for Dhcp6 {
    fn payload(&self) -> Vec<u8> {
        let [_, xid @ ..] = self.xid.to_be_bytes();
        let mut message = vec![self.message_type];
        message.extend(xid);
        message.extend(encode(&self.options));
        let envelope = if matches!(self.message_type, 2 | 7 | 10 | 37) { 13 } else { 12 };
        for (hops, relay) in self.relays.iter().enumerate() {
            let mut outer = vec![envelope, u8::try_from(hops).unwrap()];
            outer.extend(relay.link.octets());
            outer.extend(relay.peer.octets());
            outer.extend(encode(&relay.options));
            outer.extend(encode(&vec![(9, message)]));
            message = outer;
        }
        message
    }

    fn addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.source, self.destination)
    }

    fn macs(&self) -> ([u8; 6], [u8; 6]) {
        ([2, 0xaa, 0, 0, 0, 9], [0x33, 0x33, 0, 1, 0, 2])
    }
}

impl Story {
    /// A question that the server answers with a Reply.
    pub fn replied(&mut self, query: &Dhcp6, options: Options) -> &mut Self {
        self.asks(query).answers(&query.reply(options))
    }
}
