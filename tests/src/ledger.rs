//! What a hook was told over many lives of an observer, checked against what truly happened.
//!
//! The hook appends one line a call. Every deed can be known again in it: each exchange has a lease time of its own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;

use anyhow::{Context, Result};

/// The hook: one line a call, in a single write to a file opened for appending, named `calls` beside the script. Words:
/// event, attempt, hook point, address, lease time.
pub const SCRIPT: &str = r#"#!/bin/sh
printf '%s %s %s %s %s\n' "$OBSERVER_EVENT_ID" "$OBSERVER_ATTEMPT" "$1" \
    "${LEASES4_AT0_ADDRESS:-${DELETED_LEASES4_AT0_ADDRESS:-${LEASE4_ADDRESS:-none}}}" \
    "${LEASES4_AT0_VALID_LIFETIME:-${LEASE4_VALID_LIFETIME:-0}}" >>"${0%/*}/calls"
"#;

/// Something that happened on the wire and that hooks are to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deed {
    /// An ACK for this address, with a lease time that no other ACK has.
    Given(Ipv4Addr, u32),
    /// A RELEASE of this address, of which there is one.
    Released(Ipv4Addr),
}

impl Deed {
    /// The lease that it is about.
    pub const fn address(&self) -> Ipv4Addr {
        match self {
            Self::Given(address, _) | Self::Released(address) => *address,
        }
    }
}

/// One line of the hook's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `OBSERVER_EVENT_ID`.
    pub event: u64,
    /// `OBSERVER_ATTEMPT`.
    pub attempt: u32,
    /// Kea's name for the occasion.
    pub hook_point: String,
    /// The lease.
    pub address: Ipv4Addr,
    /// Its time, seconds; 0 where none was told.
    pub lifetime: u32,
}

impl Line {
    /// Reads what [`SCRIPT`] writes.
    pub fn parse(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let [event, attempt, hook_point, address, lifetime] = words[..] else {
            anyhow::bail!("{text:?} is not a line of the hook's")
        };
        let line = || -> Result<Self> {
            Ok(Self {
                event: event.parse()?,
                attempt: attempt.parse()?,
                hook_point: hook_point.to_owned(),
                address: address.parse()?,
                lifetime: lifetime.parse()?,
            })
        };
        line().with_context(|| format!("{text:?} is not a line of the hook's"))
    }

