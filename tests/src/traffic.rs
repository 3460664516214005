//! Exchanges between clients and a server, made up frame by frame: for captures whose values no real client would send.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use anyhow::Result;

use crate::capture::{Frame, write_frames};
use crate::client::datagram::Datagram;
use crate::client::message4::{self, Message4};
use crate::client::message6::{self, Ia, Message6, relay_forward};

const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVER4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SERVER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
const SERVER_DUID: [u8; 10] = [0, 3, 0, 1, 2, 0, 0, 0, 0, 1];

/// Options of a DHCPv4 message: codes and values.
pub type Options4 = Vec<(u8, Vec<u8>)>;

/// A client of this number: its hardware address, link-local address and DUID follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station(pub u16);

impl Station {
    /// Its hardware address.
    pub fn mac(self) -> [u8; 6] {
        let [high, low] = self.0.to_be_bytes();
        [2, 0, 0x5e, 0, high, low]
    }

    /// Its link-local address.
    pub fn link_local(self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.mac().map(u16::from);
        Ipv6Addr::new(0xfe80, 0, 0, 0, (a ^ 2) << 8 | b, c << 8 | 0xff, 0xfe00 | d, e << 8 | f)
    }

    /// Its DUID: link-layer address (RFC 8415 section 11.4).
    pub fn duid(self) -> Vec<u8> {
        [&[0, 3, 0, 1], &self.mac()[..]].concat()
    }
}

/// A story in frames, on a clock of its own.
#[derive(Debug)]
pub struct Traffic {
    frames: Vec<Frame>,
    at: f64,
    transaction: u32,
    /// How long IPv4 leases last, in seconds.
    pub lifetime: u32,
}

impl Traffic {
    /// Begins at this time, in seconds since the Unix epoch.
    pub fn starting(at: f64) -> Self {
        Self { frames: Vec::new(), at, transaction: 0, lifetime: 3600 }
    }

    /// Lets time pass.
    pub fn pass(&mut self, seconds: f64) {
        self.at += seconds;
    }

    /// Writes what happened so far to a capture file.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_frames(path, &self.frames)
    }

    /// REQUEST and ACK, with these options beside the needed ones.
    pub fn bind4(
        &mut self,
        station: Station,
        address: Ipv4Addr,
        asked: &Options4,
        answered: &Options4,
    ) -> Result<()> {
        let query = self
            .query4(message4::Kind::Request, station, asked)
            .with(message4::option::REQUESTED_ADDRESS, address.octets());
        self.ask4(&query, station, Ipv4Addr::UNSPECIFIED)?;
        let mut answer = Message4::query(message4::Kind::Ack, query.xid, query.chaddr)
            .with(message4::option::SERVER_ID, SERVER4.octets())
            .with(message4::option::LEASE_TIME, self.lifetime.to_be_bytes());
        answer.op = 2;
        answer.yiaddr = address;
        answer
            .options
            .extend(query.options.iter().filter(|(code, _)| *code == message4::option::CLIENT_ID).cloned());
        answer.options.extend(answered.iter().cloned());
        self.frame(SERVER_MAC, station.mac(), (SERVER4, 67).into(), (address, 68).into(), answer.encode())
    }

    /// RELEASE.
    pub fn release4(&mut self, station: Station, address: Ipv4Addr, asked: &Options4) -> Result<()> {
        let mut query = self.query4(message4::Kind::Release, station, asked);
        query.ciaddr = address;
        self.ask4(&query, station, address)
    }

    /// DECLINE.
    pub fn decline4(&mut self, station: Station, address: Ipv4Addr, asked: &Options4) -> Result<()> {
        let query = self
            .query4(message4::Kind::Decline, station, asked)
            .with(message4::option::REQUESTED_ADDRESS, address.octets());
        self.ask4(&query, station, Ipv4Addr::UNSPECIFIED)
    }

    /// A question and the server's Reply. The question goes through a relay of this address, if there is one.
    pub fn exchange6(
        &mut self,
        kind: message6::Kind,
        station: Station,
        associations: &[Ia],
        answered: &message6::Options,
        relay: Option<Ipv6Addr>,
    ) -> Result<()> {
        self.transaction += 1;
        let identifiers = vec![
            (message6::option::CLIENT_ID, station.duid()),
            (message6::option::SERVER_ID, SERVER_DUID.to_vec()),
        ];
        let mut query =
            Message6 { kind: kind as u8, transaction_id: self.transaction, options: identifiers.clone() };
        query.options.extend(associations.iter().map(Ia::encode));
        let mut answer = Message6 {
            kind: message6::Kind::Reply as u8,
            transaction_id: self.transaction,
            options: identifiers,
        };
        answer.options.extend(associations.iter().map(Ia::encode));
        answer.options.extend(answered.iter().cloned());
        let (query, answer) = (query.encode(), answer.encode());
        match relay {
            None => {
                let client = SocketAddr::from((station.link_local(), 546));
                let server = SocketAddr::from((ALL_SERVERS, 547));
                self.frame(station.mac(), [0x33, 0x33, 0, 1, 0, 2], client, server, query)?;
                self.frame(SERVER_MAC, station.mac(), (SERVER6, 547).into(), client, answer)
            }
            Some(relay) => {
                let link = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1);
                let none = message6::Options::new();
                let query = relay_forward(0, link, station.link_local(), &none, &query);
                let mut answer = relay_forward(0, link, station.link_local(), &none, &answer);
                if let Some(kind) = answer.first_mut() {
                    *kind = message6::Kind::RelayReply as u8;
                }
                let (relay, mac) = (SocketAddr::from((relay, 547)), [2, 0, 0, 0, 0, 9]);
                self.frame(mac, SERVER_MAC, relay, (SERVER6, 547).into(), query)?;
                self.frame(SERVER_MAC, mac, (SERVER6, 547).into(), relay, answer)
            }
        }
    }

    fn query4(&mut self, kind: message4::Kind, station: Station, asked: &Options4) -> Message4 {
        self.transaction += 1;
        let mut query = Message4::query(kind, self.transaction, station.mac())
            .with(message4::option::SERVER_ID, SERVER4.octets());
        query.options.extend(asked.iter().cloned());
        query
    }

    fn ask4(&mut self, query: &Message4, station: Station, from: Ipv4Addr) -> Result<()> {
        let to = SocketAddr::from((Ipv4Addr::BROADCAST, 67));
        self.frame(station.mac(), [0xff; 6], (from, 68).into(), to, query.encode())
    }

    fn frame(
        &mut self,
        from_mac: [u8; 6],
        to_mac: [u8; 6],
        from: SocketAddr,
        to: SocketAddr,
        payload: Vec<u8>,
    ) -> Result<()> {
        let bytes = Datagram { from_mac, to_mac, from, to, payload }.encode()?;
        self.frames.push(Frame { at: self.at, bytes });
        self.at += 0.001;
        Ok(())
    }
}
