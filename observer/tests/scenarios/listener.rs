//! A hook in one of the dialects that remember: frames go into the driver, its events into the dialect, calls come out.
//! What the dialect wants remembered is kept beside, as the store does.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use dhcp_observer::config::ServerConfig;
use dhcp_observer::dialect::{Call, Dialect};
use dhcp_observer::drive::Driver;
use dhcp_observer::frame::{Direction, Frame, Interface, LinkType};
use dhcp_observer::time::Timestamp;
use dhcp_observer::tracker::{
    Answers, Event, Exchange, Lease4, Lease6, LeaseEvent, Limits, Occurrence, Subject,
};

use crate::story::{Packet, START};

pub struct Listener {
    config: ServerConfig,
    limits: Limits,
    driver: Driver,
    pub dialect: Box<dyn Dialect>,
    pub wanted: bool,
    interface: Arc<Interface>,
    now: Timestamp,
    pub calls: Vec<Call>,
    pub memory: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the server holds, as far as the events told: what a store would seed the tracker with.
    leases4: BTreeMap<IpAddr, Lease4>,
    leases6: BTreeMap<(bool, IpAddr), Lease6>,
}

fn driver(config: &ServerConfig, limits: Limits, dialect: &dyn Dialect) -> Driver {
    let mut driver = Driver::new(Arc::new(config.clone()), Answers::Out, limits);
    driver.tell_heard(dialect.wants_heard());
    driver
}

impl Listener {
    pub fn new(dialect: impl Dialect + 'static) -> Self {
        Self::with(ServerConfig::default(), Limits::default(), dialect)
    }

