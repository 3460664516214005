//! What people read: a line for each scenario, every difference with its reason, totals and percentages.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::call::Call;
use crate::conformance::fleet::Played;
use crate::conformance::judge::{INVOCATION, Score};
use crate::conformance::run::Outcome;
use crate::conformance::shows::word;

/// The line of a scenario, and below it what is different.
pub fn scenario(played: &Played) -> String {
    let (name, seconds) = (played.scenario.name, played.took.as_secs_f64());
    let mut text = String::new();
    // Writing to a string cannot fail, here and below.
    let _ = match &played.outcome {
        Outcome::Skipped(reason) => writeln!(text, "SKIP  {name}: {reason}"),
        Outcome::Failed(error) => writeln!(text, "FAIL  {name} ({seconds:.1} s): {error}"),
        Outcome::Judged(verdict) => {
            let mark = if verdict.unexplained().next().is_some() { "FAIL" } else { "ok  " };
            writeln!(text, "{mark}  {name}: {}/{} ({seconds:.1} s)", verdict.equal, verdict.real)
        }
    };
    let Outcome::Judged(verdict) = &played.outcome else { return text };
    for difference in &verdict.differences {
        let side = |value: &Option<String>| value.as_ref().map_or("not set".to_owned(), |text| format!("{text:?}"));
        let _ = match (difference.variable == INVOCATION, &difference.kea) {
            (true, Some(_)) => write!(text, "      {}: only Kea calls it", difference.call),
            (true, None) => write!(text, "      {}: Kea does not call it", difference.call),
            (false, _) => write!(
                text,
                "      {}: {} is {} in Kea, {} here",
                difference.call,
                difference.variable,
                side(&difference.kea),
                side(&difference.observer)
            ),
        };
        let _ = writeln!(text, "\n        {}", difference.reason.unwrap_or("NO KNOWN REASON"));
    }
    text
}

/// Calls one below the other, each with its query, and its leases in few words.
pub fn calls(calls: &[Call]) -> String {
    let mut text = String::new();
    for call in calls {
        let about = [
            call.any(&["QUERY4_TYPE", "QUERY6_TYPE"]),
            call.any(&["QUERY4_TXID", "QUERY6_TXID"]),
            call.any(&["LEASE4_ADDRESS", "LEASE6_ADDRESS", "LEASES4_AT0_ADDRESS", "LEASES6_AT0_ADDRESS"]),
            call.any(&["LEASE4_STATE", "LEASE6_STATE", "LEASES4_AT0_STATE", "LEASES6_AT0_STATE"]),
            call.any(&["LEASE4_HOSTNAME", "LEASE6_HOSTNAME", "LEASES4_AT0_HOSTNAME", "LEASES6_AT0_HOSTNAME"]),
        ];
        let about: Vec<&str> = about.into_iter().flatten().collect();
        let _ = writeln!(text, "  {:.3} {:<18} {}", call.at, word(call), about.join(" "));
    }
    text
}

/// Sums over all scenarios.
#[derive(Debug, Default)]
pub struct Totals {
    /// Scenarios that were compared.
    pub judged: usize,
    /// Scenarios that could not be run here.
    pub skipped: usize,
    /// Scenarios that failed, or have a difference without reason.
    pub failed: usize,
    /// Calls of Kea.
    pub real: usize,
    /// Calls that are the same in both.
    pub equal: usize,
    /// Calls that are different for known reasons.
    pub excused: usize,
    /// By variable.
    pub variables: BTreeMap<String, Score>,
    /// How often each reason was needed.
    pub reasons: BTreeMap<&'static str, usize>,
}

impl Totals {
    /// Adds everything up.
    pub fn of<'a>(all: impl IntoIterator<Item = &'a Played>) -> Self {
        let mut totals = Self::default();
        for played in all {
            match &played.outcome {
                Outcome::Skipped(_) => totals.skipped += 1,
                Outcome::Failed(_) => totals.failed += 1,
                Outcome::Judged(verdict) => {
                    totals.judged += 1;
                    totals.failed += usize::from(verdict.unexplained().next().is_some());
                    totals.real += verdict.real;
                    totals.equal += verdict.equal;
                    totals.excused += verdict.excused;
                    for (variable, score) in &verdict.variables {
                        totals.variables.entry(variable.clone()).or_default().add(*score);
                    }
                    for reason in verdict.differences.iter().filter_map(|difference| difference.reason) {
                        *totals.reasons.entry(reason).or_default() += 1;
                    }
                }
            }
        }
        totals
    }

    /// Whether everything that the wire can tell is as Kea has it.
    pub fn is_conformant(&self) -> bool {
        self.failed == 0 && self.equal + self.excused == self.real
    }

    /// The end of the report.
    pub fn render(&self) -> String {
        let mut text = String::from("\nby variable: equal/compared\n");
        let mut all = Score::default();
        for (variable, score) in &self.variables {
            all.add(*score);
            let _ = writeln!(text, "  {variable:<40} {:>5}/{:<5} {}", score.equal, score.compared, percent(score.equal, score.compared));
        }
        let _ = writeln!(text, "  {:<40} {:>5}/{:<5} {}", "all", all.equal, all.compared, percent(all.equal, all.compared));
        if !self.reasons.is_empty() {
            let _ = writeln!(text, "\ndifferences with a reason");
            for (reason, count) in &self.reasons {
                let _ = writeln!(text, "  {count:>5} x {reason}");
            }
        }
        let of_wire = self.real - self.excused;
        let _ = writeln!(
            text,
            "\nscenarios: {} compared, {} failed, {} skipped\n\
             invocations: {}/{} equal to Kea's, {}\n\
             what the wire can tell: {}/{of_wire}, {}",
            self.judged,
            self.failed,
            self.skipped,
            self.equal,
            self.real,
            percent(self.equal, self.real),
            self.equal,
            percent(self.equal, of_wire),
        );
        text
    }
}

fn percent(part: usize, whole: usize) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    // Rounded down: 100 is said of nothing less.
    let hundredths = part * 10_000 / whole;
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}
