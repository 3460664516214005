//! The tables beside the hooks.

use std::path::PathBuf;

use toml::de::DeValue;
use tracing::level_filters::LevelFilter;

use super::reader::{At, Section};
use super::value::{self, DURATION};
use super::{Capture, Control, Daemon, Interface, Limits, Log, Pins, Server, Socket, Store};
use crate::capture::live::Attach;
use crate::config::{HostnameFrom, KeaVersion, kea};
use crate::control;
use crate::logging::Format;
use crate::seed;
use crate::store::{self, Durability};
use crate::tracker::{Answers, network};

/// The longest name of an interface (IFNAMSIZ without its NUL).
const LONGEST_NAME: usize = 15;

/// `[[interface]]`
pub(super) fn interfaces(top: &Section<'_, '_>) -> Vec<Interface> {
    let mut interfaces: Vec<Interface> = Vec::new();
    for mut section in top.tables("interface") {
        let name = section.get("name", "the name of an interface, 15 octets at most", |value| {
            let is_name = |name: &&str| {
                (1..=LONGEST_NAME).contains(&name.len())
                    && !name.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control())
            };
            value.as_str().filter(is_name).map(str::to_owned)
        });
        match &name {
            Some(name) => section.name = format!("interface {:?}", name.value),
            None if !section.has("name") => section.wrong_here("name is missing"),
            None => {}
        }
        let wait = section.boolean("wait").unwrap_or_default();
        section.finish();
        let Some(At { value: name, at }) = name else { continue };
        if interfaces.iter().any(|earlier| earlier.name == name) {
            section.wrong(at, "name", "named twice");
        }
        interfaces.push(Interface { name, wait });
    }
    interfaces
}

/// `[capture]`
pub(super) fn capture(section: &Section<'_, '_>) -> Capture {
    use log::LevelFilter::{Debug, Error, Info, Off, Trace, Warn};
    let defaults = Capture::default();
    let attach = [("tc", Attach::Tc), ("clsact", Attach::Clsact), ("xdp", Attach::Xdp)];
    let answers = [("out", Answers::Out), ("in", Answers::In), ("both", Answers::Both)];
    let levels =
        [("off", Off), ("error", Error), ("warn", Warn), ("info", Info), ("debug", Debug), ("trace", Trace)];
    let capture = Capture {
        attach: section.word("attach", &attach).unwrap_or(defaults.attach),
        promiscuous: section.boolean("promiscuous").unwrap_or(defaults.promiscuous),
        answers: section.word("answers", &answers).unwrap_or(defaults.answers),
        ebpf_log: section.word("ebpf_log", &levels).unwrap_or(defaults.ebpf_log),
    };
    section.finish();
    capture
}

/// The longest name of an observer: it becomes a part of a directory's name.
const LONGEST_INSTANCE: usize = 64;

/// `[pins]`
pub(super) fn pins(section: &Section<'_, '_>) -> Pins {
    let defaults = Pins::default();
    let is_name = |name: &&str| {
        (1..=LONGEST_INSTANCE).contains(&name.len()) && !name.contains(|c: char| c.is_control())
    };
    let expected = format!("a name of {LONGEST_INSTANCE} octets at most");
    let instance =
        section.get("instance", &expected, |value| value.as_str().filter(is_name).map(str::to_owned));
    let bpffs = section.get("bpffs", "an absolute path", value::absolute);
    let pins = Pins {
        enabled: section.boolean("enabled").unwrap_or(defaults.enabled),
        keep: section.boolean("keep").unwrap_or(defaults.keep),
        instance: instance.map(|found| found.value),
        bpffs: bpffs.map_or(defaults.bpffs, |found| found.value),
    };
    if pins.keep && !pins.enabled {
        section.wrong(section.at_of("keep"), "keep", "keeps nothing where enabled = false");
    }
    section.finish();
    pins
}

/// `[server]`
pub(super) fn server(section: &Section<'_, '_>) -> Server {
    let versions = [
        ("2.2", KeaVersion::V2_2),
        ("2.4", KeaVersion::V2_6),
        ("2.6", KeaVersion::V2_6),
        ("3.0", KeaVersion::V3_0),
        ("3.2", KeaVersion::V3_2),
    ];
    let hostnames = [
        ("answer", HostnameFrom::Answer),
        ("client", HostnameFrom::Client),
        ("answer-then-client", HostnameFrom::AnswerThenClient),
        ("client-then-answer", HostnameFrom::ClientThenAnswer),
    ];
    let paths = |key| section.several(key, "an absolute path", value::absolute);
    let kea_version = section.word("kea_version", &versions).unwrap_or_default();
    let hostname = section.word("hostname", &hostnames);
    let (configs, seeds) = (paths("kea_config"), paths("seed"));
    let values = |paths: Vec<At<PathBuf>>| paths.into_iter().map(|path| path.value).collect::<Vec<_>>();
    // Each file says itself where it is wrong.
    let mut are_sound = true;
    let looks = section.reader.looks;
    for At { value: path, at } in configs.iter().filter(|_| looks) {
        if let Err(error) = kea::load(std::slice::from_ref(path), kea_version) {
            are_sound = false;
            section.reader.wrong_elsewhere(*at, error.to_string());
        }
    }
    for At { value: path, at } in seeds.iter().filter(|_| looks) {
        if let Err(error) = seed::check(std::slice::from_ref(path)) {
            section.reader.wrong_elsewhere(*at, error.to_string());
        }
    }
    let first = configs.first().map(|path| path.at).filter(|_| are_sound && looks);
    let (kea_config, seed) = (values(configs), values(seeds));
    if let (Some(at), Err(error)) = (first, kea::load(&kea_config, kea_version)) {
        section.reader.wrong_elsewhere(at, error.to_string());
    }
    section.finish();
    Server { kea_config, kea_version, hostname, seed }
}

