//! DHCPv4 clients and a server, as they write on the wire.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};

use crate::story::{Packet, Story};

pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub const SERVER_MAC: [u8; 6] = [2, 0xbb, 0, 0, 0, 1];

pub fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

/// A client: its hardware address, its identifier if it has one, what it calls itself.
pub struct Client {
    pub chaddr: Vec<u8>,
    pub options: Vec<(u8, Vec<u8>)>,
    xid: Cell<u32>,
}

/// The client with this number: hardware address `02:aa:00:00:00:<number>`, no client identifier.
pub fn client(number: u8) -> Client {
    Client {
        chaddr: vec![2, 0xaa, 0, 0, 0, number],
        options: vec![],
        xid: Cell::new(u32::from(number) << 16),
    }
}

impl Client {
    /// With this option in everything that it sends.
    pub fn with(mut self, code: u8, payload: &[u8]) -> Self {
        self.options.push((code, payload.to_vec()));
        self
    }

    pub fn client_id(self, octets: &[u8]) -> Self {
        self.with(61, octets)
    }

    pub fn chaddr(mut self, octets: &[u8]) -> Self {
        self.chaddr = octets.to_vec();
        self
    }

    fn message(&self, message_type: u8) -> Dhcp4 {
        let mac = *self.chaddr.first_chunk().unwrap_or(&[0; 6]);
        let mut options = vec![(53, vec![message_type])];
        options.extend(self.options.clone());
        Dhcp4 {
            op: 1,
            xid: self.xid.get(),
            flags: 0,
            hops: 0,
            secs: 0,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: Ipv4Addr::UNSPECIFIED,
            chaddr: self.chaddr.clone(),
            options,
            source: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 68)),
            destination: SocketAddr::from((Ipv4Addr::BROADCAST, 67)),
            macs: (mac, [0xff; 6]),
            cookie: true,
        }
    }

    fn fresh(&self, message_type: u8) -> Dhcp4 {
        self.xid.set(self.xid.get() + 1);
        self.message(message_type)
    }

    /// From its own address straight to the server.
    fn unicast(&self, message_type: u8, address: &str) -> Dhcp4 {
        let mut message = self.fresh(message_type);
        message.ciaddr = ip(address);
        message.source = SocketAddr::from((message.ciaddr, 68));
        message.destination = SocketAddr::from((SERVER, 67));
        message.macs.1 = SERVER_MAC;
        message
    }

    pub fn discover(&self) -> Dhcp4 {
        self.fresh(1)
    }

    /// SELECTING: takes an offer of the server.
    pub fn select(&self, address: &str) -> Dhcp4 {
        self.message(3).with(50, &ip(address).octets()).with(54, &SERVER.octets())
    }

    /// INIT-REBOOT.
    pub fn reboot(&self, address: &str) -> Dhcp4 {
        self.fresh(3).with(50, &ip(address).octets())
    }

    pub fn renew(&self, address: &str) -> Dhcp4 {
        self.unicast(3, address)
    }

    pub fn rebind(&self, address: &str) -> Dhcp4 {
        let mut message = self.unicast(3, address);
        message.destination = SocketAddr::from((Ipv4Addr::BROADCAST, 67));
        message.macs.1 = [0xff; 6];
        message
    }

    pub fn release(&self, address: &str) -> Dhcp4 {
        self.unicast(7, address).with(54, &SERVER.octets())
    }

    pub fn decline(&self, address: &str) -> Dhcp4 {
        self.fresh(4).with(50, &ip(address).octets()).with(54, &SERVER.octets())
    }

    pub fn inform(&self, address: &str) -> Dhcp4 {
        self.unicast(8, address)
    }
}

/// A message and its way.
#[derive(Clone, Debug)]
pub struct Dhcp4 {
    pub op: u8,
    pub xid: u32,
    pub flags: u16,
    pub hops: u8,
    pub secs: u16,
    pub ciaddr: Ipv4Addr,
    pub yiaddr: Ipv4Addr,
    pub giaddr: Ipv4Addr,
    pub chaddr: Vec<u8>,
    pub options: Vec<(u8, Vec<u8>)>,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub macs: ([u8; 6], [u8; 6]),
    pub cookie: bool,
}

