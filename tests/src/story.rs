//! Did the hook hear the story of each lease: every event once, in order, nothing else?
//!
//! A story is a list of event names (`OBSERVER_EVENT`). An event before a `+` comes once or several times, before a `?` once
//! or never, before a `*` any number of times, because real clients go by their own timers; a `|` is between alternatives. That these are as many as there were is judged against the
//! wire by [`balance`].

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::call::Call;
use crate::capture::Frame;
use crate::client::datagram::Datagram;
use crate::client::message4::{self, Message4};
use crate::client::message6::{self, Message6};

/// One lease in one call: the call's hook point and the prefix of the lease's variables, such as `LEASES4_AT0_`.
type Mention<'a> = (&'a Call, String);

/// The leases that a call names, by address.
fn mentions(call: &Call) -> Vec<(String, Mention<'_>)> {
    let found = call.env.iter().filter_map(|(name, value)| {
        let prefix = name.strip_suffix("ADDRESS")?;
        (prefix.starts_with("LEASE") || prefix.starts_with("DELETED_LEASES"))
            .then(|| (value.clone(), (call, prefix.to_owned())))
    });
    found.collect()
}

/// The hook points of an event, as one lease sees them.
fn hooks_of(event: &str, family: char) -> Vec<String> {
    let (single, committed) = match event {
        "commit" => (None, true),
        "renew" => (Some("renew"), true),
        "rebind" if family == '6' => (Some("rebind"), true),
        "rebind" => (Some("renew"), true),
        "release" => (Some("release"), true),
        "decline" => (Some("decline"), true),
        "expire" => (Some("expire"), false),
        other => panic!("no such event: {other}"),
    };
    let single = single.map(|name| format!("lease{family}_{name}"));
    single.into_iter().chain(committed.then(|| format!("leases{family}_committed"))).collect()
}

/// What happened to a lease at one moment.
#[derive(Debug)]
struct Happening<'a> {
    event: &'a str,
    cause: String,
    mentions: Vec<Mention<'a>>,
}

impl Happening<'_> {
    fn hooks(&self) -> Vec<&str> {
        self.mentions.iter().map(|(call, _)| call.hook()).collect()
    }
}

/// The life of each lease, by address, in the order of the calls.
fn lives(calls: &[Call]) -> BTreeMap<String, Vec<Happening<'_>>> {
    let mut lives: BTreeMap<String, Vec<Happening<'_>>> = BTreeMap::new();
    for call in calls {
        for (address, mention) in mentions(call) {
            let event = call.get("OBSERVER_EVENT").unwrap_or("nothing");
            let cause = match call.any(&["QUERY4_TXID", "QUERY6_TXID"]) {
                Some(txid) => {
                    format!("{txid} {}", call.any(&["QUERY4_TYPE", "QUERY6_TYPE"]).unwrap_or_default())
                }
                None => String::new(),
            };
            let life = lives.entry(address).or_default();
            // A second call at a hook point is a second happening, unless the two make one event.
            let last = life.last_mut().filter(|last| {
                last.event == event && last.cause == cause && !last.hooks().contains(&call.hook())
            });
            match last {
                Some(last) => last.mentions.push(mention),
                None => life.push(Happening { event, cause, mentions: vec![mention] }),
            }
        }
    }
    lives
}

/// A variable of a lease by its last part, such as `HOSTNAME`, and its value wherever the lease is not declined.
pub type Fact<'a> = (&'a str, &'a str);

/// What is expected of all calls.
#[derive(Clone, Copy, Debug)]
pub struct Story<'a> {
    /// How many leases led each of the following lives.
    pub leases: usize,
    /// What happened to a lease: names of events in the notation above. More than one where the
    /// client got another address the second time.
    pub lives: &'a [&'a [&'a str]],
    /// Whether a relay sends on what is routed past it. A second RELEASE then releases nothing, and a
    /// relay of another network is refused.
    pub overheard: bool,
    /// What is true of each.
    pub facts: &'a [Fact<'a>],
}

