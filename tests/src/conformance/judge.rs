//! Two stories side by side: which calls have a counterpart, and which of their variables are equal.

use std::collections::BTreeMap;

use crate::call::Call;
use crate::compare::{causes, describe, variables};
use crate::conformance::reasons::reason;

/// The name that a call as a whole has among the differences.
pub const INVOCATION: &str = "(invocation)";
/// The name that the order of the environment has among the differences.
pub const ORDER: &str = "(order of the environment)";

/// Something that Kea says and the observer says differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which call it is in: hook point, address, packet.
    pub call: String,
    /// The hook point.
    pub hook: String,
    /// The variable, with `<i>` for an index; or one of the two names above.
    pub variable: String,
    /// What Kea says; `None` when it does not set it.
    pub kea: Option<String>,
    /// What the observer says.
    pub observer: Option<String>,
    /// Why it cannot be otherwise, if that is known.
    pub reason: Option<&'static str>,
}

/// How often something was compared, and how often it was equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// How often it was compared.
    pub compared: usize,
    /// How often it was equal.
    pub equal: usize,
}

impl Score {
    fn count(&mut self, equal: bool) {
        self.compared += 1;
        self.equal += usize::from(equal);
    }

    /// Both counts of another one added.
    pub fn add(&mut self, other: Self) {
        self.compared += other.compared;
        self.equal += other.equal;
    }
}

/// What came of the comparison of one scenario.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// How many calls Kea made.
    pub real: usize,
    /// How many of them the observer made in the same words.
    pub equal: usize,
    /// How many of the others have a known reason for every difference.
    pub excused: usize,
    /// By variable.
    pub variables: BTreeMap<String, Score>,
    /// All differences.
    pub differences: Vec<Difference>,
}

impl Verdict {
    /// Differences without a known reason.
    pub fn unexplained(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| difference.reason.is_none())
    }
}

/// Compares the calls of a scenario.
pub fn judge(scenario: &str, real: &[Call], observed: &[Call]) -> Verdict {
    let mut verdict = Verdict { real: real.len(), ..Verdict::default() };
    let mut rest = causes(observed);
    for (cause, wanted) in causes(real) {
        let name = describe(&cause, wanted);
        // The closest call of the same cause and hook point is its counterpart.
        let counterparts =
            rest.iter().enumerate().filter(|(_, (c, call))| *c == cause && call.hook() == wanted.hook());
        let closest = counterparts
            .map(|(place, (_, call))| (compare(wanted, call), place))
            .min_by_key(|(compared, _)| compared.iter().filter(|one| !one.equal).count());
        let Some((compared, place)) = closest else {
            let (hook, kea) = (wanted.hook().to_owned(), Some("calls".to_owned()));
            let variable = INVOCATION.to_owned();
            let missing = Difference { call: name, hook, variable, kea, observer: None, reason: None };
            let missing = excuse(scenario, missing);
            verdict.excused += usize::from(missing.reason.is_some());
            verdict.differences.push(missing);
            continue;
        };
        rest.remove(place);
        let mut differences = Vec::new();
        for one in compared {
            verdict.variables.entry(one.variable.clone()).or_default().count(one.equal);
            if !one.equal {
                let (variable, hook, call) = (one.variable, wanted.hook().to_owned(), name.clone());
                let difference =
                    Difference { call, hook, variable, kea: one.kea, observer: one.observer, reason: None };
                differences.push(excuse(scenario, difference));
            }
        }
        verdict.equal += usize::from(differences.is_empty());
        let all_known = differences.iter().all(|difference| difference.reason.is_some());
        verdict.excused += usize::from(!differences.is_empty() && all_known);
        verdict.differences.extend(differences);
    }
    for (cause, call) in rest {
        let (hook, observer) = (call.hook().to_owned(), Some("calls".to_owned()));
        let (call, variable) = (describe(&cause, call), INVOCATION.to_owned());
        let extra = Difference { call, hook, variable, kea: None, observer, reason: None };
        verdict.differences.push(excuse(scenario, extra));
    }
    verdict
}

fn excuse(scenario: &str, mut difference: Difference) -> Difference {
    difference.reason = reason(scenario, &difference);
    difference
}

/// One variable of two calls.
struct Compared {
    variable: String,
    kea: Option<String>,
    observer: Option<String>,
    equal: bool,
}

fn compare(wanted: &Call, found: &Call) -> Vec<Compared> {
    let theirs: BTreeMap<_, _> = variables(wanted).collect();
    let ours: BTreeMap<_, _> = variables(found).collect();
    let mut names: Vec<&str> = variables(wanted).map(|(name, _)| name).collect();
    names.extend(variables(found).map(|(name, _)| name).filter(|name| !theirs.contains_key(name)));
    let owned = |value: Option<&&str>| value.map(|value| (*value).to_owned());
    let mut all: Vec<Compared> = names
        .into_iter()
        .map(|name| {
            let (kea, observer) = (theirs.get(name), ours.get(name));
            let equal = kea == observer;
            Compared { variable: without_index(name), kea: owned(kea), observer: owned(observer), equal }
        })
        .collect();
    if all.iter().all(|one| one.kea.is_some() == one.observer.is_some()) {
        let order = |call| variables(call).map(|(name, _)| name).collect::<Vec<_>>();
        let (theirs, ours) = (order(wanted), order(found));
        let first = theirs.iter().zip(&ours).find(|(a, b)| a != b);
        all.push(Compared {
            variable: ORDER.to_owned(),
            kea: first.map(|(name, _)| (*name).to_owned()),
            observer: first.map(|(_, name)| (*name).to_owned()),
            equal: first.is_none() && wanted.argv == found.argv,
        });
    }
    all
}

/// `LEASES4_AT0_ADDRESS` as `LEASES4_AT<i>_ADDRESS`.
fn without_index(name: &str) -> String {
    let Some((list, rest)) = name.split_once("_AT") else { return name.to_owned() };
    match rest.split_once('_') {
        Some((index, variable)) if index.bytes().all(|octet| octet.is_ascii_digit()) => {
            format!("{list}_AT<i>_{variable}")
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(hook: &str, address: &str) -> Call {
        let env = [("QUERY4_TXID", "1"), ("QUERY4_TYPE", "DHCPREQUEST"), ("LEASES4_AT0_ADDRESS", address)];
        Call::of(&[hook], &env)
    }

    #[test]
    fn equal_calls_count_and_every_difference_has_its_variable() {
        let real = [call("leases4_committed", "192.0.2.1"), call("lease4_renew", "192.0.2.1")];
        let observed = [call("lease4_renew", "192.0.2.2"), call("leases4_committed", "192.0.2.1")];
        let verdict = judge("none", &real, &observed);
        assert_eq!((verdict.real, verdict.equal, verdict.excused), (2, 1, 0));
        assert_eq!(verdict.variables["LEASES4_AT<i>_ADDRESS"], Score { compared: 2, equal: 1 });
        let [difference] = &verdict.differences[..] else { panic!("{verdict:?}") };
        assert_eq!(difference.variable, "LEASES4_AT<i>_ADDRESS");
        assert_eq!(verdict.unexplained().count(), 1);
    }

    #[test]
    fn calls_without_counterpart_are_differences() {
        let verdict = judge("none", &[call("lease4_renew", "a")], &[call("lease4_release", "a")]);
        let sides: Vec<_> =
            verdict.differences.iter().map(|one| (one.kea.is_some(), one.observer.is_some())).collect();
        assert_eq!(sides, [(true, false), (false, true)]);
        assert!(verdict.differences.iter().all(|one| one.variable == INVOCATION));
    }
}
