//! Clients and a server that talk at a steady rate over a cable, whoever looks on, and remember what they did.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use observer_tests::client::datagram::Datagram;
use observer_tests::client::message4::{Kind, Message4, option};
use observer_tests::inject::PacketSocket;
use observer_tests::ledger::Deed;
use observer_tests::link::{Cable, Link};
use observer_tests::wait;

use crate::party::Party;

/// How long an answer may take that nobody holds up.
const PATIENCE: Duration = Duration::from_secs(10);
/// The lease time of the first ACK; each further one is a second longer.
const FIRST: u32 = 100_000;
/// How often a lease is renewed before it is released.
const RENEWALS: u32 = 3;
/// Leases side by side.
const LEASES: usize = 8;

/// A conversation under way.
pub struct Traffic {
    stop_client: Arc<AtomicBool>,
    stop_server: Arc<AtomicBool>,
    client: JoinHandle<Vec<Deed>>,
    server: JoinHandle<()>,
}

impl Traffic {
    /// Begins, with so long between one exchange and the next, and with clients from this number on.
    pub fn start(cable: &Cable, pace: Duration, first: u32) -> Self {
        let [stop_client, stop_server] = [false, false].map(|stop| Arc::new(AtomicBool::new(stop)));
        let (near, far) = (cable.server.clone(), cable.client.clone());
        let socket = PacketSocket::open(&near).unwrap();
        let (stopped, answering) = (Arc::clone(&stop_server), near.clone());
        let server = std::thread::spawn(move || serve(&answering, &socket, &stopped));
        let socket = PacketSocket::open(&far).unwrap();
        let stopped = Arc::clone(&stop_client);
        let client = std::thread::spawn(move || talk(&near, &socket, (pace, first), &stopped));
        Self { stop_client, stop_server, client, server }
    }

    /// Ends it, and gives back what hooks are to be told of, in order. Panics when a question had no answer.
    pub fn finish(self) -> Vec<Deed> {
        self.stop_client.store(true, Ordering::Relaxed);
        let deeds = self.client.join();
        self.stop_server.store(true, Ordering::Relaxed);
        self.server.join().unwrap();
        deeds.unwrap()
    }
}

/// Answers whatever is asked.
fn serve(link: &Link, socket: &PacketSocket, stop: &AtomicBool) {
    let mut lifetime = FIRST;
    while !stop.load(Ordering::Relaxed) {
        let question = socket.receive(Duration::from_millis(100), |frame| message(frame, 1)).unwrap();
        let Some(question) = question else { continue };
        let kind = match question.option(option::MESSAGE_TYPE) {
            Some([1]) => Kind::Offer,
            Some([3]) => Kind::Ack,
            _ => continue,
        };
        let [_, _, _, a, b, c] = question.chaddr;
        let party = Party::new(u32::from_be_bytes([0, a, b, c]), link);
        if kind == Kind::Ack {
            lifetime += 1;
        }
        socket.send(&party.by_server(&party.answer(kind, question.xid, lifetime))).unwrap();
    }
}

/// Gives each lease a life: bound, renewed, released, with others in between.
fn talk(
    server: &Link,
    socket: &PacketSocket,
    (pace, mut number): (Duration, u32),
    stop: &AtomicBool,
) -> Vec<Deed> {
    let (mut deeds, mut xid) = (Vec::new(), number);
    let mut leases: VecDeque<(Party, u32)> = VecDeque::new();
    let mut next = wait::now();
    let ask = |party: &Party, query: &Message4| -> Message4 {
        socket.send(&party.by_client(query)).unwrap();
        let own = |frame: &[u8]| message(frame, 2).filter(|answer| answer.xid == query.xid);
        socket.receive(PATIENCE, own).unwrap().unwrap_or_else(|| panic!("no answer to {query:?}"))
    };
    // As much as it takes to see that everything passes.
    while deeds.len() < 4 || !stop.load(Ordering::Relaxed) {
        wait::pace(next);
        next = wait::now() + pace;
        xid += 1;
        if leases.len() < LEASES {
            number += 1;
            let party = Party::new(number, server);
            let offer = ask(&party, &party.ask(Kind::Discover, xid));
            assert_eq!(offer.yiaddr, party.address());
            let ack = ask(&party, &party.ask(Kind::Request, xid));
            deeds.push(given(party.address(), &ack));
            leases.push_back((party, 0));
            continue;
        }
        let Some((party, renewals)) = leases.pop_front() else { continue };
        if renewals < RENEWALS {
            let ack = ask(&party, &party.ask_from_address(Kind::Request, xid));
            deeds.push(given(party.address(), &ack));
            leases.push_back((party, renewals + 1));
        } else {
            socket.send(&party.by_client(&party.ask_from_address(Kind::Release, xid))).unwrap();
            deeds.push(Deed::Released(party.address()));
        }
    }
    deeds
}

fn given(address: Ipv4Addr, ack: &Message4) -> Deed {
    assert_eq!(ack.yiaddr, address);
    Deed::Given(address, ack.lease_time().unwrap())
}

/// The DHCPv4 message in a frame, of this `op`.
fn message(frame: &[u8], op: u8) -> Option<Message4> {
    let datagram = Datagram::decode(frame)?;
    let ports = (datagram.from.port(), datagram.to.port());
    let message = matches!(ports, (68, 67) | (67, 68)).then(|| Message4::decode(&datagram.payload))??;
    (message.op == op).then_some(message)
}
