//! Kea's variables in the reference.

use crate::dialect::reference::{Row, rows};
use crate::dialect::variable::Source;

use super::lease::{LEASE4, LEASE6};
use super::query4::{QUERY4, SUBNET4, pkt4};
use super::query6::{PKT6_IA, QUERY6, QUERY6_RELAY};

fn row(
    name: &str,
    hook_points: &'static str,
    source: Source,
    optional: bool,
    meaning: &'static str,
) -> Vec<Row> {
    vec![Row { name: name.to_owned(), hook_points, source, optional, meaning }]
}

/// Every variable of every hook point, in the order in which a hook gets them.
pub(in crate::dialect) fn reference() -> Vec<Row> {
    const QUERIES4: &str = "lease4_renew, leases4_committed, lease4_release, lease4_decline";
    const QUERIES6: &str =
        "lease6_renew, lease6_rebind, leases6_committed, lease6_release, lease6_decline, addr6_register";
    const ONE4: &str = "lease4_renew, lease4_release, lease4_decline, lease4_expire, lease4_recover";
    const ONE6: &str =
        "lease6_renew, lease6_rebind, lease6_release, lease6_decline, lease6_expire, lease6_recover";
    const EXTENDED6: &str = "lease6_renew, lease6_rebind";
    const EXPIRE: &str = "lease4_expire, lease6_expire";
    [
        rows(QUERIES4, "", QUERY4),
        rows("lease4_renew", "", SUBNET4),
        rows("lease4_renew", "", &pkt4()),
        rows(ONE4, "LEASE4_", LEASE4),
        row("LEASES4_SIZE", "leases4_committed", Source::Tracked, false, "how many leases the exchange gave"),
        rows("leases4_committed", "LEASES4_AT<i>_", LEASE4),
        row(
            "DELETED_LEASES4_SIZE",
            "leases4_committed",
            Source::Tracked,
            false,
            "how many leases it took away",
        ),
        rows("leases4_committed", "DELETED_LEASES4_AT<i>_", LEASE4),
        rows(QUERIES6, "", QUERY6),
        rows(QUERIES6, "", QUERY6_RELAY),
        row("ADDRESS6", "addr6_register", Source::Observed, false, "the registered address (3.0)"),
        rows("addr6_register", "OLD_LEASE6_", LEASE6),
        rows("addr6_register", "NEW_LEASE6_", LEASE6),
        rows(ONE6, "LEASE6_", LEASE6),
        rows(EXTENDED6, "", PKT6_IA),
        row("LEASES6_SIZE", "leases6_committed", Source::Tracked, false, "how many leases the exchange gave"),
        rows("leases6_committed", "LEASES6_AT<i>_", LEASE6),
        row(
            "DELETED_LEASES6_SIZE",
            "leases6_committed",
            Source::Tracked,
            false,
            "how many leases it took away",
        ),
        rows("leases6_committed", "DELETED_LEASES6_AT<i>_", LEASE6),
        row(
            "REMOVE_LEASE",
            EXPIRE,
            Source::Configured,
            false,
            "`true` if the server deletes the record at once (`flush-reclaimed-timer-wait-time` 0)",
        ),
    ]
    .concat()
}
