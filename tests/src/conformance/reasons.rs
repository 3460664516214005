//! Why the observer cannot say what Kea says: the differences that the wire leaves.
//!
//! A difference that no row of this table explains is a fault. The table of the README is this one; a test compares
//! them.

use std::fmt::Write;

use crate::conformance::judge::{Difference, INVOCATION};

/// A known difference.
#[derive(Clone, Copy, Debug)]
pub struct Reason {
    /// The variables, as people read them.
    pub variables: &'static str,
    /// When it happens, as people read it.
    pub when: &'static str,
    /// Why it cannot be otherwise.
    pub why: &'static str,
    /// Whether a difference in a scenario of this name is of this kind.
    applies: fn(&str, &Difference) -> bool,
}

/// All of them.
pub const REASONS: &[Reason] = &[
    Reason {
        variables: "`*_CLTT`",
        when: "a second ends between question and answer",
        why: "Kea reads its clock before it answers; the frame of the answer is stamped after that: one second more",
        applies: |_, difference| is_one_second_later(difference),
    },
    Reason {
        variables: "the call of `lease4_renew`, `lease6_renew` or `lease6_rebind`",
        when: "the server has lost the record of a lease: a restart without persistence, a command, another server's end",
        why: "nothing on the wire says that a server forgets; the observer still knows the lease, and reports its renewal",
        applies: |scenario, difference| {
            let renewal = matches!(difference.hook.as_str(), "lease4_renew" | "lease6_renew" | "lease6_rebind");
            scenario.contains("-lost-record") && difference.variable == INVOCATION && difference.kea.is_none() && renewal
        },
    },
    Reason {
        variables: "`*_HOSTNAME`",
        when: "the server makes up a name, `ddns-generated-prefix` has capitals, and the answer has option 81 or 39",
        why: "Kea writes these options in lower case, and keeps the capitals to itself",
        applies: |scenario, difference| {
            let same = |kea: &String| difference.observer.as_ref() == Some(&kea.to_ascii_lowercase());
            scenario.contains("-name-replaced-")
                && difference.variable.ends_with("_HOSTNAME")
                && difference.kea.as_ref().is_some_and(same)
        },
    },
    Reason {
        variables: "the call of `leases4_committed` with `0`/`0`",
        when: "a DISCOVER names the server before the server has answered anybody since the observer started",
        why: "the server does not answer it, and who the server is was not heard yet",
        applies: |scenario, difference| {
            scenario == "v4-discover-that-names-a-silent-server" && difference.variable == INVOCATION
        },
    },
];

fn is_one_second_later(difference: &Difference) -> bool {
    let number = |value: &Option<String>| value.as_deref().and_then(|text| text.parse::<u64>().ok());
    let (Some(kea), Some(observer)) = (number(&difference.kea), number(&difference.observer)) else { return false };
    difference.variable.ends_with("_CLTT") && kea + 1 == observer
}

/// Why this difference is there, if that is known.
pub(super) fn reason(scenario: &str, difference: &Difference) -> Option<&'static str> {
    REASONS.iter().find(|reason| (reason.applies)(scenario, difference)).map(|reason| reason.why)
}

/// The table for the README, in Markdown.
pub fn markdown() -> String {
    let mut table = String::from("| variable | when | reason |\n|---|---|---|\n");
    for reason in REASONS {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "| {} | {} | {} |", reason.variables, reason.when, reason.why);
    }
    table
}