/// `[network_events]`
pub(super) fn network(section: &Section<'_, '_>) -> network::Options {
    let defaults = network::Options::default();
    let names = network::Kind::ALL.map(network::Kind::name);
    let expected = format!("{} or \"all\"", names.map(|name| format!("{name:?}")).join(", "));
    let kinds = section.several("kinds", &expected, |value: &DeValue<'_>| match value.as_str()? {
        "all" => Some(network::Kind::ALL.to_vec()),
        name => network::Kind::ALL.iter().find(|kind| kind.name() == name).map(|kind| vec![*kind]),
    });
    let options = network::Options {
        kinds: kinds.into_iter().flat_map(|kinds| kinds.value).collect(),
        unanswered_after: section
            .get("unanswered_after", DURATION, value::duration)
            .map_or(defaults.unanswered_after, |found| found.value),
    };
    section.finish();
    options
}

/// `[limits]`
pub(super) fn limits(section: &Section<'_, '_>) -> Limits {
    let defaults = Limits::default();
    let number = |key, most: u32, default: usize| {
        let found = section.number(key, 1..=i64::from(most));
        found.and_then(|number| usize::try_from(number.value).ok()).unwrap_or(default)
    };
    let limits = Limits {
        leases: number("leases", 1 << 30, defaults.leases),
        exchanges: number("exchanges", 1 << 24, defaults.exchanges),
        fragments: number("fragments", 1 << 20, defaults.fragments),
        max_hooks: number("max_hooks", 65_535, defaults.max_hooks),
        max_queue: number("max_queue", u32::MAX, defaults.max_queue),
        max_queue_per_lease: number("max_queue_per_lease", u32::MAX, defaults.max_queue_per_lease),
        ring_size: section
            .number("ring_size", 4_096..=1 << 30)
            .and_then(|number| u32::try_from(number.value).ok())
            .unwrap_or(defaults.ring_size),
    };
    section.finish();
    limits
}

/// `[store]`
pub(super) fn store(section: &Section<'_, '_>) -> Store {
    let defaults = Store::default();
    let directory =
        section.get("directory", "an absolute path, or \"none\"", |value| match value.as_str()? {
            "none" => Some(None),
            _ => value::absolute(value).map(Some),
        });
    let durability = [("process", Durability::Process), ("power", Durability::Power)];
    let number = |key, default: usize| {
        let found = section.number(key, 1..=i64::from(u32::MAX));
        found.and_then(|number| usize::try_from(number.value).ok()).unwrap_or(default)
    };
    let store = Store {
        directory: directory.map_or(defaults.directory, |found| found.value),
        durability: section.word("durability", &durability).unwrap_or_default(),
        limits: store::Limits {
            queued: number("max_queued", defaults.limits.queued),
            calls: number("max_calls", defaults.limits.calls),
            history: number("history", defaults.limits.history),
            unwritten: number("max_unwritten", defaults.limits.unwritten),
        },
        hold_after_gap: section
            .word("expire_after_gap", &[("fire", false), ("hold", true)])
            .unwrap_or(defaults.hold_after_gap),
    };
    section.finish();
    store
}

/// `[control]`
pub(super) fn control(section: &Section<'_, '_>) -> Control {
    let socket = section.get("socket", "an absolute path or \"none\"", |value| match value.as_str()? {
        "none" => Some(Socket::None),
        path if path == control::DEFAULT_PATH => Some(Socket::Default),
        _ => value::absolute(value).map(Socket::At),
    });
    let group = section.get("group", "the name or number of a group", value::name_or_number);
    let found = group.as_ref().and_then(|group| control::group(&group.value));
    if let (Some(group), None) = (&group, found) {
        section.wrong(group.at, "group", format!("there is no group {:?}", group.value));
    }
    let metrics = section.get("metrics", "an address and port such as \"127.0.0.1:9167\"", |value| {
        value.as_str()?.parse().ok()
    });
    section.finish();
    Control {
        socket: socket.map(|socket| socket.value).unwrap_or_default(),
        group: found,
        metrics: metrics.map(|metrics| metrics.value),
    }
}

/// `[daemon]`
pub(super) fn daemon(section: &Section<'_, '_>) -> Daemon {
    let run_as = super::attributes::read_credentials(section);
    if !section.has("user") && section.has("group") {
        section.wrong(section.at_of("group"), "group", "counts with user only");
    }
    section.finish();
    Daemon { run_as }
}

/// `[log]`
pub(super) fn log(section: &Section<'_, '_>) -> Log {
    let levels = [
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ];
    let formats = [("text", Format::Text), ("json", Format::Json), ("journald", Format::Journald)];
    let log = Log {
        level: section.word("level", &levels).unwrap_or(Log::default().level),
        format: section.word("format", &formats).unwrap_or_default(),
    };
    section.finish();
    log
}
