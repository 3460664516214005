//! Are the calls of a real dhclient's script and ours the same story, variable by variable?
//!
//! The real calls happen on the client. What the wire cannot tell, or what we do otherwise on purpose, has a reason with a
//! name in [`REASONS`]; everything else must be equal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::call::Call;

/// Why a variable may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The client process's own.
    OwnProcess,
    /// dhclient 4.4.3 says RENEW for a broadcast request that the same server answers; its manual page says REBIND.
    ManualPage,
    /// ISC's own options inside vendor options: dhclient reads their codes as 32 bits where the wire has 16.
    OwnSpace,
    /// dhclient declines an address when its script fails. Ours has not failed: it was told of a lease, and is told of its
    /// end.
    Declined,
}

/// Which variables differ, and why: the reason, the variables, in words.
pub const REASONS: [(Reason, &str, &str); 4] = [
    (Reason::OwnProcess, "pid, medium, alias_*, client", "the client process's own; left out"),
    (
        Reason::ManualPage,
        "reason",
        "REBIND for a broadcast request, as the manual page has it; dhclient 4.4.3 was seen to say RENEW when the same \
         server answers",
    ),
    (Reason::OwnSpace, "*_isc6_unknown_*, *_isc_unknown_*", "ISC's own options in vendor options; left out"),
    (
        Reason::Declined,
        "a call of EXPIRE",
        "the end of a lease that the client declines; dhclient itself says nothing then",
    ),
];

fn reason(name: &str, real: Option<&str>, ours: Option<&str>) -> Option<Reason> {
    let bare = ["new_", "old_", "cur_"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    match (name, real, ours) {
        ("pid" | "medium" | "client", _, None) => Some(Reason::OwnProcess),
        ("reason", Some("RENEW"), Some("REBIND")) => Some(Reason::ManualPage),
        (_, _, None) if name.starts_with("alias_") => Some(Reason::OwnProcess),
        (_, _, None) if bare.starts_with("isc6_unknown_") => Some(Reason::OwnSpace),
        _ => None,
    }
}

/// How much is equal.
#[derive(Clone, Debug, Default)]
pub struct Fidelity {
    /// Calls on both sides.
    pub calls: usize,
    /// Variables that are the same on both sides.
    pub equal: usize,
    /// Variables that differ for a reason.
    pub reasoned: BTreeMap<Reason, usize>,
    /// What differs without one, a line each.
    pub differences: Vec<String>,
    /// The reasons for a call that were seen on both sides.
    pub words: BTreeSet<String>,
}

impl Fidelity {
    /// Compares call by call, in order.
    pub fn of(real: &[Call], ours: &[Call]) -> Self {
        let mut fidelity = Self::default();
        let is_decline = |call: &Call| call.get("OBSERVER_EVENT") == Some("decline");
        let declined = ours.iter().filter(|call| is_decline(call)).count();
        if declined > 0 {
            fidelity.reasoned.insert(Reason::Declined, declined);
        }
        let ours: Vec<Call> = ours.iter().filter(|call| !is_decline(call)).cloned().collect();
        let words = |calls: &[Call]| calls.iter().map(what).collect::<Vec<_>>();
        if real.len() != ours.len() {
            fidelity.differences.push(format!(
                "{} real calls, {} of ours:\n  {:?}\n  {:?}",
                real.len(),
                ours.len(),
                words(real),
                words(&ours)
            ));
        }
        for (real, ours) in real.iter().zip(&ours) {
            fidelity.calls += 1;
            fidelity.compare(real, ours);
        }
        fidelity
    }

    fn compare(&mut self, real: &Call, ours: &Call) {
        let variables = |call: &Call| -> BTreeMap<String, String> {
            let all = call.env.iter().filter(|(name, _)| !name.starts_with("OBSERVER_") && name != "PATH");
            all.cloned().collect()
        };
        let (left, right) = (variables(real), variables(ours));
        if real.argv != ours.argv {
            self.differences.push(format!("{}: arguments {:?}, ours {:?}", what(real), real.argv, ours.argv));
        }
        for name in left.keys().chain(right.keys()).collect::<BTreeSet<_>>() {
            let (theirs, own) = (left.get(name).map(String::as_str), right.get(name).map(String::as_str));
            if same(name, theirs, own) {
                self.equal += 1;
                if name == "reason" {
                    self.words.extend(own.map(str::to_owned));
                }
            } else if let Some(reason) = reason(name, theirs, own) {
                *self.reasoned.entry(reason).or_default() += 1;
            } else {
                self.differences.push(format!("{}: {name} is {theirs:?}, ours {own:?}", what(real)));
            }
        }
    }

    /// Adds another comparison.
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.equal += other.equal;
        for (reason, count) in other.reasoned {
            *self.reasoned.entry(reason).or_default() += count;
        }
        self.differences.extend(other.differences);
        self.words.extend(other.words);
    }

    /// Variables that the wire can tell.
    pub fn told(&self) -> usize {
        self.equal + self.differences.len()
    }
}

