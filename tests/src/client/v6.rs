//! A scripted DHCPv6 client.

use std::net::{Ipv6Addr, SocketAddr};

use anyhow::{Context, Result, bail, ensure};

use crate::client::datagram::Datagram;
use crate::client::message6::{Ia, Kind, Message6, Options, option, relay_forward};
use crate::client::{PATIENCE, client_mac};
use crate::inject::PacketSocket;
use crate::link::{Cable, Link};

/// All_DHCP_Relay_Agents_and_Servers (RFC 8415 section 7.1) and its hardware address.
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
const ALL_SERVERS_MAC: [u8; 6] = [0x33, 0x33, 0, 1, 0, 2];

/// A relay through which a client's messages go.
#[derive(Clone, Debug)]
pub struct Relay6 {
    /// The address from which it sends.
    pub address: Ipv6Addr,
    /// The link-address that it writes into its envelope.
    pub link: Ipv6Addr,
    /// The options that it adds, such as interface-id.
    pub options: Options,
}

/// A DHCPv6 client that does what it is told (RFC 8415 section 18.2).
#[derive(Debug)]
pub struct Client6 {
    socket: PacketSocket,
    mac: [u8; 6],
    own_mac: [u8; 6],
    link_local: Ipv6Addr,
    server_link: Link,
    server: Ipv6Addr,
    sequence: u32,
    /// The client's DUID: link-layer address (RFC 8415 section 11.4), unless a test sets another.
    pub duid: Vec<u8>,
    /// The DUID of the server that answered.
    pub server_duid: Option<Vec<u8>>,
    /// The identity associations that the client asks for, with what the server gave.
    pub associations: Vec<Ia>,
    /// Further options of every message.
    pub options: Options,
    relays: Vec<Relay6>,
}

impl Client6 {
    /// The client of this number behind `cable`, whose server is at 2001:db8:1::1.
    pub fn new(cable: &Cable, number: u8, associations: Vec<Ia>) -> Result<Self> {
        Self::with_mac(cable, client_mac(number), associations)
    }

