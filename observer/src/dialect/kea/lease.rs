//! `LEASE4_*`, `LEASES4_AT<i>_*`, `LEASE6_*` and their like.

use std::net::IpAddr;

use crate::dialect::text;
use crate::dialect::variable::{Source, Variable};
use crate::identity::{HardwareAddress, Identifier};
use crate::time::{Lifetime, Timestamp};
use crate::tracker::{Lease4, Lease6, LeaseState};

/// A DHCPv4 lease, behind a prefix.
pub(in crate::dialect) const LEASE4: &[Variable<Lease4>] = &[
    address("the leased address"),
    cltt(),
    hostname(
        "the host name: option 81, else option 12, of the answer or else of the client, see `--hostname`",
    ),
    hwaddr("hardware address; empty once declined"),
    hwaddr_type("ARP hardware type, decimal"),
    state(),
    subnet_id(),
    valid_lifetime(),
    Variable::always(
        "CLIENT_ID",
        Source::Observed,
        "client identifier; empty if none or not heeded (`match-client-id`)",
        |lease, out| text::colon_hex(out, lease.client_id.as_ref().map_or(&[], Identifier::octets)),
    ),
];

/// A DHCPv6 lease, behind a prefix.
pub(in crate::dialect) const LEASE6: &[Variable<Lease6>] = &[
    address("the leased address, or the first address of the prefix"),
    cltt(),
    hostname("the host name: option 39 of the answer or else of the client, see `--hostname`"),
    hwaddr("hardware address by `mac-sources`; empty if none was found"),
    hwaddr_type("ARP hardware type, decimal; empty if no address was found"),
    state(),
    subnet_id(),
    valid_lifetime(),
    Variable::always(
        "DUID",
        Source::Observed,
        "the client's DUID; `00` once declined (`00:00:00` since 2.6)",
        |lease, out| text::colon_hex(out, lease.duid.octets()),
    ),
    Variable::always("IAID", Source::Observed, "identity association identifier, decimal", |lease, out| {
        text::number(out, lease.iaid)
    }),
    Variable::always("PREFERRED_LIFETIME", Source::Observed, "seconds; 0 once declined", |lease, out| {
        text::number(out, lease.preferred_lifetime.to_wire())
    }),
    Variable::always("PREFIX_LEN", Source::Observed, "prefix length, 128 for an address", |lease, out| {
        text::number(out, lease.prefix_len)
    }),
    Variable::always("TYPE", Source::Observed, "`IA_NA`, `IA_PD` or `IA_TA`", |lease, out| {
        out.extend_from_slice(lease.kind.name().as_bytes())
    }),
];

/// What a lease of either family has, and Kea tells in the same variables.
struct Common<'a> {
    address: IpAddr,
    cltt: Timestamp,
    hostname: &'a [u8],
    hwaddr: Option<&'a HardwareAddress>,
    state: LeaseState,
    subnet_id: Option<u32>,
    valid_lifetime: Lifetime,
}

trait Lease {
    fn common(&self) -> Common<'_>;
}

impl Lease for Lease4 {
    fn common(&self) -> Common<'_> {
        let Self { cltt, state, subnet_id, valid_lifetime, .. } = *self;
        let (address, hwaddr) = (self.address.into(), Some(&self.hwaddr));
        Common { address, cltt, hostname: &self.hostname, hwaddr, state, subnet_id, valid_lifetime }
    }
}

impl Lease for Lease6 {
    fn common(&self) -> Common<'_> {
        let Self { cltt, state, subnet_id, valid_lifetime, .. } = *self;
        let (address, hwaddr) = (self.address.into(), self.hwaddr.as_ref());
        Common { address, cltt, hostname: &self.hostname, hwaddr, state, subnet_id, valid_lifetime }
    }
}

const fn address<L: Lease>(meaning: &'static str) -> Variable<L> {
    Variable::always("ADDRESS", Source::Observed, meaning, |lease, out| {
        text::ip(out, lease.common().address);
    })
}

const fn cltt<L: Lease>() -> Variable<L> {
    let meaning = "client last transmission time, Unix seconds";
    Variable::always("CLTT", Source::Observed, meaning, |lease, out| {
        text::number(out, lease.common().cltt.unix_seconds());
    })
}

const fn hostname<L: Lease>(meaning: &'static str) -> Variable<L> {
    Variable::always("HOSTNAME", Source::Observed, meaning, |lease, out| {
        out.extend_from_slice(lease.common().hostname);
    })
}

const fn hwaddr<L: Lease>(meaning: &'static str) -> Variable<L> {
    Variable::always("HWADDR", Source::Observed, meaning, |lease, out| {
        text::hardware(out, lease.common().hwaddr);
    })
}

const fn hwaddr_type<L: Lease>(meaning: &'static str) -> Variable<L> {
    Variable::always("HWADDR_TYPE", Source::Observed, meaning, |lease, out| {
        text::hardware_type(out, lease.common().hwaddr);
    })
}

const fn state<L: Lease>() -> Variable<L> {
    let meaning = "`default`, `declined` or `expired-reclaimed`; also `released` and `registered` (3.0)";
    Variable::always("STATE", Source::Tracked, meaning, |lease, out| {
        out.extend_from_slice(lease.common().state.name().as_bytes());
    })
}

const fn subnet_id<L: Lease>() -> Variable<L> {
    Variable::always("SUBNET_ID", Source::Configured, "the subnet's identifier", |lease, out| {
        if let Some(id) = lease.common().subnet_id {
            text::number(out, id);
        }
    })
}

const fn valid_lifetime<L: Lease>() -> Variable<L> {
    let meaning = "seconds; 4294967295 is infinite; the probation period once declined";
    Variable::always("VALID_LIFETIME", Source::Observed, meaning, |lease, out| {
        text::number(out, lease.common().valid_lifetime.to_wire());
    })
}
