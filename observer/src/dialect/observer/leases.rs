//! Beside Kea's own variables of a lease: when it ends, what it was before, what changed, and the way to its prefix.

use crate::dhcpv6::IaKind;
use crate::dialect::invocation::Strings;
use crate::dialect::kea::{LEASE4, LEASE6};
use crate::dialect::text;
use crate::dialect::variable::Variable;
use crate::time::{Lifetime, Timestamp};
use crate::tracker::{Lease4, Lease6, Way};

use super::before;

pub(super) fn write_one4(environment: &mut Strings, lease: &Lease4, old: Option<&Lease4>) {
    write_expires(environment, "OBSERVER_", lease.cltt, lease.valid_lifetime);
    write_old4(environment, "OBSERVER_", lease, old);
}

pub(super) fn write_one6(environment: &mut Strings, lease: &Lease6, old: Option<&Lease6>) {
    write_expires(environment, "OBSERVER_", lease.cltt, lease.valid_lifetime);
    write_way(environment, "OBSERVER_", lease);
    write_old6(environment, "OBSERVER_", lease, old);
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
        write_old4(environment, &prefix, lease, before(befores, index));
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
        write_old6(environment, &prefix, lease, before(befores, index));
    }
    for (index, lease) in deleted.iter().enumerate() {
        let prefix = format!("OBSERVER_DELETED_AT{index}_");
        write_expires(environment, &prefix, lease.cltt, lease.valid_lifetime);
        write_way(environment, &prefix, lease);
    }
}

/// The variable that every renewal changes.
const CLTT: &str = "CLTT";

fn write_old4(environment: &mut Strings, prefix: &str, lease: &Lease4, old: Option<&Lease4>) {
    write_old(environment, prefix, "LEASE4_", LEASE4, lease, old, |old| Lease4 {
        cltt: lease.cltt,
        ..old.clone()
    });
}

fn write_old6(environment: &mut Strings, prefix: &str, lease: &Lease6, old: Option<&Lease6>) {
    write_old(environment, prefix, "LEASE6_", LEASE6, lease, old, |old| Lease6 {
        cltt: lease.cltt,
        ..old.clone()
    });
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

/// The old values of what changed, and their names. CLTT always does: it is given and not named.
fn write_old<L: Clone + PartialEq>(
    environment: &mut Strings,
    prefix: &str,
    family: &str,
    variables: &[Variable<L>],
    lease: &L,
    old: Option<&L>,
    renewed: impl FnOnce(&L) -> L,
) {
    let Some(old) = old else { return };
    let prefix_of_old = [prefix, "OLD_", family].concat();
    let mut changed = Vec::new();
    let is_same = renewed(old) == *lease;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for variable in variables.iter().filter(|variable| !is_same || variable.name == CLTT) {
        before.clear();
        variable.write_value(old, &mut before);
        if variable.name != CLTT {
            after.clear();
            variable.write_value(lease, &mut after);
            if before == after {
                continue;
            }
            changed.push(variable.name);
        }
        environment.push_variable(&prefix_of_old, variable.name, |out| {
            out.extend_from_slice(&before);
            true
        });
    }
    environment.push_variable(prefix, "CHANGED", |out| {
        out.extend_from_slice(changed.join(" ").as_bytes());
        true
    });
}

/// What a route to a delegated prefix needs.
fn write_way(environment: &mut Strings, prefix: &str, lease: &Lease6) {
    if lease.kind != IaKind::PrefixDelegation {
        return;
    }
    let Way { next_hop, hwaddr, relay } = lease.way.as_deref().copied().unwrap_or_default();
    let mut variable = |word: &str, write: &dyn Fn(&mut Vec<u8>)| {
        environment.push_variable(prefix, word, |out| {
            write(out);
            true
        });
    };
    variable("ROUTE_PREFIX", &|out| {
        text::ipv6(out, lease.address);
        out.push(b'/');
        text::number(out, lease.prefix_len);
    });
    if let Some(next_hop) = next_hop {
        variable("ROUTE_NEXT_HOP", &|out| text::ipv6(out, next_hop));
    }
    if let Some(hwaddr) = &hwaddr {
        variable("ROUTE_HWADDR", &|out| text::hardware(out, Some(hwaddr)));
    }
    if let Some(relay) = relay {
        variable("ROUTE_RELAY", &|out| text::ipv6(out, relay));
    }
    if let Some(interface) = &lease.place.interface {
        variable("ROUTE_INTERFACE", &|out| out.extend_from_slice(interface.name.as_bytes()));
    }
}
