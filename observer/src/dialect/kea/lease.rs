//! `LEASE4_*`, `LEASES4_AT<i>_*`, `LEASE6_*` and their like.

use crate::dialect::text;
use crate::dialect::variable::{Source, Variable};
use crate::identity::Identifier;
use crate::tracker::{Lease4, Lease6};

/// A DHCPv4 lease, behind a prefix.
pub(in crate::dialect) const LEASE4: &[Variable<Lease4>] = &[
    Variable::always("ADDRESS", Source::Observed, "the leased address", |lease, out| {
        text::ipv4(out, lease.address)
    }),
    Variable::always(
        "CLTT",
        Source::Observed,
        "client last transmission time, Unix seconds",
        |lease, out| text::number(out, lease.cltt.unix_seconds()),
    ),
    Variable::always(
        "HOSTNAME",
        Source::Observed,
        "the host name: option 81, else option 12, of the answer or else of the client, see `--hostname`",
        |lease, out| out.extend_from_slice(&lease.hostname),
    ),
    Variable::always("HWADDR", Source::Observed, "hardware address; empty once declined", |lease, out| {
        text::hardware(out, Some(&lease.hwaddr))
    }),
    Variable::always("HWADDR_TYPE", Source::Observed, "ARP hardware type, decimal", |lease, out| {
        text::hardware_type(out, Some(&lease.hwaddr))
    }),
    Variable::always(
        "STATE",
        Source::Tracked,
        "`default`, `declined` or `expired-reclaimed`; also `released` and `registered` (3.0)",
        |lease, out| out.extend_from_slice(lease.state.name().as_bytes()),
    ),
    Variable::always("SUBNET_ID", Source::Configured, "the subnet's identifier", |lease, out| {
        subnet_id(lease.subnet_id, out)
    }),
    Variable::always(
        "VALID_LIFETIME",
        Source::Observed,
        "seconds; 4294967295 is infinite; the probation period once declined",
        |lease, out| text::number(out, lease.valid_lifetime.to_wire()),
    ),
    Variable::always(
        "CLIENT_ID",
        Source::Observed,
        "client identifier; empty if none or not heeded (`match-client-id`)",
        |lease, out| text::colon_hex(out, lease.client_id.as_ref().map_or(&[], Identifier::octets)),
    ),
];

/// A DHCPv6 lease, behind a prefix.
pub(in crate::dialect) const LEASE6: &[Variable<Lease6>] = &[
    Variable::always(
        "ADDRESS",
        Source::Observed,
        "the leased address, or the first address of the prefix",
        |lease, out| text::ipv6(out, lease.address),
    ),
    Variable::always(
        "CLTT",
        Source::Observed,
        "client last transmission time, Unix seconds",
        |lease, out| text::number(out, lease.cltt.unix_seconds()),
    ),
    Variable::always(
        "HOSTNAME",
        Source::Observed,
        "the host name: option 39 of the answer or else of the client, see `--hostname`",
        |lease, out| out.extend_from_slice(&lease.hostname),
    ),
    Variable::always(
        "HWADDR",
        Source::Observed,
        "hardware address by `mac-sources`; empty if none was found",
        |lease, out| text::hardware(out, lease.hwaddr.as_ref()),
    ),
    Variable::always(
        "HWADDR_TYPE",
        Source::Observed,
        "ARP hardware type, decimal; empty if no address was found",
        |lease, out| text::hardware_type(out, lease.hwaddr.as_ref()),
    ),
    Variable::always(
        "STATE",
        Source::Tracked,
        "`default`, `declined` or `expired-reclaimed`; also `released` and `registered` (3.0)",
        |lease, out| out.extend_from_slice(lease.state.name().as_bytes()),
    ),
    Variable::always("SUBNET_ID", Source::Configured, "the subnet's identifier", |lease, out| {
        subnet_id(lease.subnet_id, out)
    }),
    Variable::always(
        "VALID_LIFETIME",
        Source::Observed,
        "seconds; 4294967295 is infinite; the probation period once declined",
        |lease, out| text::number(out, lease.valid_lifetime.to_wire()),
    ),
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

fn subnet_id(id: Option<u32>, out: &mut Vec<u8>) {
    if let Some(id) = id {
        text::number(out, id);
    }
}