    pub fn with(config: ServerConfig, limits: Limits, dialect: impl Dialect + 'static) -> Self {
        Self {
            driver: driver(&config, limits, &dialect),
            config,
            limits,
            dialect: Box::new(dialect),
            wanted: true,
            interface: Arc::new(Interface { index: Some(3), name: "vs".into() }),
            now: Timestamp::from_seconds(START),
            calls: Vec::new(),
            memory: BTreeMap::new(),
            leases4: BTreeMap::new(),
            leases6: BTreeMap::new(),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn interface(&self) -> Arc<Interface> {
        Arc::clone(&self.interface)
    }

    /// Moves the clock to so many seconds after the start.
    pub fn at(&mut self, seconds: i64) -> &mut Self {
        self.at_millis(seconds * 1_000)
    }

    pub fn at_millis(&mut self, millis: i64) -> &mut Self {
        self.now = Timestamp::from_nanos(START * 1_000_000_000 + millis * 1_000_000).max(self.now);
        let mut events = Vec::new();
        self.driver.handle_time(self.now, |event| events.push(event));
        self.take(events);
        self.pass_time();
        self
    }

    /// The clock goes on and nobody looks at it: the observer is not there.
    pub fn stamp(&mut self, seconds: i64) -> &mut Self {
        self.now = Timestamp::from_seconds(START + seconds).max(self.now);
        self
    }

    fn pass_time(&mut self) {
        while let Some(due) = self.dialect.poll_timeout().filter(|due| *due <= self.now) {
            self.dialect.handle_timeout(due);
            self.drain();
        }
    }

    fn take(&mut self, events: Vec<LeaseEvent>) {
        for event in events {
            self.note(&event);
            while let Some(due) = self.dialect.poll_timeout().filter(|due| *due <= event.at) {
                self.dialect.handle_timeout(due);
                self.drain();
            }
            self.dialect.handle_event(&event, self.wanted);
            self.drain();
        }
    }

    pub fn drain(&mut self) {
        while let Some(call) = self.dialect.poll_call() {
            self.calls.push(call);
        }
        while let Some(memory) = self.dialect.poll_memory() {
            match memory.value {
                Some(value) => self.memory.insert(memory.key, value),
                None => self.memory.remove(&memory.key),
            };
        }
    }

    /// What a store would keep of the leases.
    fn note(&mut self, event: &LeaseEvent) {
        match &event.occurrence {
            Occurrence::Committed4 { leases, deleted, .. } => {
                deleted.iter().for_each(|lease| drop(self.leases4.remove(&lease.address.into())));
                for lease in leases {
                    self.leases4.insert(lease.address.into(), lease.clone());
                }
            }
            Occurrence::Expire4 { lease, .. } => drop(self.leases4.remove(&lease.address.into())),
            Occurrence::Committed6 { leases, deleted, .. } => {
                let key = |lease: &Lease6| (lease.prefix_len < 128, lease.address.into());
                deleted.iter().for_each(|lease| drop(self.leases6.remove(&key(lease))));
                for lease in leases {
                    self.leases6.insert(key(lease), lease.clone());
                }
            }
            Occurrence::Expire6 { lease, .. } => {
                self.leases6.remove(&(lease.prefix_len < 128, lease.address.into()));
            }
            _ => {}
        }
    }

    /// Bytes pass at the moment that the clock shows.
    pub fn pass(&mut self, bytes: &[u8], direction: Direction) -> &mut Self {
        let frame = Frame {
            at: self.now,
            interface: &self.interface,
            direction,
            link_type: LinkType::Ethernet,
            metadata_tag: None,
            bytes,
            wire_length: bytes.len(),
        };
        let mut events = Vec::new();
        self.driver.handle_frame(&frame, |event| events.push(event));
        self.take(events);
        self.pass_time();
        self
    }

    pub fn asks(&mut self, packet: &impl Packet) -> &mut Self {
        self.pass(&packet.frame(), Direction::In)
    }

    pub fn answers(&mut self, packet: &impl Packet) -> &mut Self {
        self.pass(&packet.frame(), Direction::Out)
    }

    /// Something that happens without a frame.
    pub fn tell(&mut self, event: Event, occurrence: Occurrence) -> &mut Self {
        let (before4, before6) = (Vec::new(), Vec::new());
        let event = LeaseEvent { at: self.now, event, estimated: false, occurrence, before4, before6 };
        self.take(vec![event]);
        self
    }

    /// Every lease that lives is told of, as at a start that replays them.
    pub fn announce(&mut self) -> &mut Self {
        let four: Vec<_> = self.leases4.values().cloned().collect();
        let six: Vec<_> = self.leases6.values().cloned().collect();
        for lease in four {
            let exchange = Exchange { query: None, answer: None };
            let (leases, deleted) = (vec![lease], vec![]);
            self.tell(Event::Commit, Occurrence::Committed4 { exchange, leases, deleted });
        }
        for lease in six {
            let exchange = Exchange { query: None, answer: None };
            let (leases, deleted) = (vec![lease], vec![]);
            self.tell(Event::Commit, Occurrence::Committed6 { exchange, leases, deleted });
        }
        self
    }

    /// The observer dies and comes back with another dialect of the same make. It knows what was remembered, and the
    /// leases too if `knows_leases`.
    pub fn restart(&mut self, dialect: impl Dialect + 'static, knows_leases: bool) -> &mut Self {
        self.driver = driver(&self.config, self.limits, &dialect);
        self.dialect = Box::new(dialect);
        for (key, value) in &self.memory {
            self.dialect.recall(key, value);
        }
        if knows_leases {
            self.driver.seed(self.leases4.values().cloned(), self.leases6.values().cloned());
        } else {
            self.leases4.clear();
            self.leases6.clear();
        }
        self
    }

    /// The calls since the last look: the word, and the lease where it is one of several.
    pub fn words(&mut self) -> Vec<String> {
        self.calls.drain(..).map(|call| format!("{} {}", call.word, subject(&call))).collect()
    }

    #[track_caller]
    pub fn expect<const N: usize>(&mut self, expected: [&str; N]) -> &mut Self {
        assert_eq!(self.words(), expected);
        self
    }
}

/// The address or prefix that a call is about.
pub fn subject(call: &Call) -> String {
    match call.subjects.as_slice() {
        [Subject::Lease4(address)] => address.to_string(),
        [Subject::Address6(address)] => address.to_string(),
        [Subject::Prefix6(address)] => format!("prefix {address}"),
        other => panic!("one lease, please: {other:?}"),
    }
}

/// A variable of a call; `-` when it is not set.
pub fn variable(call: &Call, name: &str) -> String {
    call.invocation.variable(name).map_or("-".into(), |value| String::from_utf8_lossy(value).into_owned())
}

/// The arguments of a call.
pub fn arguments(call: &Call) -> Vec<String> {
    call.invocation.arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect()
}
