//! Which variables the calls of a dialect can have, for whoever passes them on without trusting whom he has them from.

use std::ffi::CStr;

use super::DialectName;
use super::invocation::Strings;
use super::{dhclient, dnsmasq};

/// Beginnings of the names of Kea's variables, but for those in [`KEA_WHOLE`].
const KEA: [&str; 15] = [
    "QUERY4_",
    "QUERY6_",
    "SUBNET4_",
    "SUBNET6_",
    "PKT4_",
    "PKT6_",
    "LEASE4_",
    "LEASE6_",
    "LEASES4_",
    "LEASES6_",
    "DELETED_LEASES4_",
    "DELETED_LEASES6_",
    "NEW_LEASE6_",
    "OLD_LEASE6_",
    "REMOVE_",
];
/// Kea's other variables.
const KEA_WHOLE: [&str; 1] = ["ADDRESS6"];
/// An event hook's: it is told of one lease in Kea's words.
const EVENTHOOK: [&str; 4] = ["QUERY4_", "QUERY6_", "LEASE4_", "LEASE6_"];
/// The same of dhclient's, behind which is what an option is called.
const DHCLIENT: [&str; 4] = ["new_", "old_", "cur_", "requested_"];
const DHCLIENT_WHOLE: [&str; 3] = ["reason", "interface", "dad_wait_time"];
const DNSMASQ: [&str; 1] = ["DNSMASQ_"];
/// Ours, in every dialect.
const OURS: &str = "OBSERVER_";

/// Whether a call of this dialect can have this variable, a `NAME=value`.
pub fn has(dialect: DialectName, variable: &[u8]) -> bool {
    let Some(end) = memchr::memchr(b'=', variable) else { return false };
    let (name, value) = variable.split_at(end);
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let (beginnings, whole): (&[&str], &[&str]) = match dialect {
        DialectName::Kea => (&KEA, &KEA_WHOLE),
        DialectName::Dhclient => (&DHCLIENT, &DHCLIENT_WHOLE),
        DialectName::Eventhook => (&EVENTHOOK, &[]),
        DialectName::Dnsmasq => (&DNSMASQ, &[]),
    };
    // Two programs set this one themselves, each always to the same.
    let is_path = match dialect {
        DialectName::Dhclient => name == "PATH" && value.get(1..) == Some(dhclient::PATH.as_bytes()),
        DialectName::Dnsmasq => variable == dnsmasq::PATH.as_bytes(),
        DialectName::Kea | DialectName::Eventhook => false,
    };
    is_path
        || name.starts_with(OURS)
        || whole.contains(&name)
        || beginnings.iter().any(|beginning| name.starts_with(beginning))
}

/// Whether a call of this dialect can have these arguments: as many as it has, its word where that stands, and nothing that
/// a program could take for an option.
pub fn calls(dialect: DialectName, arguments: &Strings) -> bool {
    let arguments: Vec<_> = arguments.iter().map(CStr::to_bytes).collect();
    let is_word = |argument: &[u8]| dialect.words().iter().any(|word| word.as_bytes() == argument);
    let fits = match (dialect, arguments.as_slice()) {
        (DialectName::Kea, [word]) | (DialectName::Eventhook, [_, word]) => is_word(word),
        (DialectName::Dhclient, []) => true,
        // Action, client, address and, where there is one, the name.
        (DialectName::Dnsmasq, [word, _, _] | [word, _, _, _]) => is_word(word),
        _ => false,
    };
    fits && !arguments.iter().any(|argument| argument.starts_with(b"-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::reference;

    #[test]
    fn what_is_documented_is_there() {
        for row in reference::reference() {
            let variable = format!("{}=value", row.name);
            assert!(has(DialectName::Kea, variable.as_bytes()), "{variable}");
        }
    }

    #[test]
    fn what_changes_how_a_program_runs_is_not() {
        for dialect in DialectName::ALL {
            for variable in [
                "LD_PRELOAD=/tmp/x",
                "PATH=/tmp",
                "BASH_ENV=/tmp/x",
                "IFS=:",
                "PYTHONPATH=.",
                "PERL5OPT=-x",
                "=",
                "new",
                "",
            ] {
                assert!(!has(dialect, variable.as_bytes()), "{dialect}: {variable}");
            }
        }
    }

    #[test]
    fn each_dialect_has_its_own_words() {
        for (dialect, variable) in [
            (DialectName::Dhclient, "new_ip_address=192.0.2.1"),
            (DialectName::Dhclient, "reason=BOUND"),
            (DialectName::Dnsmasq, "DNSMASQ_INTERFACE=eth0"),
            (DialectName::Kea, "LEASES4_AT0_ADDRESS=192.0.2.1"),
        ] {
            for other in DialectName::ALL {
                assert_eq!(has(other, variable.as_bytes()), other == dialect, "{other}: {variable}");
            }
        }
    }
}
