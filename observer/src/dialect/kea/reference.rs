//! The table of variables in the README, made from the tables that write them.

use crate::dialect::variable::{Source, Variable};

use super::lease::{LEASE4, LEASE6};
use super::query4::{QUERY4, SUBNET4, pkt4};
use super::query6::{PKT6_IA, QUERY6, QUERY6_RELAY};

/// One line of the reference.
#[derive(Clone, Debug)]
pub struct Row {
    /// The variable; `<i>` stands for an index from 0.
    pub name: String,
    /// The hook points that have it.
    pub hook_points: &'static str,
    /// How its value is known.
    pub source: Source,
    /// Whether it is left out, rather than empty, when there is no value.
    pub optional: bool,
    /// What it says.
    pub meaning: &'static str,
}

fn rows<T: ?Sized>(hook_points: &'static str, prefix: &str, variables: &[Variable<T>]) -> Vec<Row> {
    variables
        .iter()
        .map(|variable| Row {
            name: format!("{prefix}{}", variable.name),
            hook_points,
            source: variable.source,
            optional: variable.is_optional(),
            meaning: variable.meaning,
        })
        .collect()
}

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
pub fn reference() -> Vec<Row> {
    const QUERIES4: &str = "lease4_renew, leases4_committed, lease4_release, lease4_decline";
    const QUERIES6: &str = "lease6_renew, lease6_rebind, leases6_committed, lease6_release, lease6_decline, addr6_register";
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
        row("DELETED_LEASES4_SIZE", "leases4_committed", Source::Tracked, false, "how many leases it took away"),
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
        row("DELETED_LEASES6_SIZE", "leases6_committed", Source::Tracked, false, "how many leases it took away"),
        rows("leases6_committed", "DELETED_LEASES6_AT<i>_", LEASE6),
        row(
            "REMOVE_LEASE",
            EXPIRE,
            Source::Configured,
            false,
            "`true` if the server deletes the record at once (`flush-reclaimed-timer-wait-time` 0)",
        ),
        row(
            "OBSERVER_EVENT",
            "all",
            Source::Tracked,
            false,
            "`commit`, `renew`, `rebind`, `release`, `decline`, `expire` or `recover`",
        ),
        row("OBSERVER_INFERRED", "all", Source::Tracked, true, "`1`: the question behind the answer was not seen"),
        row(
            "OBSERVER_ESTIMATED",
            "all",
            Source::Tracked,
            true,
            "`1`: no frame said so; it follows from what the server did next or from its known rules",
        ),
        row("OBSERVER_ATTEMPT", "all", Source::Tracked, false, "`1`, or more when the hook is started again"),
    ]
    .concat()
}
