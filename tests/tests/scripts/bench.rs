//! Clients with hostile names in a capture, and a place to look for what those names should not have done.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use observer_tests::client::message6::{self, Ia, Item6, Kind};
use observer_tests::netns::Namespace;
use observer_tests::scratch::Scratch;
use observer_tests::scripts::Script;
use observer_tests::scripts::hostile::{Cage, Form, names};
use observer_tests::traffic::{Options4, Station, Traffic};
use observer_tests::wait;

/// A client with an address, and the name that hooks get of it.
pub struct Client {
    station: Station,
    pub address: IpAddr,
    pub name: Vec<u8>,
}

impl Client {
    pub fn hwaddr(&self) -> String {
        self.station.mac().map(|octet| format!("{octet:02x}")).join(":")
    }

    /// What scripts call the client: the hardware address, or the DUID.
    pub fn owner(&self) -> String {
        match self.address {
            IpAddr::V4(_) => self.hwaddr(),
            IpAddr::V6(_) => {
                self.station.duid().iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")
            }
        }
    }

    /// `4` or `6`, as in the names of hook points and variables.
    pub fn family(&self) -> char {
        if self.address.is_ipv4() { '4' } else { '6' }
    }

    /// What its name may become in the DNS: of its first label, letters, digits and hyphens, not at the ends.
    pub fn label(&self) -> Option<String> {
        let first = self.name.split(|&octet| octet == b'.').next().unwrap_or_default();
        let kept: Vec<u8> =
            first.iter().copied().filter(|octet| octet.is_ascii_alphanumeric() || *octet == b'-').collect();
        let label = String::from_utf8(kept).unwrap();
        let label = label.trim_matches('-');
        (!label.is_empty() && label.len() <= 63).then(|| label.to_owned())
    }
}

pub struct Bench {
    pub scratch: Scratch,
    pub capture: PathBuf,
    pub clients: Vec<Client>,
    cage: Cage,
}

impl Bench {
    /// A thousand names in option 12 of the answer.
    pub fn plain() -> Self {
        Self::of(names(1_000).into_iter().map(|name| (Form::HostName, name)))
    }

    /// Names in every form that options 81 and 39 have, in answers and in questions. So that clients do not quarrel about a
    /// name, each form has an end of its own.
    pub fn qualified() -> Self {
        let names = names(120);
        // Each name in three of the forms: a hook that asks the network takes its time for each client.
        let is_turn = |form: u8, number: usize| (number + usize::from(form)) % Form::QUALIFIED.len() < 3;
        Self::of(Form::QUALIFIED.into_iter().zip(b'a'..).flat_map(|(form, end)| {
            let turns = names.iter().enumerate().filter(move |(number, _)| is_turn(end, *number));
            turns.map(move |(_, name)| {
                let mut name = name[..name.len().min(200)].to_vec();
                if !name.is_empty() {
                    name.push(end);
                }
                (form, name)
            })
        }))
    }

    fn of(names: impl Iterator<Item = (Form, Vec<u8>)>) -> Self {
        let scratch = Scratch::new().unwrap();
        let capture = scratch.path().join("names.pcap");
        let mut traffic = Traffic::starting(wait::unix_now() - 60.0);
        let mut clients = Vec::new();
        for (number, (form, name)) in (0_u16..).zip(names) {
            let [high, low] = number.to_be_bytes();
            let station = Station(number);
            let (address4, address6) = (
                Ipv4Addr::new(10, 0, high, low),
                Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x1_000 + number),
            );
            let (code, value) = form.option(&name);
            if form.is_v6() {
                let item = Item6 { address: address6, prefix_length: 128, preferred: 1800, valid: 3600 };
                let associations = [Ia { items: vec![item], ..Ia::addresses(1) }];
                let fqdn: message6::Options = vec![(code.into(), value)];
                traffic.exchange6(Kind::Request, station, &associations, &fqdn, None).unwrap();
            } else {
                let (none, named) = (Options4::new(), vec![(code, value)]);
                let (asked, answered) = if form.is_own() { (&named, &none) } else { (&none, &named) };
                traffic.bind4(station, address4, asked, answered).unwrap();
            }
            let address = if form.is_v6() { address6.into() } else { address4.into() };
            clients.push(Client { station, address, name: form.as_hooks_get_it(&name) });
        }
        traffic.write(&capture).unwrap();
        let cage = Cage::new(scratch.path()).unwrap();
        Self { scratch, capture, clients, cage }
    }

    /// Replays the capture into a script; then nothing must have been executed, and no file made but these.
    pub fn run(&mut self, namespace: &Namespace, name: &str, configuration: &str, files: &[&str]) -> Vec<u8> {
        let configuration = format!("{}{configuration}", self.cage.configuration());
        let script = Script::install(namespace, self.scratch.path(), name, &configuration).unwrap();
        self.cage.close().unwrap();
        let said = script.replay(&self.capture, &[]).unwrap();
        self.cage.check(files).unwrap();
        said
    }

    /// The clients by address.
    pub fn by_address(&self) -> BTreeMap<String, &Client> {
        self.clients.iter().map(|client| (client.address.to_string(), client)).collect()
    }
}
