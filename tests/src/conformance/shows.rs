//! Which calls a scenario made the real Kea make, in a few words.
//!
//! `renew committed(1,0) 2*expire` is one `lease*_renew`, one `leases*_committed` with one lease and none deleted, and
//! two `lease*_expire`, in any order: the scripts of one packet overtake each other. With `...` at the end there may be
//! more, of any kind: how often a real client asks is its own affair.

use std::collections::BTreeMap;

use crate::call::Call;

/// Says what is missing or too much in `calls`; nothing if it is as `expected`.
pub fn complaint(expected: &str, calls: &[Call]) -> Option<String> {
    let (expected, may_be_more) = match expected.strip_suffix("...") {
        Some(least) => (least, true),
        None => (expected, false),
    };
    let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
    for word in expected.split_whitespace() {
        let (count, word) =
            word.split_once('*').map_or((1, word), |(count, word)| (count.parse().unwrap_or(0), word));
        *wanted.entry(word.to_owned()).or_default() += count;
    }
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for call in calls {
        *found.entry(word(call)).or_default() += 1;
    }
    let fits = if may_be_more {
        wanted.iter().all(|(word, count)| found.get(word).is_some_and(|found| found >= count))
    } else {
        wanted == found
    };
    (!fits).then(|| format!("Kea was expected to call {wanted:?}, and called {found:?}"))
}

/// The hook point without its family and, for `leases*_committed`, with the sizes of its two lists.
pub fn word(call: &Call) -> String {
    let point = call.hook().split_once('_').map_or(call.hook(), |(_, point)| point);
    if point != "committed" {
        return point.to_owned();
    }
    let given = call.any(&["LEASES4_SIZE", "LEASES6_SIZE"]).unwrap_or("?");
    let deleted = call.any(&["DELETED_LEASES4_SIZE", "DELETED_LEASES6_SIZE"]).unwrap_or("?");
    format!("{point}({given},{deleted})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(hook: &str) -> Call {
        Call::of(&[hook], &[("LEASES4_SIZE", "1"), ("DELETED_LEASES4_SIZE", "0")])
    }

    #[test]
    fn calls_are_counted_by_word() {
        let calls = [call("lease4_renew"), call("leases4_committed"), call("leases4_committed")];
        assert_eq!(complaint("2*committed(1,0) renew", &calls), None);
        assert_eq!(complaint("renew ...", &calls), None);
        for wrong in ["", "renew committed(1,0)", "3*committed(1,0) ...", "release ..."] {
            assert!(complaint(wrong, &calls).is_some(), "{wrong}");
        }
    }
}
