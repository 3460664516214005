//! Are two lists of hook calls the same story?
//!
//! Calls are compared packet by packet, because a server starts the scripts of one packet without waiting and they
//! overtake each other. Variables that begin with `OBSERVER_` are ours and left aside.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::call::Call;

/// What may differ.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// By how many seconds a `*_CLTT` may differ.
    pub cltt_within: f64,
    /// How many seconds later the actual calls are by nature, such as a recording that is sent again.
    pub shift: f64,
    /// By how many seconds after `shift` the time of a call may differ; `None` for any.
    pub at_within: Option<f64>,
    /// Whether the variables must also be in the same order. The recordings are sorted and cannot tell.
    pub variable_order: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { cltt_within: 1.0, shift: 0.0, at_within: None, variable_order: false }
    }
}

/// What caused a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// A client's packet, by transaction and message type.
    Query { txid: String, kind: String },
    /// The end of a lease, by address and by how often it had ended before.
    End { address: String, nth: usize },
}

/// Each call with its cause.
pub(crate) fn causes(calls: &[Call]) -> Vec<(Cause, &Call)> {
    let mut ends: BTreeMap<(String, String), usize> = BTreeMap::new();
    let cause = |call: &Call| match call.any(&["QUERY4_TXID", "QUERY6_TXID"]) {
        Some(txid) => {
            let kind = call.any(&["QUERY4_TYPE", "QUERY6_TYPE"]).unwrap_or_default();
            Cause::Query { txid: txid.to_owned(), kind: kind.to_owned() }
        }
        None => {
            let address = call.any(&["LEASE4_ADDRESS", "LEASE6_ADDRESS"]).unwrap_or_default().to_owned();
            // Expire and recover of one end are counted apart, because recover may have been written down first.
            let count = ends.entry((call.hook().to_owned(), address.clone())).or_default();
            *count += 1;
            Cause::End { address, nth: *count }
        }
    };
    let found: Vec<Cause> = calls.iter().map(cause).collect();
    found.into_iter().zip(calls).collect()
}

/// Compares as sets, one for each packet or end of a lease. An error says what differs, variable by variable.
pub fn compare(expected: &[Call], actual: &[Call], rules: &Rules) -> Result<(), String> {
    let mut rest = causes(actual);
    let mut report = String::new();
    for (cause, wanted) in causes(expected) {
        // The closest call of the same cause and hook point is its counterpart.
        let candidates =
            rest.iter().enumerate().filter(|(_, (c, call))| *c == cause && call.hook() == wanted.hook());
        let best = candidates
            .map(|(at, (_, call))| (differences(wanted, call, rules), at))
            .min_by_key(|(d, _)| d.len());
        match best {
            None => {
                let _ = writeln!(report, "missing: {}", describe(&cause, wanted));
            }
            Some((differences, at)) => {
                rest.remove(at);
                if !differences.is_empty() {
                    let _ = writeln!(report, "different: {}", describe(&cause, wanted));
                    differences.iter().for_each(|line| report.push_str(&format!("    {line}\n")));
                }
            }
        }
    }
    for (cause, call) in rest {
        let _ = writeln!(report, "not expected: {}", describe(&cause, call));
    }
    if report.is_empty() { Ok(()) } else { Err(report) }
}

/// Compares call by call: the same calls in the same order.
pub fn compare_in_order(expected: &[Call], actual: &[Call], rules: &Rules) -> Result<(), String> {
    let sequence = |calls: &[Call]| -> Vec<String> {
        causes(calls).iter().map(|(cause, call)| format!("{}\n", describe(cause, call))).collect()
    };
    let (wanted, found) = (sequence(expected), sequence(actual));
    if wanted != found {
        return Err(format!("expected this order:\n{}but found:\n{}", wanted.concat(), found.concat()));
    }
    compare(expected, actual, rules)
}

pub(crate) fn describe(cause: &Cause, call: &Call) -> String {
    let address =
        call.any(&["LEASE4_ADDRESS", "LEASE6_ADDRESS", "LEASES4_AT0_ADDRESS", "LEASES6_AT0_ADDRESS"]);
    let address = address.unwrap_or("no lease");
    match cause {
        Cause::Query { txid, kind } => format!("{} ({address}) of {kind} {txid}", call.hook()),
        Cause::End { nth, .. } => format!("{} ({address}), end number {nth} of this lease", call.hook()),
    }
}

