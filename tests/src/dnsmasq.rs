//! Are the calls of a real dnsmasq's script and ours the same story, argument by argument and variable by variable?
//!
//! What the wire cannot tell has a reason with a name; everything else must be equal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::call::Call;

/// Why a variable may differ: the variable, in words.
pub const REASONS: [(&str, &str); 1] =
    [("DNSMASQ_TAGS", "which tags dnsmasq sets is its configuration; ours are those of `tags`")];

/// How much is equal.
#[derive(Clone, Debug, Default)]
pub struct Fidelity {
    /// Calls on both sides.
    pub calls: usize,
    /// Arguments and variables that are the same on both sides.
    pub equal: usize,
    /// Variables that differ for a reason, and how often.
    pub reasoned: BTreeMap<&'static str, usize>,
    /// What differs without one, a line each.
    pub differences: Vec<String>,
    /// The names of what is equal.
    pub names: BTreeSet<String>,
}

impl Fidelity {
    /// Compares call by call, in order; `what` stands before each difference.
    pub fn of(what: &str, real: &[Call], ours: &[Call]) -> Self {
        let mut fidelity = Self::default();
        let words = |calls: &[Call]| calls.iter().map(|call| call.argv.join(" ")).collect::<Vec<_>>();
        if real.len() != ours.len() {
            let line =
                format!("{what}: dnsmasq called\n    {:#?}\n  we\n    {:#?}", words(real), words(ours));
            fidelity.differences.push(line);
        }
        for (real, ours) in real.iter().zip(ours) {
            fidelity.calls += 1;
            fidelity.compare(what, real, ours);
        }
        fidelity
    }

    fn compare(&mut self, what: &str, real: &Call, ours: &Call) {
        let call = real.argv.join(" ");
        for place in 0..real.argv.len().max(ours.argv.len()) {
            let (theirs, own) = (real.argv.get(place), ours.argv.get(place));
            let name = ["action", "client", "address", "name"].get(place).unwrap_or(&"more");
            self.judge(&format!("{what}: {call}"), name, theirs.map(String::as_str), own.map(String::as_str));
        }
        let variables = |call: &Call| -> BTreeMap<String, String> {
            call.env.iter().filter(|(name, _)| name.starts_with("DNSMASQ_")).cloned().collect()
        };
        let (left, right) = (variables(real), variables(ours));
        for name in left.keys().chain(right.keys()).collect::<BTreeSet<_>>() {
            let (theirs, own) = (left.get(name).map(String::as_str), right.get(name).map(String::as_str));
            self.judge(&format!("{what}: {call}"), name, theirs, own);
        }
    }

    fn judge(&mut self, what: &str, name: &str, theirs: Option<&str>, own: Option<&str>) {
        if same(name, theirs, own) {
            self.equal += 1;
            self.names.insert(name.to_owned());
        } else if name == "DNSMASQ_TAGS" {
            *self.reasoned.entry("DNSMASQ_TAGS").or_default() += 1;
        } else {
            self.differences.push(format!("{what}: {name} is {theirs:?}, ours {own:?}"));
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
        self.names.extend(other.names);
    }

    /// Arguments and variables that the wire can tell.
    pub fn told(&self) -> usize {
        self.equal + self.differences.len()
    }
}

impl fmt::Display for Fidelity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.equal as f64 / self.told().max(1) as f64;
        writeln!(
            f,
            "{} calls, {} of {} arguments and variables that the wire can tell are equal: {percent:.2} %",
            self.calls,
            self.equal,
            self.told()
        )?;
        writeln!(f, "  equal: {}", self.names.iter().cloned().collect::<Vec<_>>().join(" "))?;
        for (name, count) in &self.reasoned {
            let words = REASONS.iter().find(|(other, _)| other == name).map_or("", |(_, words)| words);
            writeln!(f, "  {name} differs {count} times: {words}")?;
        }
        self.differences.iter().take(60).try_for_each(|line| writeln!(f, "  DIFFERENT {line}"))
    }
}

/// Equal, or a time that differs by one second: dnsmasq reads its clock before the frame of its answer is stamped, and
/// once more when it calls the script.
fn same(name: &str, real: Option<&str>, ours: Option<&str>) -> bool {
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let is_time = matches!(name, "DNSMASQ_LEASE_EXPIRES" | "DNSMASQ_TIME_REMAINING");
    real == ours
        || is_time && number(real).zip(number(ours)).is_some_and(|(real, ours)| real.abs_diff(ours) <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(argv: &[&str], env: &[(&str, &str)]) -> Call {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Call { at: 0.0, argv: argv.iter().map(|&text| text.to_owned()).collect(), env }
    }

    #[test]
    fn every_difference_is_found_unless_it_has_a_reason() {
        let real = call(
            &["add", "02", "192.0.2.7", "one"],
            &[("DNSMASQ_TAGS", "s0"), ("DNSMASQ_LEASE_EXPIRES", "100"), ("DNSMASQ_DOMAIN", "d")],
        );
        let ours = call(
            &["add", "02", "192.0.2.7", "one"],
            &[("PATH", "/"), ("DNSMASQ_LEASE_EXPIRES", "101"), ("DNSMASQ_DOMAIN", "d")],
        );
        let fidelity = Fidelity::of("", &[real.clone()], &[ours.clone()]);
        assert_eq!((fidelity.differences.len(), fidelity.equal), (0, 6), "{fidelity}");
        assert_eq!(fidelity.reasoned.len(), 1);
        for (name, value) in
            [("DNSMASQ_LEASE_EXPIRES", "102"), ("DNSMASQ_DOMAIN", "e"), ("DNSMASQ_MORE", "1")]
        {
            let mut other = ours.clone();
            other.env.retain(|(found, _)| found != name);
            other.env.push((name.to_owned(), value.to_owned()));
            assert_eq!(Fidelity::of("", &[real.clone()], &[other]).differences.len(), 1, "{name}");
        }
        let mut other = ours.clone();
        other.argv.pop();
        assert_eq!(Fidelity::of("", &[real.clone()], &[other]).differences.len(), 1);
        assert_eq!(Fidelity::of("", &[real.clone(), real], &[ours]).differences.len(), 1);
    }
}
