//! A scripted DHCPv4 client.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail, ensure};

use crate::client::datagram::Datagram;
use crate::client::message4::{Kind, Message4, option};
use crate::client::{PATIENCE, client_mac};
use crate::inject::PacketSocket;
use crate::link::Cable;

/// The relay through which a client's messages go.
#[derive(Clone, Debug)]
pub struct Relay4 {
    /// Its address on the client's network: the giaddr and the source of its messages.
    pub giaddr: Ipv4Addr,
    /// The payload of the relay agent information that it adds, if it does.
    pub agent: Option<Vec<u8>>,
}

/// What a client holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding4 {
    /// Its address.
    pub address: Ipv4Addr,
    /// The server that gave it.
    pub server: Ipv4Addr,
}

/// A DHCPv4 client that does what it is told (RFC 2131 section 4.4).
#[derive(Debug)]
pub struct Client4 {
    socket: PacketSocket,
    mac: [u8; 6],
    own_mac: [u8; 6],
    server_mac: [u8; 6],
    server: Ipv4Addr,
    sequence: u32,
    /// Options of every message but RELEASE and DECLINE, after the message type.
    pub options: Vec<(u8, Vec<u8>)>,
    /// Option 61, which goes into every message.
    pub client_id: Option<Vec<u8>>,
    /// Type and length of the hardware address in every message.
    pub hardware: (u8, u8),
    /// The flags field: 0x8000 asks for broadcast answers.
    pub flags: u16,
    /// The relay in between, if there is one.
    pub relay: Option<Relay4>,
    /// The present binding.
    pub binding: Option<Binding4>,
}

impl Client4 {
    /// The client of this number behind `cable`, whose server is at 192.0.2.1.
    pub fn new(cable: &Cable, number: u8) -> Result<Self> {
        Ok(Self {
            socket: PacketSocket::open(&cable.client)?,
            mac: client_mac(number),
            own_mac: cable.client.mac,
            server_mac: cable.server.mac,
            server: Ipv4Addr::new(192, 0, 2, 1),
            sequence: u32::from(number) << 24,
            options: Vec::new(),
            client_id: None,
            hardware: (1, 6),
            flags: 0,
            relay: None,
            binding: None,
        })
    }

    /// The same with a host name.
    pub fn host_name(mut self, name: &str) -> Self {
        self.options.push((option::HOST_NAME, name.into()));
        self
    }

    /// The same with a client identifier.
    pub fn identified(mut self, client_id: &[u8]) -> Self {
        self.client_id = Some(client_id.to_vec());
        self
    }

    /// The same with a further option.
    pub fn option(mut self, code: u8, value: impl Into<Vec<u8>>) -> Self {
        self.options.push((code, value.into()));
        self
    }

    /// The same behind a relay.
    pub fn through(mut self, giaddr: &str, agent: Option<&[u8]>) -> Self {
        let giaddr = giaddr.parse().expect("an address");
        self.relay = Some(Relay4 { giaddr, agent: agent.map(<[u8]>::to_vec) });
        self
    }

    /// The address that it holds.
    pub fn address(&self) -> Result<Ipv4Addr> {
        Ok(self.held()?.address)
    }

    /// The client's hardware address.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// The same with leases.
    pub fn bound(mut self) -> Result<Self> {
        self.bind()?;
        Ok(self)
    }

    /// DISCOVER, then the REQUEST of what was offered. Returns the ACK.
    pub fn bind(&mut self) -> Result<Message4> {
        let offer = self.discover()?;
        self.select(&offer)
    }

    /// DISCOVER; returns the OFFER.
    pub fn discover(&mut self) -> Result<Message4> {
        let query = self.query(Kind::Discover);
        self.exchange(query, None, &[Kind::Offer])
    }

    /// REQUEST in SELECTING, in the transaction of the offer; returns the ACK.
    pub fn select(&mut self, offer: &Message4) -> Result<Message4> {
        let server = offer.option(option::SERVER_ID).context("an offer without server identifier")?.to_vec();
        let mut query = self.query(Kind::Request);
        query.xid = offer.xid;
        let query =
            query.with(option::REQUESTED_ADDRESS, offer.yiaddr.octets()).with(option::SERVER_ID, server);
        let ack = self.exchange(query, None, &[Kind::Ack])?;
        self.hold(ack)
    }

    /// REQUEST in INIT-REBOOT for this address; returns the ACK or NAK.
    pub fn init_reboot(&mut self, address: Ipv4Addr) -> Result<Message4> {
        let query = self.query(Kind::Request).with(option::REQUESTED_ADDRESS, address.octets());
        let answer = self.exchange(query, None, &[Kind::Ack, Kind::Nak])?;
        if answer.is(Kind::Ack) { self.hold(answer) } else { Ok(answer) }
    }