pub(crate) fn variables(call: &Call) -> impl Iterator<Item = (&str, &str)> {
    let all = call.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    all.filter(|(name, _)| !name.starts_with("OBSERVER_"))
}

/// What differs between two calls of the same cause and hook point, one line each.
fn differences(wanted: &Call, found: &Call, rules: &Rules) -> Vec<String> {
    let mut lines = Vec::new();
    if wanted.argv != found.argv {
        lines.push(format!("arguments: expected {:?}, found {:?}", wanted.argv, found.argv));
    }
    if let Some(within) = rules.at_within {
        let late = found.at - rules.shift - wanted.at;
        if late.abs() > within {
            lines.push(format!("time: {late:.3} s from the expected one"));
        }
    }
    let (left, right): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (variables(wanted).collect(), variables(found).collect());
    for (name, value) in &left {
        match right.get(name) {
            None => lines.push(format!("{name}: expected {value:?}, not set")),
            Some(other) if !same(name, value, other, rules) => {
                lines.push(format!("{name}: expected {value:?}, found {other:?}"));
            }
            Some(_) => {}
        }
    }
    for (name, value) in right.iter().filter(|(name, _)| !left.contains_key(*name)) {
        lines.push(format!("{name}: not expected, found {value:?}"));
    }
    if rules.variable_order && lines.is_empty() {
        let pairs = variables(wanted).zip(variables(found));
        if let Some(((wanted, _), (found, _))) = pairs.into_iter().find(|(wanted, found)| wanted.0 != found.0)
        {
            lines.push(format!("order of the environment: expected {wanted} where {found} is"));
        }
    }
    lines
}

fn same(name: &str, wanted: &str, found: &str, rules: &Rules) -> bool {
    if name.ends_with("_CLTT")
        && let (Ok(wanted), Ok(found)) = (wanted.parse::<f64>(), found.parse::<f64>())
    {
        return (found - rules.shift - wanted).abs() <= rules.cltt_within;
    }
    wanted == found
}

/// Checks that calls are in the order in which Kea starts them: packets one after the other, within a packet the
/// hooks of single leases before `*_committed` and addresses before prefixes, `*_recover` right after `*_expire`,
/// and time never running back.
pub fn check_order(calls: &[Call]) -> Result<(), String> {
    for pair in calls.windows(2) {
        if pair[1].at < pair[0].at {
            return Err(format!(
                "{} at {} comes after {} at {}",
                pair[1].hook(),
                pair[1].at,
                pair[0].hook(),
                pair[0].at
            ));
        }
    }
    let all = causes(calls);
    for (at, (cause, call)) in all.iter().enumerate() {
        if call.hook().ends_with("_recover") {
            let before = at.checked_sub(1).and_then(|before| all.get(before));
            let follows =
                before.is_some_and(|(c, earlier)| c == cause && earlier.hook().ends_with("_expire"));
            if !follows {
                return Err(format!("{} does not follow its expire", describe(cause, call)));
            }
        }
    }
    let queries: Vec<_> = all.iter().filter(|(cause, _)| matches!(cause, Cause::Query { .. })).collect();
    let mut seen: Vec<&Cause> = Vec::new();
    for (at, (cause, call)) in queries.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| queries[before]).filter(|(earlier, _)| earlier == cause);
        match before {
            Some((_, earlier)) if rank(earlier) > rank(call) => {
                return Err(format!("{} comes after {}", describe(cause, call), earlier.hook()));
            }
            Some(_) => {}
            None if seen.contains(&cause) => {
                return Err(format!("{} is apart from the rest of its packet", describe(cause, call)));
            }
            None => seen.push(cause),
        }
    }
    Ok(())
}

