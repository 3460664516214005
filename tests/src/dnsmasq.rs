//! The calls of a real dnsmasq's script beside ours, by a [`Measure`].

use crate::call::Call;
use crate::fidelity::{Fidelity, Measure};

const TAGS: &str = "DNSMASQ_TAGS: which tags dnsmasq sets is its configuration; ours are those of `tags`";

const MEASURE: Measure = Measure {
    arguments: &["action", "client", "address", "name"],
    word: "action",
    subject: &[],
    is_told: |name| name.starts_with("DNSMASQ_"),
    // dnsmasq reads its clock before the frame of its answer is stamped, and once more when it calls the script.
    is_time: |name| matches!(name, "DNSMASQ_LEASE_EXPIRES" | "DNSMASQ_TIME_REMAINING"),
    reason: |name, _, _| (name == "DNSMASQ_TAGS").then_some(TAGS),
};

/// Compares call by call, in order; `what` stands before each difference.
pub fn compare(what: &str, real: &[Call], ours: &[Call]) -> Fidelity {
    MEASURE.compare(&format!("{what}: "), real, ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_found_unless_it_has_a_reason() {
        let argv = ["add", "02", "192.0.2.7", "one"];
        let real = [("DNSMASQ_TAGS", "s0"), ("DNSMASQ_LEASE_EXPIRES", "100"), ("DNSMASQ_DOMAIN", "d")];
        let ours = [("PATH", "/"), ("DNSMASQ_LEASE_EXPIRES", "101"), ("DNSMASQ_DOMAIN", "d")];
        let (real, ours) = (Call::of(&argv, &real), Call::of(&argv, &ours));
        let fidelity = compare("", std::slice::from_ref(&real), std::slice::from_ref(&ours));
        assert_eq!((fidelity.differences.len(), fidelity.equal), (0, 6), "{fidelity}");
        assert_eq!((fidelity.reasoned.len(), fidelity.words.len()), (1, 1));
        let with = |name, value| ours.clone().with(name, value);
        let mut others = vec![
            with("DNSMASQ_LEASE_EXPIRES", "102"),
            with("DNSMASQ_DOMAIN", "e"),
            with("DNSMASQ_MORE", "1"),
            Call::of(&argv[..3], &[("DNSMASQ_LEASE_EXPIRES", "101"), ("DNSMASQ_DOMAIN", "d")]),
            ours.clone(),
            ours.clone(),
        ];
        others[4].argv.push("more".to_owned());
        others[5].argv[0] = "old".to_owned();
        for other in others {
            let fidelity = compare("", std::slice::from_ref(&real), std::slice::from_ref(&other));
            assert_eq!(fidelity.differences.len(), 1, "{other:?}");
        }
        assert_eq!(compare("", &[real.clone(), real], &[ours]).differences.len(), 1);
    }
}
