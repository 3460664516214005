//! Beside Kea's own variables of a lease: when it ends, what it was before, what changed, and the way to its prefix.

use std::fmt::Write as _;

use crate::dhcpv6::IaKind;
use crate::dialect::invocation::Strings;
use crate::dialect::kea::{LEASE4, LEASE6};
use crate::dialect::text;
use crate::dialect::variable::{Variable, write_all, write_one};
use crate::time::{Lifetime, Timestamp};
use crate::tracker::{Lease4, Lease6, Way};

use super::before;

pub(super) fn write_one4(environment: &mut Strings, lease: &Lease4, old: Option<&Lease4>) {
    write_expires(environment, "OBSERVER_", lease.cltt, lease.valid_lifetime);
    write_old(environment, "OBSERVER_", "LEASE4_", LEASE4, lease, old);
}

pub(super) fn write_one6(environment: &mut Strings, lease: &Lease6, old: Option<&Lease6>) {
    write_expires(environment, "OBSERVER_", lease.cltt, lease.valid_lifetime);
    write_way(environment, "OBSERVER_", lease);
    write_old(environment, "OBSERVER_", "LEASE6_", LEASE6, lease, old);
}

pub(super) fn write_lists4(
    environment: &mut Strings,
    leases: &[Lease4],
    befores: &[Option<Lease4>],
    deleted: &[Lease4],
) {
    for (index, lease) in leases.iter().enumerate() {
        let prefix = format!("OBSERVER_AT{index}_");
        write_expires(environment, &prefix, lease.cltt, lease.valid_lifetime);
        write_old(environment, &prefix, "LEASE4_", LEASE4, lease, before(befores, index));
    }
    for (index, lease) in deleted.iter().enumerate() {
        write_expires(environment, &format!("OBSERVER_DELETED_AT{index}_"), lease.cltt, lease.valid_lifetime);
    }
}

pub(super) fn write_lists6(
    environment: &mut Strings,
    leases: &[Lease6],
    befores: &[Option<Lease6>],
    deleted: &[Lease6],
) {
    for (index, lease) in leases.iter().enumerate() {
        let prefix = format!("OBSERVER_AT{index}_");
        write_expires(environment, &prefix, lease.cltt, lease.valid_lifetime);
        write_way(environment, &prefix, lease);
        write_old(environment, &prefix, "LEASE6_", LEASE6, lease, before(befores, index));
    }
    for (index, lease) in deleted.iter().enumerate() {
        let prefix = format!("OBSERVER_DELETED_AT{index}_");
        write_expires(environment, &prefix, lease.cltt, lease.valid_lifetime);
        write_way(environment, &prefix, lease);
    }
}

fn write_expires(environment: &mut Strings, prefix: &str, cltt: Timestamp, valid_lifetime: Lifetime) {
    environment.push_variable(prefix, "EXPIRES", |out| {
        match valid_lifetime.end(cltt) {
            Some(end) => text::number(out, end.unix_seconds()),
            None => out.extend_from_slice(b"never"),
        }
        true
    });
}

/// The old values behind `<prefix>OLD_<family>`, and the names of those that differ. CLTT always does and is not named.
fn write_old<L>(
    environment: &mut Strings,
    prefix: &str,
    family: &str,
    variables: &[Variable<L>],
    lease: &L,
    old: Option<&L>,
) {
    let Some(old) = old else { return };
    write_all(environment, &format!("{prefix}OLD_{family}"), variables, old);
    environment.push_variable(prefix, "CHANGED", |out| {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let mut any = false;
        for variable in variables.iter().filter(|variable| variable.name != "CLTT") {
            before.clear();
            after.clear();
            variable.write_value(old, &mut before);
            variable.write_value(lease, &mut after);
            if before != after {
                if any {
                    out.push(b' ');
                }
                out.extend_from_slice(variable.name.as_bytes());
                any = true;
            }
        }
        true
    });
}

/// What a route to a delegated prefix needs. Writing to strings cannot fail, here as below.
fn write_way(environment: &mut Strings, prefix: &str, lease: &Lease6) {
    if lease.kind != IaKind::PrefixDelegation {
        return;
    }
    let Way { next_hop, hwaddr, relay } = lease.way.as_deref().copied().unwrap_or_default();
    let mut name = String::new();
    let mut variable = |word: &str, write: &dyn Fn(&mut Vec<u8>)| {
        name.clear();
        let _ = write!(name, "{prefix}ROUTE_{word}");
        write_one(environment, &name, |out| write(out));
    };
    variable("PREFIX", &|out| {
        text::ipv6(out, lease.address);
        out.push(b'/');
        text::number(out, lease.prefix_len);
    });
    if let Some(next_hop) = next_hop {
        variable("NEXT_HOP", &|out| text::ipv6(out, next_hop));
    }
    if let Some(hwaddr) = &hwaddr {
        variable("HWADDR", &|out| text::hardware(out, Some(hwaddr)));
    }
    if let Some(relay) = relay {
        variable("RELAY", &|out| text::ipv6(out, relay));
    }
    if let Some(interface) = &lease.place.interface {
        variable("INTERFACE", &|out| out.extend_from_slice(interface.name.as_bytes()));
    }
}
