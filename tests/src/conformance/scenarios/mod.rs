//! The scenarios: every row of the truth table that Kea 2.2 can show, and every shape of its variables.

mod real;
mod v4_binding;
mod v4_end;
mod v4_identity;
mod v4_name;
mod v4_refusal;
mod v4_relay;
mod v6_binding;
mod v6_client;
mod v6_end;
mod v6_refusal;

use crate::client::message6::Ia;
use crate::conformance::scenario::Scenario;
use crate::kea::Config;

/// All of them.
pub fn all() -> Vec<Scenario> {
    [
        real::SCENARIOS,
        v4_binding::SCENARIOS,
        v4_end::SCENARIOS,
        v4_refusal::SCENARIOS,
        v4_relay::LIVES,
        v4_relay::SCENARIOS,
        v4_identity::SCENARIOS,
        v4_name::LIVES,
        v4_name::SCENARIOS,
        v6_binding::SCENARIOS,
        v6_end::SCENARIOS,
        v6_refusal::SCENARIOS,
        v6_client::SCENARIOS,
    ]
    .concat()
}

/// One IA_NA.
fn one() -> Vec<Ia> {
    vec![Ia::addresses(1)]
}

/// One IA_NA and one IA_PD.
fn both() -> Vec<Ia> {
    vec![Ia::addresses(1), Ia::prefixes(2)]
}

/// A server that keeps host names in DNS.
fn ddns(config: Config) -> Config {
    config.set("ddns-send-updates", true).set("ddns-qualifying-suffix", "lan.test")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::all;

    #[test]
    fn names_are_unique() {
        let all = all();
        let names: BTreeSet<_> = all.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), all.len());
    }
}
