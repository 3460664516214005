//! What pinned things are called. A bpffs holds no files of text, so names carry what the next observer must know.

use std::fmt;

use dhcp_observer_ebpf::{Counter, Direction};

use super::super::live::Attach;

/// The directory of an observer in its network namespace: by the name that it was given, else by its interfaces.
pub fn instance(network_namespace: u64, given: Option<&str>, interfaces: &[String]) -> String {
    let what = match given {
        Some(name) => format!("as_{}", escape(name)),
        None => {
            let mut names: Vec<_> = interfaces.iter().map(|name| escape(name)).collect();
            names.sort();
            names.dedup();
            format!("if_{}", names.join("+"))
        }
    };
    let mut name = format!("{}{what}", namespace_prefix(network_namespace));
    if name.len() > LONGEST {
        let hash = hash(name.bytes());
        name.truncate(LONGEST);
        name.push_str(&format!("~{hash:016x}"));
    }
    name
}

/// The options by which `dhcp-observer detach` is about this instance, each with a blank before it; empty where its name does
/// not tell, so that all are meant. `None` when it is one of another network namespace.
pub fn detach_options(instance: &str, network_namespace: u64) -> Option<String> {
    let what = instance.strip_prefix(&namespace_prefix(network_namespace))?;
    let option = |(flag, value): (&str, &str)| Some(format!(" {flag} {}", quoted(&unescape(value)?)));
    let options = if instance.len() > LONGEST {
        None
    } else if let Some(name) = what.strip_prefix("as_") {
        option(("--instance", name))
    } else {
        what.strip_prefix("if_")?.split('+').map(|name| option(("--iface", name))).collect()
    };
    Some(options.unwrap_or_default())
}

/// A word as a shell takes it for one.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// What the names of a network namespace's instances begin with.
pub fn namespace_prefix(network_namespace: u64) -> String {
    format!("net{network_namespace}_")
}

/// What a directory is called may have 255 octets; room is left for the hash that a longer name ends with.
const LONGEST: usize = 200;

/// The directory of everything that fits together: programs, counters, ring and the way of attaching. An observer for
/// which this differs reads the old ring to its end and never writes to it.
pub fn version(object: &[u8], ring_bytes: u32, attach: Attach) -> String {
    let counters = hash(Counter::ALL.iter().flat_map(|counter| counter.name().bytes().chain([0])));
    let attach = match attach {
        Attach::Tc => "tc",
        Attach::Clsact => "clsact",
        Attach::Xdp => "xdp",
    };
    format!("{:016x}-{counters:016x}-{ring_bytes}-{attach}", hash(object.iter().copied()))
}

/// Whether a directory is that of an observer that attached in this way.
pub fn is_attached_by(version: &str, attach: Attach) -> bool {
    let way = |version: &str| version.rsplit('-').next().map(str::to_owned);
    way(version) == way(&self::version(&[], 0, attach))
}

/// Whether the counters of two versions lie in the same order.
pub fn same_counters(one: &str, other: &str) -> bool {
    one.split('-').nth(1) == other.split('-').nth(1)
}

/// FNV-1a. The standard library's hash may change from one compiler to the next, and then an old ring would not be
/// recognised.
fn hash(octets: impl Iterator<Item = u8>) -> u64 {
    octets.fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3))
}

/// How one direction of an interface is observed, as far as taking it over is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// By a TCX link, which is pinned.
    Tcx,
    /// By a clsact filter, which stays by itself. What is pinned is only a mark.
    Clsact,
    /// By an XDP link in the driver.
    XdpDriver,
    /// By a generic XDP link.
    XdpGeneric,
}

impl Held {
    const ALL: [Self; 4] = [Self::Tcx, Self::Clsact, Self::XdpDriver, Self::XdpGeneric];

    const fn word(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
            Self::XdpDriver => "xdp",
            Self::XdpGeneric => "xdpgeneric",
        }
    }
}

/// A link's name: `in-2-tcx-eth0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkName {
    /// Which frames.
    pub direction: Direction,
    /// The interface's index.
    pub index: u32,
    /// How.
    pub held: Held,
    /// The interface's name when it was attached to.
    pub interface: String,
}

impl LinkName {
    /// Reads a name that [`fmt::Display`] has written.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '-');
        let direction = match parts.next()? {
            "in" => Direction::In,
            "out" => Direction::Out,
            _ => return None,
        };
        let index = parts.next()?.parse().ok()?;
        let held = parts.next()?;
        let held = Held::ALL.into_iter().find(|known| known.word() == held)?;
        Some(Self { direction, index, held, interface: unescape(parts.next()?)? })
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self.direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        write!(f, "{way}-{}-{}-{}", self.index, self.held.word(), escape(&self.interface))
    }
}

/// A bpffs takes no dots, and an interface may be called nearly anything.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(char::from(octet)),
            other => escaped.push_str(&format!("%{other:02x}")),
        }
    }
    escaped
}

fn unescape(text: &str) -> Option<String> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_its_set_of_interfaces_in_its_namespace() {
        let of = |names: &[&str]| {
            instance(7, None, &names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(of(&["eth1", "eth0.5", "eth1"]), "net7_if_eth0%2e5+eth1");
        assert_eq!(of(&["eth0.5", "eth1"]), of(&["eth1", "eth0.5"]));
        assert_eq!(instance(7, Some("a b"), &[]), "net7_as_a%20b");
        let many: Vec<String> = (0..100).map(|number| format!("interface{number}")).collect();
        let (one, other) = (instance(1, None, &many), instance(1, None, &many[..99]));
        assert!(one.len() < 255 && one != other);
    }

    #[test]
    fn the_name_of_an_instance_says_how_it_is_detached() {
        let names = ["eth0.5".to_owned(), "a$b".to_owned()];
        let options = |given, interfaces| detach_options(&instance(7, given, interfaces), 7).unwrap();
        assert_eq!(options(None, &names[..]), " --iface 'a$b' --iface eth0.5");
        assert_eq!(options(Some("it's mine"), &names), " --instance 'it'\\''s mine'");
        assert_eq!(detach_options(&instance(7, None, &names), 70), None);
        let many: Vec<String> = (0..100).map(|number| format!("interface{number}")).collect();
        assert_eq!(options(None, &many), "");
    }

    #[test]
    fn a_version_tells_apart_what_does_not_fit() {
        let versions = [
            version(b"a", 4096, Attach::Tc),
            version(b"b", 4096, Attach::Tc),
            version(b"a", 8192, Attach::Tc),
            version(b"a", 4096, Attach::Xdp),
        ];
        for (place, one) in versions.iter().enumerate() {
            assert!(!versions[..place].contains(one), "{one}");
            assert!(same_counters(one, &versions[0]));
            assert_eq!(is_attached_by(one, Attach::Tc), place < 3);
        }
    }

    #[test]
    fn the_name_of_a_link_is_read_back() {
        for interface in ["eth0", "br-lan", "eth0.100", "wän%", ""] {
            for (direction, held) in [Direction::In, Direction::Out].into_iter().zip(Held::ALL) {
                let name = LinkName { direction, index: 12, held, interface: interface.to_owned() };
                assert_eq!(LinkName::parse(&name.to_string()), Some(name));
            }
        }
        for wrong in ["RING", "in-2-tcx", "up-2-tcx-eth0", "in-x-tcx-eth0", "in-2-tc-eth0", "in-2-tcx-%2"] {
            assert_eq!(LinkName::parse(wrong), None, "{wrong}");
        }
    }
}
