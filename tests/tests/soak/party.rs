//! The two sides of a conversation, frame by frame, for any number of clients.

use std::net::Ipv4Addr;

use observer_tests::client::datagram::frame;
use observer_tests::client::message4::{Kind, Message4, option};
use observer_tests::link::Link;

/// The server's address.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// A client of this number, whose address is 10.0.0.0 plus the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    pub number: u32,
    /// The server's hardware address.
    server: [u8; 6],
}

impl Party {
    pub fn new(number: u32, server: &Link) -> Self {
        assert!(number < 1 << 24);
        Self { number, server: server.mac }
    }

    pub fn address(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + self.number)
    }

    fn mac(&self) -> [u8; 6] {
        let [_, a, b, c] = self.number.to_be_bytes();
        [0x02, 0xcc, 0xdd, a, b, c]
    }

    /// A DISCOVER, or a REQUEST for what was offered.
    pub fn ask(&self, kind: Kind, xid: u32) -> Message4 {
        let query = Message4::query(kind, xid, self.mac());
        if kind == Kind::Discover {
            return query;
        }
        let query = query.with(option::REQUESTED_ADDRESS, self.address().octets());
        query.with(option::SERVER_ID, SERVER.octets())
    }

    /// A REQUEST that renews, or a RELEASE.
    pub fn ask_from_address(&self, kind: Kind, xid: u32) -> Message4 {
        let mut query = Message4::query(kind, xid, self.mac());
        query.ciaddr = self.address();
        if kind == Kind::Release { query.with(option::SERVER_ID, SERVER.octets()) } else { query }
    }

    /// An OFFER or an ACK.
    pub fn answer(&self, kind: Kind, xid: u32, lifetime: u32) -> Message4 {
        let mut answer = Message4::query(kind, xid, self.mac());
        answer.op = 2;
        answer.yiaddr = self.address();
        answer.with(option::LEASE_TIME, lifetime.to_be_bytes()).with(option::SERVER_ID, SERVER.octets())
    }

    /// As the client sends it.
    pub fn by_client(&self, message: &Message4) -> Vec<u8> {
        let (to_mac, to) = match message.ciaddr.is_unspecified() {
            true => ([0xff; 6], Ipv4Addr::BROADCAST),
            false => (self.server, SERVER),
        };
        frame(message, (self.mac(), message.ciaddr, 68), (to_mac, to, 67))
    }

    /// As the server sends it.
    pub fn by_server(&self, message: &Message4) -> Vec<u8> {
        frame(message, (self.server, SERVER, 67), (self.mac(), self.address(), 68))
    }
}