impl Dhcp4 {
    /// With one more option.
    pub fn with(mut self, code: u8, payload: &[u8]) -> Self {
        self.options.push((code, payload.to_vec()));
        self
    }

    /// With this option in place of the one it has.
    pub fn set(self, code: u8, payload: &[u8]) -> Self {
        self.without(code).with(code, payload)
    }

    pub fn without(mut self, code: u8) -> Self {
        self.options.retain(|(found, _)| *found != code);
        self
    }

    /// Through a relay with this address.
    pub fn relayed(mut self, relay: &str, agent: &[u8]) -> Self {
        self.giaddr = ip(relay);
        self.hops = 1;
        self.source = SocketAddr::from((self.giaddr, 67));
        self.destination = SocketAddr::from((SERVER, 67));
        self.macs = ([2, 0xcc, 0, 0, 0, 1], SERVER_MAC);
        if agent.is_empty() { self } else { self.with(82, agent) }
    }

    fn option(&self, code: u8) -> Option<&(u8, Vec<u8>)> {
        self.options.iter().find(|(found, _)| *found == code)
    }

    /// The server's answer to this: what RFC 2131 has it repeat, and its identifier.
    fn answer(&self, message_type: u8) -> Self {
        let mut options = vec![(53, vec![message_type]), (54, SERVER.octets().to_vec())];
        options.extend([61, 82].iter().filter_map(|code| self.option(*code)).cloned());
        Self {
            op: 2,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            options,
            source: SocketAddr::from((SERVER, 67)),
            destination: self.source,
            macs: (SERVER_MAC, self.macs.0),
            ..self.clone()
        }
    }

    fn gives(&self, message_type: u8, address: &str) -> Self {
        let mut answer =
            self.answer(message_type).with(51, &3600_u32.to_be_bytes()).with(1, &[255, 255, 255, 0]);
        answer.yiaddr = ip(address);
        answer
    }

    pub fn offer(&self, address: &str) -> Self {
        self.gives(2, address)
    }

    /// An ACK of an hour with a /24 mask and no name.
    pub fn ack(&self, address: &str) -> Self {
        self.gives(5, address)
    }

    pub fn nak(&self) -> Self {
        self.answer(6)
    }

    /// The ACK of an INFORM: no address, no lease time.
    pub fn ack_inform(&self) -> Self {
        self.answer(5)
    }

    /// With this lease time in place of an hour.
    pub fn lifetime(self, seconds: u32) -> Self {
        self.set(51, &seconds.to_be_bytes())
    }
}

impl Packet for Dhcp4 {
    fn payload(&self) -> Vec<u8> {
        let mut bytes = vec![self.op, 1, u8::try_from(self.chaddr.len()).unwrap(), self.hops];
        bytes.extend(self.xid.to_be_bytes());
        bytes.extend(self.secs.to_be_bytes());
        bytes.extend(self.flags.to_be_bytes());
        for address in [self.ciaddr, self.yiaddr, Ipv4Addr::UNSPECIFIED, self.giaddr] {
            bytes.extend(address.octets());
        }
        bytes.extend(&self.chaddr);
        bytes.resize(236, 0);
        if self.cookie {
            bytes.extend([99, 130, 83, 99]);
            for (code, payload) in &self.options {
                for piece in payload.chunks(255).chain(payload.is_empty().then_some(&[][..])) {
                    bytes.extend([*code, u8::try_from(piece.len()).unwrap()]);
                    bytes.extend(piece);
                }
            }
            bytes.push(255);
        }
        bytes
    }

    fn addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.source, self.destination)
    }

    fn macs(&self) -> ([u8; 6], [u8; 6]) {
        self.macs
    }
}

impl Story {
    /// A question that the server answers with an ACK of an hour.
    pub fn acked(&mut self, query: &Dhcp4, address: &str) -> &mut Self {
        self.asks(query).answers(&query.ack(address))
    }

    /// The four messages.
    pub fn dora(&mut self, client: &Client, address: &str) -> &mut Self {
        let discover = client.discover();
        self.asks(&discover).answers(&discover.offer(address)).acked(&client.select(address), address)
    }

    /// A lease from before, whose calls are of no interest.
    #[track_caller]
    pub fn given(&mut self, client: &Client, address: &str) -> &mut Self {
        self.dora(client, address);
        self.expect(["commit: leases4_committed(1,0)"]);
        self
    }
}