impl Story<'_> {
    /// Judges calls. An error says everything that is wrong.
    pub fn judge(&self, calls: &[Call]) -> Result<(), String> {
        let mut report = String::new();
        let lives = lives(calls);
        let mut counts = vec![0; self.lives.len()];
        for (address, life) in &lives {
            let complaints: Vec<_> =
                self.lives.iter().map(|events| judge_life(events, address, life)).collect();
            let best = complaints.iter().enumerate().min_by_key(|(_, complaints)| complaints.len());
            let Some((which, complaints)) = best else { continue };
            counts[which] += 1;
            let variables = life.iter().flat_map(|happening| {
                happening
                    .mentions
                    .iter()
                    .flat_map(|(call, prefix)| self.judge_variables(happening.event, call, prefix))
            });
            for complaint in complaints.iter().cloned().chain(variables) {
                let _ = writeln!(report, "{address}: {complaint}");
            }
        }
        if counts.iter().any(|count| *count != self.leases) {
            let _ = writeln!(
                report,
                "{} leases expected of each life, there were {counts:?}: {:?}",
                self.leases,
                lives.keys()
            );
        }
        let strays = calls.iter().filter(|call| mentions(call).is_empty());
        for stray in strays.filter(|call| !(self.overheard && call.get("QUERY4_RELAYED") == Some("true"))) {
            let _ = writeln!(report, "a call that names no lease: {} {:?}", stray.hook(), stray.env);
        }
        if report.is_empty() { Ok(()) } else { Err(report) }
    }

    fn judge_variables(&self, event: &str, call: &Call, prefix: &str) -> Vec<String> {
        let mut complaints = Vec::new();
        let get = |suffix: &str| call.get(&format!("{prefix}{suffix}"));
        if get("STATE") == Some("declined") {
            return complaints;
        }
        for (suffix, value) in self.facts {
            if get(suffix) != Some(value) {
                complaints.push(format!(
                    "{} of {event}: {prefix}{suffix} is {:?}, expected {value:?}",
                    call.hook(),
                    get(suffix)
                ));
            }
        }
        let number =
            |suffix: &str| get(suffix).and_then(|value| value.parse::<f64>().ok()).unwrap_or(f64::NAN);
        // A lease of this very packet was set in its second; one that ran out did so when its time was over.
        let nominal = match event {
            "commit" | "renew" | "rebind" => number("CLTT"),
            "expire" => number("CLTT") + number("VALID_LIFETIME"),
            _ => return complaints,
        };
        let late = call.at - nominal;
        if !(-0.1..4.0).contains(&late) {
            complaints.push(format!("{} of {event} came {late:.3} s after its time", call.hook()));
        }
        complaints
    }
}

