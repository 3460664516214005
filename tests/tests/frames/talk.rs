//! Both sides of a DHCPv4 conversation, frame by frame.

use std::net::Ipv4Addr;

use observer_tests::client::client_mac;
use observer_tests::client::datagram::frame;
use observer_tests::client::message4::{Kind, Message4, option};

/// The server's address.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Vendor-specific information, for messages that are to be large.
const VENDOR: u8 = 43;

/// A client, the address that it gets, and the transaction that it is in.
pub struct Talk {
    pub address: Ipv4Addr,
    client: [u8; 6],
    server: [u8; 6],
    xid: u32,
    /// Octets of vendor-specific information in every message.
    pub padding: usize,
}

impl Talk {
    /// The client of this number with the server at this hardware address. Its address is 192.0.2.NUMBER.
    pub fn new(number: u8, server: [u8; 6]) -> Self {
        let address = Ipv4Addr::new(192, 0, 2, number);
        Self { address, client: client_mac(number), server, xid: u32::from(number) << 16, padding: 0 }
    }

    /// A question that begins a transaction.
    fn query(&mut self, kind: Kind) -> Message4 {
        self.xid += 1;
        self.padded(Message4::query(kind, self.xid, self.client))
    }

    fn padded(&self, mut message: Message4) -> Message4 {
        for at in (0..self.padding).step_by(255) {
            message = message.with(VENDOR, vec![0x41; (self.padding - at).min(255)]);
        }
        message
    }

    fn answer(&self, kind: Kind) -> Message4 {
        let mut answer = Message4::query(kind, self.xid, self.client);
        answer.op = 2;
        answer.yiaddr = self.address;
        let answer = answer.with(option::LEASE_TIME, 600_u32.to_be_bytes());
        self.padded(answer.with(option::SERVER_ID, SERVER.octets()).with(1, [255, 255, 255, 0]))
    }

    pub fn discover(&mut self) -> Message4 {
        self.query(Kind::Discover)
    }

    pub fn offer(&self) -> Message4 {
        self.answer(Kind::Offer)
    }

    /// The request for what was offered, in the same transaction.
    pub fn request(&self) -> Message4 {
        let request = self.padded(Message4::query(Kind::Request, self.xid, self.client));
        request
            .with(option::REQUESTED_ADDRESS, self.address.octets())
            .with(option::SERVER_ID, SERVER.octets())
    }

    pub fn ack(&self) -> Message4 {
        self.answer(Kind::Ack)
    }

    pub fn renew(&mut self) -> Message4 {
        let mut query = self.query(Kind::Request);
        query.ciaddr = self.address;
        query
    }

    pub fn release(&mut self) -> Message4 {
        let mut query = self.query(Kind::Release).with(option::SERVER_ID, SERVER.octets());
        query.ciaddr = self.address;
        query
    }

    /// From the client: broadcast, or unicast once it has its address.
    pub fn by_client(&self, message: &Message4) -> Vec<u8> {
        let (to_mac, to) = match message.ciaddr.is_unspecified() {
            true => ([0xff; 6], Ipv4Addr::BROADCAST),
            false => (self.server, SERVER),
        };
        frame(message, (self.client, message.ciaddr, 68), (to_mac, to, 67))
    }

    /// From the server to the client.
    pub fn by_server(&self, message: &Message4) -> Vec<u8> {
        frame(message, (self.server, SERVER, 67), (self.client, self.address, 68))
    }

    /// From the relay at this address to the server, as the relay changes it.
    pub fn by_relay(&self, message: &Message4, relay: ([u8; 6], Ipv4Addr)) -> (Message4, Vec<u8>) {
        let mut message = message.clone();
        (message.giaddr, message.hops) = (relay.1, 1);
        let bytes = frame(&message, (relay.0, relay.1, 67), (self.server, SERVER, 67));
        (message, bytes)
    }

    /// From the server to the relay, and then from the relay to the client.
    pub fn through_relay(&self, message: &Message4, relay: ([u8; 6], Ipv4Addr)) -> [Vec<u8>; 2] {
        let mut message = message.clone();
        message.giaddr = relay.1;
        let relay = (relay.0, relay.1, 67);
        [
            frame(&message, (self.server, SERVER, 67), relay),
            frame(&message, relay, (self.client, self.address, 68)),
        ]
    }
}
