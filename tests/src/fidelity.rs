//! Are the calls of a real program's script and ours the same story, argument by argument and variable by variable?
//!
//! What the wire cannot tell, or what we do otherwise on purpose, has a reason; everything else must be equal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::call::Call;

/// By what the calls of one dialect are compared.
#[derive(Clone, Copy)]
pub struct Measure {
    /// The names of the arguments, in their order.
    pub arguments: &'static [&'static str],
    /// The argument or variable that says what a call is for.
    pub word: &'static str,
    /// Variables that say in a message which call is meant; of these the first that is set.
    pub subject: &'static [&'static str],
    /// Whether a variable is the dialect's own.
    pub is_told: fn(&str) -> bool,
    /// Whether a variable is a time. It may differ by one second: both sides cut a fraction off, each at its own moment.
    pub is_time: fn(&str) -> bool,
    /// Why a variable may differ, from its name, its real value and ours; `None` when it may not.
    pub reason: fn(&str, Option<&str>, Option<&str>) -> Option<&'static str>,
}

impl Measure {
    /// Compares call by call, in order; `what` stands before each difference.
    pub fn compare(&self, what: &str, real: &[Call], ours: &[Call]) -> Fidelity {
        let mut fidelity = Fidelity::default();
        if real.len() != ours.len() {
            let names = |calls: &[Call]| calls.iter().map(|call| self.name(call)).collect::<Vec<_>>();
            let (theirs, own) = (names(real), names(ours));
            fidelity.differences.push(format!("{what}the real calls\n    {theirs:#?}\n  ours\n    {own:#?}"));
        }
        for (real, ours) in real.iter().zip(ours) {
            fidelity.calls += 1;
            let what = format!("{what}{}", self.name(real));
            let (left, right) = (self.values(real), self.values(ours));
            for name in left.keys().chain(right.keys()).collect::<BTreeSet<_>>() {
                let (theirs, own) = (left.get(name).copied(), right.get(name).copied());
                self.judge(&mut fidelity, &what, name, theirs, own);
            }
        }
        fidelity
    }

    fn judge(
        &self,
        fidelity: &mut Fidelity,
        what: &str,
        name: &str,
        theirs: Option<&str>,
        own: Option<&str>,
    ) {
        if self.is_same(name, theirs, own) {
            fidelity.equal += 1;
            fidelity.names.insert(name.to_owned());
            if name == self.word {
                fidelity.words.extend(own.map(str::to_owned));
            }
        } else if let Some(reason) = (self.reason)(name, theirs, own) {
            *fidelity.reasoned.entry(reason).or_default() += 1;
        } else {
            fidelity.differences.push(format!("{what}: {name} is {theirs:?}, ours {own:?}"));
        }
    }

    fn is_same(&self, name: &str, theirs: Option<&str>, own: Option<&str>) -> bool {
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
        let is_close =
            || number(theirs).zip(number(own)).is_some_and(|(theirs, own)| theirs.abs_diff(own) <= 1);
        theirs == own || (self.is_time)(name) && is_close()
    }

    /// Arguments and variables by name.
    fn values<'a>(&self, call: &'a Call) -> BTreeMap<String, &'a str> {
        let argument = |(place, value): (usize, &'a String)| {
            let known = self.arguments.get(place).map(|name| (*name).to_owned());
            (known.unwrap_or_else(|| format!("argument {place}")), value.as_str())
        };
        let variables = call.env.iter().filter(|(name, _)| (self.is_told)(name));
        let variables = variables.map(|(name, value)| (name.clone(), value.as_str()));
        call.argv.iter().enumerate().map(argument).chain(variables).collect()
    }

    /// A call in a few words.
    fn name(&self, call: &Call) -> String {
        let subject = call.any(self.subject).map(str::to_owned);
        let word = call.get(self.word).map(str::to_owned);
        word.into_iter().chain(call.argv.iter().cloned()).chain(subject).collect::<Vec<_>>().join(" ")
    }
}

/// How much is equal.
#[derive(Clone, Debug, Default)]
pub struct Fidelity {
    /// Calls on both sides.
    pub calls: usize,
    /// Arguments and variables that are the same on both sides.
    pub equal: usize,
    /// What differs for a reason, and how often.
    pub reasoned: BTreeMap<&'static str, usize>,
    /// What differs without one, a line each.
    pub differences: Vec<String>,
    /// The names of what is equal.
    pub names: BTreeSet<String>,
    /// What calls were for, as far as both sides said the same.
    pub words: BTreeSet<String>,
}

impl Fidelity {
    /// Adds another comparison.
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.equal += other.equal;
        for (reason, count) in other.reasoned {
            *self.reasoned.entry(reason).or_default() += count;
        }
        self.differences.extend(other.differences);
        self.names.extend(other.names);
        self.words.extend(other.words);
    }

    /// Arguments and variables that the wire can tell.
    pub fn told(&self) -> usize {
        self.equal + self.differences.len()
    }
}

impl fmt::Display for Fidelity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &BTreeSet<String>| {
            names.iter().take(60).map(String::as_str).collect::<Vec<_>>().join(" ")
        };
        let percent = 100.0 * self.equal as f64 / self.told().max(1) as f64;
        writeln!(
            f,
            "{} calls ({}), {} of {} arguments and variables that the wire can tell are equal: {percent:.2} %",
            self.calls,
            list(&self.words),
            self.equal,
            self.told()
        )?;
        writeln!(f, "  {} names: {}", self.names.len(), list(&self.names))?;
        for (reason, count) in &self.reasoned {
            writeln!(f, "  {count} differ because: {reason}")?;
        }
        self.differences.iter().take(60).try_for_each(|line| writeln!(f, "  DIFFERENT {line}"))
    }
}