/// The place of a call within its packet.
fn rank(call: &Call) -> u8 {
    match call.hook() {
        "leases4_committed" | "leases6_committed" => 2,
        _ if call.get("LEASE6_TYPE") == Some("IA_PD") => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(at: f64, hook: &str, env: &[(&str, &str)]) -> Call {
        Call { at, ..Call::of(&[hook], env) }
    }

    fn renewal(cltt: &str, name: &str) -> Call {
        let query = [("QUERY4_TXID", "1"), ("QUERY4_TYPE", "DHCPREQUEST")];
        call(1.0, "lease4_renew", &[&query[..], &[("LEASE4_CLTT", cltt), ("LEASE4_HOSTNAME", name)]].concat())
    }

    #[test]
    fn the_same_calls_are_the_same_whatever_their_order_and_whatever_we_add() {
        let committed =
            call(1.0, "leases4_committed", &[("QUERY4_TXID", "1"), ("QUERY4_TYPE", "DHCPREQUEST")]);
        let mut ours = renewal("101", "a");
        ours.env.insert(0, ("OBSERVER_EVENT".to_owned(), "renew".to_owned()));
        let (kea, ours) = ([committed.clone(), renewal("100", "a")], [ours, committed]);
        assert_eq!(compare(&kea, &ours, &Rules::default()), Ok(()));
        assert!(compare_in_order(&kea, &ours, &Rules::default()).is_err());
    }

    #[test]
    fn a_difference_names_its_variable_and_both_values() {
        let rules = Rules::default();
        let report = compare(&[renewal("100", "a")], &[renewal("102", "b")], &rules).unwrap_err();
        assert!(report.contains("LEASE4_CLTT: expected \"100\", found \"102\""), "{report}");
        assert!(report.contains("LEASE4_HOSTNAME: expected \"a\", found \"b\""), "{report}");
        let shifted = Rules { shift: 2.0, ..rules };
        assert_eq!(compare(&[renewal("100", "a")], &[renewal("102", "a")], &shifted), Ok(()));
    }

    #[test]
    fn missing_and_additional_calls_are_reported() {
        let (rules, one) = (Rules::default(), [renewal("100", "a")]);
        assert!(compare(&one, &[], &rules).unwrap_err().starts_with("missing: lease4_renew"));
        assert!(compare(&[], &one, &rules).unwrap_err().starts_with("not expected: lease4_renew"));
        let mut unset = renewal("100", "a");
        unset.env.pop();
        let report = compare(&one, &[unset.clone()], &rules).unwrap_err();
        assert!(report.contains("LEASE4_HOSTNAME: expected \"a\", not set"), "{report}");
        let report = compare(&[unset], &one, &rules).unwrap_err();
        assert!(report.contains("LEASE4_HOSTNAME: not expected, found \"a\""), "{report}");
    }

    #[test]
    fn each_end_of_a_lease_is_compared_with_the_same_end() {
        let end = |hook: &str, cltt: &str| {
            call(0.0, hook, &[("LEASE4_ADDRESS", "192.0.2.100"), ("LEASE4_CLTT", cltt)])
        };
        let kea = [end("lease4_recover", "10"), end("lease4_expire", "10"), end("lease4_expire", "20")];
        let ours = [end("lease4_expire", "10"), end("lease4_recover", "10"), end("lease4_expire", "20")];
        assert_eq!(compare(&kea, &ours, &Rules::default()), Ok(()));
        assert_eq!(check_order(&ours), Ok(()));
        assert!(check_order(&kea).is_err());
    }

    #[test]
    fn the_order_of_variables_counts_when_asked_for() {
        let mut ours = renewal("100", "a");
        ours.env.swap(0, 1);
        let strict = Rules { variable_order: true, ..Rules::default() };
        assert_eq!(compare(&[renewal("100", "a")], &[ours.clone()], &Rules::default()), Ok(()));
        assert!(compare(&[renewal("100", "a")], &[ours], &strict).is_err());
    }

    #[test]
    fn order_within_a_packet_is_keas() {
        let lease6 = |hook: &str, kind: &str, txid: &str| {
            call(0.0, hook, &[("QUERY6_TXID", txid), ("QUERY6_TYPE", "RENEW"), ("LEASE6_TYPE", kind)])
        };
        let committed =
            |txid: &str| call(0.0, "leases6_committed", &[("QUERY6_TXID", txid), ("QUERY6_TYPE", "RENEW")]);
        let (na, pd) = (lease6("lease6_renew", "IA_NA", "7"), lease6("lease6_renew", "IA_PD", "7"));
        assert_eq!(check_order(&[na.clone(), pd.clone(), committed("7"), committed("8")]), Ok(()));
        for wrong in [
            vec![pd.clone(), na.clone()],
            vec![committed("7"), na.clone()],
            vec![na.clone(), committed("8"), committed("7")],
            vec![Call { at: 2.0, ..na }, Call { at: 1.0, ..pd }],
        ] {
            assert!(check_order(&wrong).is_err(), "{wrong:?}");
        }
    }
}