/// What is wrong with the order of a life.
fn judge_life(events: &[&str], address: &str, life: &[Happening<'_>]) -> Vec<String> {
    let mut complaints = Vec::new();
    let family = if address.contains(':') { '6' } else { '4' };
    let mut rest = life.iter().peekable();
    for step in events {
        let alternatives: Vec<&str> = step.trim_end_matches(['+', '?', '*']).split('|').collect();
        let once = !step.ends_with(['+', '*']);
        let mut times = 0;
        while rest.peek().is_some_and(|next| alternatives.contains(&next.event)) && (times == 0 || !once) {
            times += 1;
            if let Some(next) = rest.next() {
                let hooks = hooks_of(next.event, family);
                if next.hooks() != hooks {
                    complaints.push(format!("{} has {:?}, expected {hooks:?}", next.event, next.hooks()));
                }
            }
        }
        if times == 0 && !step.ends_with(['?', '*']) {
            let told: Vec<&str> = life.iter().map(|happening| happening.event).collect();
            complaints
                .push(format!("{step} is missing or not in its place: {told:?}, expected {:?}", events));
            return complaints;
        }
    }
    for more in rest {
        complaints.push(format!("not expected: {} {:?} of {}", more.event, more.hooks(), more.cause));
    }
    complaints
}

/// Judges the hooks against the wire: for every answer that settles something, and for every message that needs none,
/// there was exactly one `leases*_committed`.
pub fn balance(calls: &[Call], frames: &[Frame]) -> Result<(), String> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    let mut asked6: BTreeMap<u32, u8> = BTreeMap::new();
    let mut informed: Vec<u32> = Vec::new();
    for datagram in frames.iter().filter_map(|frame| Datagram::decode(&frame.bytes)) {
        let ports = [datagram.from.port(), datagram.to.port()];
        if ports.contains(&67) {
            let Some(message) = Message4::decode(&datagram.payload) else { continue };
            use message4::Kind;
            if message.is(Kind::Inform) {
                informed.push(message.xid);
            }
            let settles = message.is(Kind::Nak)
                || message.is(Kind::Ack) && !informed.contains(&message.xid)
                || message.is(Kind::Release)
                || message.is(Kind::Decline);
            if settles {
                *counts.entry(message.xid.to_string()).or_default() += 1;
            }
        } else if ports.contains(&547) {
            let Some(message) = Message6::decode(&datagram.payload) else { continue };
            use message6::Kind;
            if !message.is(Kind::Reply) && !message.is(Kind::Advertise) {
                asked6.insert(message.transaction_id, message.kind);
                continue;
            }
            let question = asked6.get(&message.transaction_id).copied();
            let idle =
                [Kind::Confirm, Kind::InformationRequest].map(|kind| Some(kind as u8)).contains(&question);
            if message.is(Kind::Reply) && !idle {
                *counts.entry(message.transaction_id.to_string()).or_default() += 1;
            }
        }
    }
    for call in calls.iter().filter(|call| call.hook().ends_with("_committed")) {
        let txid = call.any(&["QUERY4_TXID", "QUERY6_TXID"]).unwrap_or_default();
        *counts.entry(txid.to_owned()).or_default() -= 1;
    }
    counts.retain(|_, count| *count != 0);
    if counts.is_empty() {
        Ok(())
    } else {
        Err(format!("answers on the wire less calls of leases*_committed, by transaction: {counts:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bind, renew, release of one lease, one packet each.
    fn calls() -> Vec<Call> {
        let call = |hook: &str, event: &str, txid: &str, prefix: &str| {
            let lease =
                [("ADDRESS", "192.0.2.7"), ("STATE", "default"), ("CLTT", "100"), ("VALID_LIFETIME", "9")];
            let mut env = vec![("OBSERVER_EVENT".to_owned(), event.to_owned())];
            env.push(("QUERY4_TXID".to_owned(), txid.to_owned()));
            env.extend(lease.map(|(suffix, value)| (format!("{prefix}{suffix}"), value.to_owned())));
            Call { at: 100.5, argv: vec![hook.to_owned()], env }
        };
        vec![
            call("leases4_committed", "commit", "1", "LEASES4_AT0_"),
            call("lease4_renew", "renew", "2", "LEASE4_"),
            call("leases4_committed", "renew", "2", "LEASES4_AT0_"),
            call("lease4_release", "release", "3", "LEASE4_"),
            call("leases4_committed", "release", "3", "DELETED_LEASES4_AT0_"),
        ]
    }

    fn judge(calls: &[Call]) -> Result<(), String> {
        let lives: &[&[&str]] = &[&["commit", "renew", "release"]];
        Story { leases: 1, lives, overheard: false, facts: &[("VALID_LIFETIME", "9")] }.judge(calls)
    }

    #[test]
    fn one_call_missing_doubled_out_of_order_or_wrong_is_noticed() {
        assert_eq!(judge(&calls()), Ok(()));
        for at in 0..calls().len() {
            let mut missing = calls();
            missing.remove(at);
            assert!(judge(&missing).is_err(), "{at} is missing");
            let mut doubled = calls();
            doubled.insert(at, doubled[at].clone());
            assert!(judge(&doubled).is_err(), "{at} is doubled");
            let mut wrong = calls();
            wrong[at].env.retain(|(name, _)| !name.ends_with("VALID_LIFETIME"));
            assert!(judge(&wrong).is_err(), "{at} lacks a variable");
        }
        for at in 1..calls().len() {
            let mut swapped = calls();
            swapped.swap(at - 1, at);
            assert!(judge(&swapped).is_err(), "{at} comes early");
        }
    }
}
