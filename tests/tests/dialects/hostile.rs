//! A thousand host names that want to be something else, through each dialect into the arguments and the environment of a
//! program: as data, unchanged or cleaned as the README says, and nothing of it executed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use observer_tests::client::message4::option;
use observer_tests::observer::binary;
use observer_tests::scratch::Scratch;
use observer_tests::scripts::hostile::{Cage, as_hooks_get_it, names};
use observer_tests::traffic::{Station, Traffic};
use observer_tests::wait;

use crate::install;

const COUNT: usize = 1_000;

/// A call as the kernel has it.
struct Raw {
    arguments: Vec<Vec<u8>>,
    environment: BTreeMap<String, Vec<u8>>,
}

/// Client number n calls itself name n, and so does the server.
struct Bench {
    scratch: Scratch,
    capture: PathBuf,
    cage: Cage,
    names: Vec<Vec<u8>>,
}

fn strings(octets: &[u8]) -> Vec<Vec<u8>> {
    let octets = octets.strip_suffix(b"\0").unwrap_or(octets);
    if octets.is_empty() { vec![] } else { octets.split(|octet| *octet == 0).map(<[u8]>::to_vec).collect() }
}

fn hwaddr(number: usize) -> String {
    Station(number as u16).mac().map(|octet| format!("{octet:02x}")).join(":")
}

impl Bench {
    fn new() -> Self {
        let scratch = Scratch::new().unwrap();
        let (capture, names) = (scratch.path().join("names.pcap"), names(COUNT));
        let mut traffic = Traffic::starting(wait::unix_now() - 60.0);
        for (number, name) in (0_u16..).zip(&names) {
            let [high, low] = number.to_be_bytes();
            let named = vec![(option::HOST_NAME, name.clone())];
            traffic.bind4(Station(number), [10, 0, high, low].into(), &named, &named).unwrap();
        }
        traffic.write(&capture).unwrap();
        let cage = Cage::new(scratch.path()).unwrap();
        Self { scratch, capture, cage, names }
    }

    /// Replays the capture into a program that writes down how it was called. Nothing may be executed, no file be made, and
    /// every variable must have a name that a shell can have.
    fn calls(&mut self, dialect: &str) -> Vec<Raw> {
        let directory = self.scratch.directory("calls").unwrap();
        let program = install(self.scratch.path(), "raw");
        self.cage.close().unwrap();
        let bin = self.scratch.path().join("bin");
        let mut command = Command::new(binary().unwrap());
        command.arg("replay").arg(&self.capture).arg("--script").arg(&program);
        command.args(["--dialect", dialect]).current_dir(self.scratch.path());
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let output = command.env("PATH", path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.cage.check(&[]).unwrap();
        let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
        let calls = files.filter(|file| file.extension().is_some_and(|found| found == "arguments"));
        let is_name = |name: &str| {
            name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_')
                && !name.starts_with(|first: char| first.is_ascii_digit())
                && !name.is_empty()
        };
        calls
            .map(|file| {
                // Before the call's own arguments: the shell and the program.
                let arguments = strings(&std::fs::read(&file).unwrap()).split_off(2);
                let environment = strings(&std::fs::read(file.with_extension("environment")).unwrap());
                let environment = environment.into_iter().map(|variable| {
                    let at = variable.iter().position(|octet| *octet == b'=').expect("a variable");
                    let name = String::from_utf8(variable[..at].to_vec()).expect("a name");
                    assert!(is_name(&name), "{name:?}");
                    (name, variable[at + 1..].to_vec())
                });
                Raw { arguments, environment: environment.collect() }
            })
            .collect()
    }

    fn by_client(&self) -> BTreeMap<Vec<u8>, &[u8]> {
        let names = self.names.iter().enumerate();
        names.map(|(number, name)| (hwaddr(number).into_bytes(), name.as_slice())).collect()
    }
}

fn until_nul(name: &[u8]) -> &[u8] {
    name.split(|octet| *octet == 0).next().unwrap_or_default()
}

fn is_label(label: &[u8]) -> bool {
    let inner = |octet: &u8| octet.is_ascii_alphanumeric() || b"-_".contains(octet);
    (1..=63).contains(&label.len()) && label.iter().all(inner)
}

#[test]
fn an_event_hook_gets_what_a_kea_script_gets() {
    let mut bench = Bench::new();
    let calls = bench.calls("eventhook");
    assert_eq!(calls.len(), COUNT);
    let names = bench.by_client();
    for call in &calls {
        assert_eq!(call.arguments.len(), 2);
        assert_eq!(call.arguments[1], b"BOUND");
        let name = names[&call.environment["LEASE4_HWADDR"]];
        assert_eq!(call.environment["LEASE4_HOSTNAME"], as_hooks_get_it(name), "{:?}", name.escape_ascii());
    }
}

#[test]
fn dnsmasq_takes_a_host_name_for_itself_and_passes_on_what_was_supplied() {
    let mut bench = Bench::new();
    let calls = bench.calls("dnsmasq");
    let names = bench.by_client();
    let added: Vec<_> = calls.iter().filter(|call| call.arguments[0] == b"add").collect();
    assert_eq!(added.len(), COUNT);
    let mut taken = 0;
    for call in &added {
        let name = names[&call.arguments[1]];
        let shown = name.escape_ascii();
        // Up to a NUL octet or an equals sign, otherwise as it came.
        let supplied = until_nul(name).split(|octet| *octet == b'=').next().unwrap_or_default();
        let found = call.environment.get("DNSMASQ_SUPPLIED_HOSTNAME");
        assert_eq!(found.map(Vec::as_slice), (!until_nul(name).is_empty()).then_some(supplied), "{shown}");
        // The fourth argument is a label of letters, digits, hyphens and underscores, or is not there.
        match &call.arguments[3..] {
            [] => assert!(!is_label(until_nul(name)) || b"-_".contains(&name[0]), "{shown}"),
            [label] => {
                taken += 1;
                assert!(is_label(label) && name.starts_with(label), "{shown}");
            }
            more => panic!("{} arguments", more.len()),
        }
    }
    assert!((10..COUNT - 10).contains(&taken), "{taken}");
    // Whatever else is called is about names that one client has lost to another.
    for call in calls.iter().filter(|call| call.arguments[0] != b"add") {
        assert_eq!(call.arguments[0], b"old");
        assert!(call.arguments.len() == 3);
    }
}

#[test]
fn dhclient_passes_on_names_that_can_be_names_and_discards_others() {
    let mut bench = Bench::new();
    let calls = bench.calls("dhclient");
    let names = bench.by_client();
    let bound: Vec<_> = calls.iter().filter(|call| call.environment["reason"] == b"BOUND").collect();
    assert_eq!(bound.len(), COUNT);
    let mut taken = 0;
    for call in &bound {
        assert!(call.arguments.is_empty());
        let name = names[&call.environment["OBSERVER_CLIENT_HWADDR"]];
        let shown = name.escape_ascii();
        let end = name.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
        let plain = name[..end].iter().all(u8::is_ascii_alphanumeric) && is_label(&name[..end]);
        match call.environment.get("new_host_name") {
            None => assert!(!plain, "{shown}"),
            Some(found) => {
                taken += 1;
                assert_eq!(found, &name[..end], "{shown}");
                let is_safe = |octet: &u8| octet.is_ascii_alphanumeric() || b"-_.".contains(octet);
                assert!(found.iter().all(is_safe) && !found.starts_with(b"-"), "{shown}");
            }
        }
    }
    assert!((10..COUNT - 10).contains(&taken), "{taken}");
}
