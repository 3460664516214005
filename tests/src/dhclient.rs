//! The calls of a real dhclient's script beside ours, by a [`Measure`]. The real calls happen on the client.

use crate::call::Call;
use crate::fidelity::{Fidelity, Measure};

const OWN_PROCESS: &str = "pid, medium, alias_*, client are the client process's own; left out";
const MANUAL_PAGE: &str = "REBIND for a broadcast request, as the manual page has it; dhclient 4.4.3 was seen to say \
                           RENEW when the same server answers";
/// dhclient reads their codes as 32 bits where the wire has 16.
const OWN_SPACE: &str = "ISC's own options in vendor options; left out";
/// Our script has not failed: it was told of a lease, and is told of its end.
const DECLINED: &str =
    "the end of a lease that the client declines, since its script failed; dhclient itself says nothing then";

const MEASURE: Measure = Measure {
    arguments: &[],
    word: "reason",
    subject: &["new_ip_address", "old_ip_address", "new_ip6_address", "old_ip6_address", "cur_ip6_address"],
    is_told: |name| !name.starts_with("OBSERVER_") && name != "PATH",
    is_time: |name| ["_expiry", "_starts", "_life_starts"].iter().any(|time| name.ends_with(time)),
    reason,
};

fn reason(name: &str, real: Option<&str>, ours: Option<&str>) -> Option<&'static str> {
    let bare = ["new_", "old_", "cur_"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    match (name, real, ours) {
        ("pid" | "medium" | "client", _, None) => Some(OWN_PROCESS),
        ("reason", Some("RENEW"), Some("REBIND")) => Some(MANUAL_PAGE),
        (_, _, None) if name.starts_with("alias_") => Some(OWN_PROCESS),
        (_, _, None) if bare.starts_with("isc6_unknown_") => Some(OWN_SPACE),
        _ => None,
    }
}

/// Compares call by call, in order.
pub fn compare(real: &[Call], ours: &[Call]) -> Fidelity {
    let is_decline = |call: &Call| call.get("OBSERVER_EVENT") == Some("decline");
    let (declined, ours): (Vec<Call>, Vec<Call>) = ours.iter().cloned().partition(is_decline);
    let mut fidelity = MEASURE.compare("", real, &ours);
    if !declined.is_empty() {
        fidelity.reasoned.insert(DECLINED, declined.len());
    }
    fidelity
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_found_unless_it_has_a_reason() {
        let real = [("reason", "RENEW"), ("pid", "7"), ("new_expiry", "100"), ("new_routers", "a")];
        let ours = [("reason", "REBIND"), ("new_expiry", "101"), ("new_routers", "a"), ("PATH", "/")];
        let (real, ours) = (Call::of(&[], &real), Call::of(&[], &ours));
        let fidelity = compare(std::slice::from_ref(&real), std::slice::from_ref(&ours));
        assert_eq!((fidelity.differences.len(), fidelity.equal), (0, 2), "{fidelity}");
        assert_eq!(fidelity.reasoned.len(), 2);
        for (name, value) in
            [("new_routers", "b"), ("new_expiry", "102"), ("new_more", ""), ("reason", "BOUND")]
        {
            let other = ours.clone().with(name, value);
            assert_eq!(compare(std::slice::from_ref(&real), &[other]).differences.len(), 1, "{name}");
        }
        assert_eq!(compare(&[real.clone(), real], &[ours]).differences.len(), 1);
    }

    #[test]
    fn a_decline_is_told_by_us_alone() {
        let bound = Call::of(&[], &[("reason", "BOUND")]);
        let declined = Call::of(&[], &[("reason", "EXPIRE"), ("OBSERVER_EVENT", "decline")]);
        let fidelity = compare(std::slice::from_ref(&bound), &[bound.clone(), declined]);
        assert_eq!((fidelity.differences.len(), fidelity.equal), (0, 1), "{fidelity}");
        assert_eq!(fidelity.reasoned.get(DECLINED), Some(&1));
    }
}