impl fmt::Display for Fidelity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.equal as f64 / self.told().max(1) as f64;
        writeln!(
            f,
            "{} calls ({}), {} of {} variables that the wire can tell are equal: {percent:.2} %",
            self.calls,
            self.words.iter().cloned().collect::<Vec<_>>().join(" "),
            self.equal,
            self.told()
        )?;
        for (reason, count) in &self.reasoned {
            let words = REASONS.iter().find(|(other, ..)| other == reason).map_or("", |(_, _, words)| words);
            writeln!(f, "  {count} differ because: {words}")?;
        }
        self.differences.iter().take(60).try_for_each(|line| writeln!(f, "  DIFFERENT {line}"))
    }
}

/// A call in one word or two.
fn what(call: &Call) -> String {
    let addresses =
        ["new_ip_address", "old_ip_address", "new_ip6_address", "old_ip6_address", "cur_ip6_address"];
    format!("{} {}", call.get("reason").unwrap_or("?"), call.any(&addresses).unwrap_or(""))
}

/// Equal, or a time that differs by one second: both sides cut a fraction off, each at its own moment.
fn same(name: &str, real: Option<&str>, ours: Option<&str>) -> bool {
    let is_time = ["expiry", "starts", "life_starts"].iter().any(|time| name.ends_with(&format!("_{time}")));
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    real == ours
        || is_time && number(real).zip(number(ours)).is_some_and(|(real, ours)| real.abs_diff(ours) <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(env: &[(&str, &str)]) -> Call {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Call { at: 0.0, argv: Vec::new(), env }
    }

    #[test]
    fn every_difference_is_found_unless_it_has_a_reason() {
        let real = call(&[("reason", "RENEW"), ("pid", "7"), ("new_expiry", "100"), ("new_routers", "a")]);
        let ours = call(&[("reason", "REBIND"), ("new_expiry", "101"), ("new_routers", "a"), ("PATH", "/")]);
        let fidelity = Fidelity::of(std::slice::from_ref(&real), std::slice::from_ref(&ours));
        assert_eq!((fidelity.differences.len(), fidelity.equal), (0, 2), "{fidelity}");
        assert_eq!(fidelity.reasoned.len(), 2);
        for (name, value) in
            [("new_routers", "b"), ("new_expiry", "102"), ("new_more", ""), ("reason", "BOUND")]
        {
            let mut other = ours.clone();
            other.env.retain(|(found, _)| found != name);
            other.env.push((name.to_owned(), value.to_owned()));
            assert_eq!(Fidelity::of(std::slice::from_ref(&real), &[other]).differences.len(), 1, "{name}");
        }
        assert_eq!(Fidelity::of(&[real.clone(), real], &[ours]).differences.len(), 1);
    }
}