    /// REQUEST in RENEWING: unicast to the server, around any relay; returns the ACK or NAK.
    pub fn renew(&mut self) -> Result<Message4> {
        let binding = self.held()?;
        let mut query = self.query(Kind::Request);
        query.ciaddr = binding.address;
        self.exchange(query, Some(binding), &[Kind::Ack, Kind::Nak])
    }

    /// REQUEST in REBINDING: broadcast, through the relay if there is one; returns the ACK or NAK.
    pub fn rebind(&mut self) -> Result<Message4> {
        let mut query = self.query(Kind::Request);
        query.ciaddr = self.held()?.address;
        self.exchange(query, None, &[Kind::Ack, Kind::Nak])
    }

    /// INFORM from this address, which was not leased; returns the ACK.
    pub fn inform(&mut self, address: Ipv4Addr) -> Result<Message4> {
        let mut query = self.query(Kind::Inform);
        query.ciaddr = address;
        self.exchange(query, None, &[Kind::Ack])
    }

    /// RELEASE, unicast, which has no answer.
    pub fn release(&mut self) -> Result<()> {
        let binding = self.held()?;
        let mut query = self.bare(Kind::Release);
        query.ciaddr = binding.address;
        self.binding = None;
        self.send(&query.with(option::SERVER_ID, binding.server.octets()), Some(binding))
    }

    /// DECLINE, which has no answer.
    pub fn decline(&mut self) -> Result<()> {
        let binding = self.held()?;
        let query = self.bare(Kind::Decline).with(option::SERVER_ID, binding.server.octets());
        self.binding = None;
        self.send(&query.with(option::REQUESTED_ADDRESS, binding.address.octets()), None)
    }

    /// A query with the client's options, for messages that no other method makes.
    pub fn query(&mut self, kind: Kind) -> Message4 {
        let mut query = self.bare(kind);
        query.options.extend(self.options.iter().cloned());
        query
    }

    fn bare(&mut self, kind: Kind) -> Message4 {
        self.sequence += 1;
        let mut query = Message4::query(kind, self.sequence, self.mac);
        query.flags = self.flags;
        (query.htype, query.hlen) = self.hardware;
        query.options.extend(self.client_id.iter().map(|id| (option::CLIENT_ID, id.clone())));
        query
    }

    fn held(&self) -> Result<Binding4> {
        self.binding.context("the client holds no address")
    }

    fn hold(&mut self, ack: Message4) -> Result<Message4> {
        let server = ack.address(option::SERVER_ID).context("an ACK without server identifier")?;
        self.binding = Some(Binding4 { address: ack.yiaddr, server });
        Ok(ack)
    }

    /// Sends a query: unicast from a binding's address, else through the relay, else broadcast.
    pub fn send(&self, query: &Message4, unicast: Option<Binding4>) -> Result<()> {
        let mut query = query.clone();
        let (from_mac, to_mac, from, to) = match (unicast, &self.relay) {
            (Some(binding), None) => (self.mac, self.server_mac, (binding.address, 68), binding.server),
            // What is routed past a relay carries the router's hardware address.
            (Some(binding), Some(_)) => {
                (self.own_mac, self.server_mac, (binding.address, 68), binding.server)
            }
            (None, Some(relay)) => {
                query.hops += 1;
                query.giaddr = relay.giaddr;
                query.options.extend(relay.agent.iter().map(|agent| (option::RELAY_AGENT, agent.clone())));
                (self.own_mac, self.server_mac, (relay.giaddr, 67), self.server)
            }
            (None, None) => (self.mac, [0xff; 6], (query.ciaddr, 68), Ipv4Addr::BROADCAST),
        };
        let (from, to) = (SocketAddr::from(from), SocketAddr::from((to, 67)));
        self.socket.send(&Datagram { from_mac, to_mac, from, to, payload: query.encode() }.encode()?)
    }

    /// Sends a query and waits for its answer, which must be of one of these types.
    pub fn exchange(
        &mut self,
        query: Message4,
        unicast: Option<Binding4>,
        wanted: &[Kind],
    ) -> Result<Message4> {
        self.send(&query, unicast)?;
        let answer = self.socket.receive(PATIENCE, |frame| {
            let datagram = Datagram::decode(frame).filter(|datagram| datagram.from.port() == 67)?;
            let message = Message4::decode(&datagram.payload)?;
            // An answer repeats as much of the hardware address as is valid.
            let valid = usize::from(query.hlen).min(query.chaddr.len());
            let own = message.xid == query.xid && message.chaddr[..valid] == query.chaddr[..valid];
            (message.op == 2 && own).then_some(message)
        })?;
        let Some(answer) = answer else { bail!("no answer to {query:?}") };
        ensure!(wanted.iter().any(|kind| answer.is(*kind)), "expected {wanted:?}, the answer was {answer:?}");
        Ok(answer)
    }
}