    /// The deed that it tells of. The two calls of a renewal are about one deed, of which the second one counts.
    fn deed(&self) -> Option<Deed> {
        match self.hook_point.as_str() {
            "leases4_committed" if self.lifetime > 0 => Some(Deed::Given(self.address, self.lifetime)),
            "lease4_release" => Some(Deed::Released(self.address)),
            _ => None,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Events that were told.
    pub events: usize,
    /// Calls that were made again.
    pub repeats: usize,
    /// Deeds that nobody was told of, in order.
    pub untold: Vec<Deed>,
    /// What must never be, in words.
    pub faults: Vec<String>,
}

/// Compares what happened, in the order in which it happened, with what the hook wrote, in the order in which it did.
pub fn check(deeds: &[Deed], lines: &[Line]) -> Verdict {
    let mut verdict = Verdict::default();
    let places: HashMap<Deed, usize> = deeds.iter().enumerate().map(|(place, deed)| (*deed, place)).collect();
    let mut events: HashMap<u64, Vec<&Line>> = HashMap::new();
    let mut told: HashMap<Deed, u64> = HashMap::new();
    let mut last: BTreeMap<Ipv4Addr, (usize, &Line)> = BTreeMap::new();
    let mut last_event: BTreeMap<Ipv4Addr, &Line> = BTreeMap::new();
    for line in lines {
        let before = events.entry(line.event).or_default();
        if let Some(first) = before.first() {
            verdict.repeats += 1;
            if (&first.hook_point, first.address, first.lifetime)
                != (&line.hook_point, line.address, line.lifetime)
            {
                verdict.faults.push(format!("one number, two events: {first:?} and {line:?}"));
            }
            if before.iter().any(|other| other.attempt == line.attempt) {
                verdict.faults.push(format!("one attempt twice: {line:?}"));
            }
            before.push(line);
            continue;
        }
        before.push(line);
        verdict.events += 1;
        if let Some(before) = last_event.insert(line.address, line)
            && before.event > line.event
        {
            verdict.faults.push(format!("out of order: {before:?} came before {line:?}"));
        }
        let Some(deed) = line.deed() else { continue };
        let Some(&place) = places.get(&deed) else {
            verdict.faults.push(format!("invented: {line:?}"));
            continue;
        };
        if let Some(event) = told.insert(deed, line.event) {
            verdict.faults.push(format!("told as two events: {event} and {line:?}"));
        }
        if let Some((before, other)) = last.insert(line.address, (place, line))
            && before > place
        {
            verdict.faults.push(format!("out of order: {other:?} came before {line:?}"));
        }
    }
    let mut seen = HashSet::new();
    verdict.untold =
        deeds.iter().copied().filter(|deed| !told.contains_key(deed) && seen.insert(*deed)).collect();
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const DEEDS: [Deed; 5] = [
        Deed::Given(A, 101),
        Deed::Given(B, 102),
        Deed::Given(A, 103),
        Deed::Released(A),
        Deed::Given(B, 104),
    ];

    fn lines(text: &str) -> Vec<Line> {
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| Line::parse(line).unwrap())
            .collect()
    }

    const ALL: &str = "1 1 leases4_committed 10.0.0.1 101
        2 1 leases4_committed 10.0.0.2 102
        3 1 lease4_renew 10.0.0.1 103
        4 1 leases4_committed 10.0.0.1 103
        5 1 lease4_release 10.0.0.1 103
        6 1 leases4_committed 10.0.0.1 0
        8 1 leases4_committed 10.0.0.2 104";

    #[test]
    fn a_life_without_accidents() {
        let verdict = check(&DEEDS, &lines(ALL));
        assert_eq!(verdict, Verdict { events: 7, ..Verdict::default() });
    }

    #[test]
    fn leases_may_overtake_each_other_and_repeats_may_come_at_any_time() {
        let text = ALL.replace("2 1 leases4_committed 10.0.0.2 102\n", "");
        let text = text.replace("8 1", "2 1 leases4_committed 10.0.0.2 102\n8 1");
        let text = format!("{text}\n4 2 leases4_committed 10.0.0.1 103\n4 3 leases4_committed 10.0.0.1 103");
        let verdict = check(&DEEDS, &lines(&text));
        assert_eq!(verdict, Verdict { events: 7, repeats: 2, ..Verdict::default() });
    }

    /// What is found when the log is changed so.
    fn fault(from: &str, to: &str) -> Verdict {
        assert!(ALL.contains(from), "{from}");
        check(&DEEDS, &lines(&ALL.replace(from, to)))
    }

    #[test]
    fn what_is_missing_is_named() {
        let verdict = fault("8 1 leases4_committed 10.0.0.2 104", "");
        assert_eq!((verdict.untold.as_slice(), verdict.events), (&DEEDS[4..], 6));
        assert_eq!(fault("5 1 lease4_release 10.0.0.1 103\n", "").untold, [Deed::Released(A)]);
        assert_eq!(check(&DEEDS, &[]).untold, DEEDS);
    }

    #[test]
    fn what_must_not_be_is_a_fault() {
        let second = "\n4 1 leases4_committed 10.0.0.1 103";
        let last = "8 1 leases4_committed 10.0.0.2 104";
        for (from, to, word) in [
            ("10.0.0.2 104", "10.0.0.2 105", "invented"),
            ("10.0.0.2 104", "10.0.0.3 104", "invented"),
            (last, &format!("{last}{second}"), "one attempt twice"),
            (last, &format!("{last}\n4 2 leases4_committed 10.0.0.1 101"), "one number, two events"),
            (last, &format!("{last}\n9 1 leases4_committed 10.0.0.2 104"), "told as two events"),
            ("1 1 leases4_committed 10.0.0.1 101", "7 1 leases4_committed 10.0.0.1 101", "out of order"),
            ("8 1", "0 1", "out of order"),
        ] {
            let verdict = fault(from, to);
            assert!(verdict.faults.iter().any(|fault| fault.contains(word)), "{to}: {verdict:?}");
        }
        // In order by their numbers, and not by what happened.
        let swapped = ALL.replace(" 101", " 1x").replace(" 103", " 101").replace(" 1x", " 103");
        let verdict = check(&DEEDS, &lines(&swapped));
        assert!(verdict.faults.iter().any(|fault| fault.contains("out of order")), "{verdict:?}");
    }

    #[test]
    fn a_line_that_was_torn_is_no_line() {
        for text in ["", "1 1 leases4_committed 10.0.0.1", "1 1 x none 0", "a 1 x 10.0.0.1 0"] {
            assert!(Line::parse(text).is_err(), "{text}");
        }
    }
}