    /// The client of this hardware address, whose last octet is its number.
    pub fn with_mac(cable: &Cable, mac: [u8; 6], associations: Vec<Ia>) -> Result<Self> {
        let number = mac[5];
        let [a, b, c, d, e, f] = mac.map(u16::from);
        let link_local =
            Ipv6Addr::new(0xfe80, 0, 0, 0, (a ^ 2) << 8 | b, c << 8 | 0xff, 0xfe00 | d, e << 8 | f);
        // The scripted client has no kernel that would answer a neighbour solicitation.
        cable.server.neighbour(&link_local.to_string(), mac)?;
        Ok(Self {
            socket: PacketSocket::open(&cable.client)?,
            mac,
            own_mac: cable.client.mac,
            link_local,
            server_link: cable.server.clone(),
            server: Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1),
            sequence: u32::from(number) << 16,
            duid: [&[0, 3, 0, 1], &mac[..]].concat(),
            server_duid: None,
            associations,
            options: Options::new(),
            relays: Vec::new(),
        })
    }

    /// The same with another DUID.
    pub fn known_as(mut self, duid: &[u8]) -> Self {
        self.duid = duid.to_vec();
        self
    }

    /// The same with a further option in every message.
    pub fn option(mut self, code: u16, value: &[u8]) -> Self {
        self.options.push((code, value.to_vec()));
        self
    }

    /// The address or prefix that it holds in the association at this place.
    pub fn address(&self, place: usize) -> Result<Ipv6Addr> {
        let held = self.associations.get(place).and_then(|association| association.items.first());
        Ok(held.context("the client holds no address")?.address)
    }

    /// The same behind relays, the one next to the client first.
    pub fn through(mut self, relays: Vec<Relay6>) -> Result<Self> {
        if let Some(last) = relays.last() {
            self.server_link.neighbour(&last.address.to_string(), self.own_mac)?;
        }
        self.relays = relays;
        Ok(self)
    }

    /// The same behind one relay on the server's link, whose link-address this is.
    pub fn through_link(self, link: &str) -> Result<Self> {
        let (address, link) = ("2001:db8:1::2".parse()?, link.parse()?);
        self.through(vec![Relay6 { address, link, options: Options::new() }])
    }

    /// The same without relays.
    pub fn direct(mut self) -> Self {
        self.relays.clear();
        self
    }

    /// The same with leases.
    pub fn bound(mut self) -> Result<Self> {
        self.bind()?;
        Ok(self)
    }

    /// SOLICIT, then the REQUEST of what was advertised. Returns the REPLY.
    pub fn bind(&mut self) -> Result<Message6> {
        self.solicit()?;
        self.request()
    }

    /// SOLICIT; returns the ADVERTISE.
    pub fn solicit(&mut self) -> Result<Message6> {
        let query = self.query(Kind::Solicit, false);
        let answer = self.exchange(&query, Kind::Advertise)?;
        self.take(answer)
    }

    /// SOLICIT with rapid commit; returns the REPLY.
    pub fn rapid_commit(&mut self) -> Result<Message6> {
        let mut query = self.query(Kind::Solicit, false);
        query.options.push((option::RAPID_COMMIT, Vec::new()));
        let answer = self.exchange(&query, Kind::Reply)?;
        self.take(answer)
    }

    /// REQUEST; returns the REPLY.
    pub fn request(&mut self) -> Result<Message6> {
        self.ask(Kind::Request, true)
    }

    /// RENEW; returns the REPLY.
    pub fn renew(&mut self) -> Result<Message6> {
        self.ask(Kind::Renew, true)
    }

    /// REBIND; returns the REPLY.
    pub fn rebind(&mut self) -> Result<Message6> {
        self.ask(Kind::Rebind, false)
    }

    /// CONFIRM; returns the REPLY.
    pub fn confirm(&mut self) -> Result<Message6> {
        let query = self.query(Kind::Confirm, false);
        self.exchange(&query, Kind::Reply)
    }

    /// RELEASE of everything; returns the REPLY.
    pub fn release(&mut self) -> Result<Message6> {
        let query = self.query(Kind::Release, true);
        self.associations.iter_mut().for_each(|association| association.items.clear());
        self.exchange(&query, Kind::Reply)
    }

    /// DECLINE of all addresses; returns the REPLY.
    pub fn decline(&mut self) -> Result<Message6> {
        let mut query = self.query(Kind::Decline, true);
        query.options.retain(|(code, _)| *code != option::IA_PD);
        self.associations.iter_mut().for_each(|association| association.items.clear());
        self.exchange(&query, Kind::Reply)
    }

    /// INFORMATION-REQUEST; returns the REPLY.
    pub fn information_request(&mut self) -> Result<Message6> {
        let mut query = self.query(Kind::InformationRequest, false);
        query.options.retain(|(code, _)| !matches!(*code, option::IA_NA | option::IA_PD));
        self.exchange(&query, Kind::Reply)
    }

    /// A query with the client's identifier, associations and options, for messages that no other method makes.
    pub fn query(&mut self, kind: Kind, to_one_server: bool) -> Message6 {
        self.sequence += 1;
        let mut options = vec![(option::CLIENT_ID, self.duid.clone())];
        if to_one_server {
            options.extend(self.server_duid.iter().map(|duid| (option::SERVER_ID, duid.clone())));
        }
        options.push((option::ELAPSED_TIME, vec![0, 0]));
        options.extend(self.associations.iter().map(Ia::encode));
        options.extend(self.options.iter().cloned());
        Message6 { kind: kind as u8, transaction_id: self.sequence, options }
    }

    fn ask(&mut self, kind: Kind, to_one_server: bool) -> Result<Message6> {
        let query = self.query(kind, to_one_server);
        let answer = self.exchange(&query, Kind::Reply)?;
        self.take(answer)
    }

    /// Remembers the server and what it gave.
    fn take(&mut self, answer: Message6) -> Result<Message6> {
        self.server_duid =
            Some(answer.option(option::SERVER_ID).context("an answer without server identifier")?.to_vec());
        for given in answer.associations() {
            let same = |ia: &&mut Ia| ia.kind == given.kind && ia.iaid == given.iaid;
            if let Some(association) = self.associations.iter_mut().find(same) {
                association.items = given.items;
            }
        }
        Ok(answer)
    }

    /// Sends a query, through the relays if there are any.
    pub fn send(&self, query: &Message6) -> Result<()> {
        let (mut payload, mut peer) = (query.encode(), self.link_local);
        for (hops, relay) in (0..).zip(&self.relays) {
            payload = relay_forward(hops, relay.link, peer, &relay.options, &payload);
            peer = relay.address;
        }
        let (from_mac, to_mac, port, to) = if self.relays.is_empty() {
            (self.mac, ALL_SERVERS_MAC, 546, ALL_SERVERS)
        } else {
            (self.own_mac, self.server_link.mac, 547, self.server)
        };
        let (from, to) = (SocketAddr::from((peer, port)), SocketAddr::from((to, 547)));
        self.socket.send(&Datagram { from_mac, to_mac, from, to, payload }.encode()?)
    }

    /// Sends a query and waits for its answer, which must be of this type.
    pub fn exchange(&mut self, query: &Message6, wanted: Kind) -> Result<Message6> {
        self.send(query)?;
        let answer = self.socket.receive(PATIENCE, |frame| {
            let datagram = Datagram::decode(frame).filter(|datagram| datagram.from.port() == 547)?;
            let message = Message6::decode(&datagram.payload)?;
            let own = message.option(option::CLIENT_ID) == Some(&self.duid[..]);
            (own && message.transaction_id == query.transaction_id).then_some(message)
        })?;
        let Some(answer) = answer else { bail!("no answer to {query:?}") };
        ensure!(answer.is(wanted), "expected {wanted:?}, the answer was {answer:?}");
        Ok(answer)
    }
}
