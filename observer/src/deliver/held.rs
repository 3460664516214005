//! Ends of leases that nobody may have renewed unseen: they are held back until that is certain.
//!
//! A client that renewed while frames were missed has its lease for one lifetime after that at the longest, so by then it has
//! either been heard of again or the lease is over.
//!
//! Meanwhile the store has the lease as it was before its end, so that an observer that is started again comes upon the same
//! end, and with the same gaps holds it back until the same moment.

use std::collections::{BTreeMap, HashMap};

use crate::time::{Lifetime, Timestamp};
use crate::tracker::{LeaseChange, LeaseEvent, LeaseState, Occurrence, Subject};

/// How many times in which frames were missed are remembered.
const GAPS: usize = 100;

/// What is held back, and until when.
#[derive(Debug, Default)]
pub(super) struct Held {
    gaps: Vec<(Timestamp, Timestamp)>,
    due: HashMap<Subject, Timestamp>,
    events: BTreeMap<(Timestamp, Subject), LeaseEvent>,
    /// What became of records whose ends are held back: not stored before the ends are told.
    withheld: HashMap<Subject, LeaseChange>,
    /// What may be stored now.
    returned: Vec<LeaseChange>,
}

impl Held {
    pub(super) fn add_gap(&mut self, from: Timestamp, until: Timestamp) {
        if self.gaps.len() == GAPS {
            self.gaps.remove(0);
        }
        self.gaps.push((from, until));
    }

    /// Whether the event may be told now; if not, it is held back. Any other event of a lease is a sign of it, and what was
    /// held of it is not told any more.
    pub(super) fn admit(&mut self, event: &LeaseEvent) -> bool {
        // What happens in the network says nothing about the lease of an address.
        if self.gaps.is_empty() || matches!(event.occurrence, Occurrence::Network(_)) {
            return true;
        }
        let subjects = event.subjects();
        for subject in &subjects {
            self.release(subject);
        }
        let Some((until, subject)) = self.held_until(event).zip(subjects.first()) else { return true };
        self.due.insert(subject.clone(), until);
        self.events.insert((until, subject.clone()), LeaseEvent { at: until, ..event.clone() });
        false
    }

    fn release(&mut self, subject: &Subject) {
        if let Some(due) = self.due.remove(subject) {
            self.events.remove(&(due, subject.clone()));
            self.returned.extend(self.withheld.remove(subject));
        }
    }

    /// What is to be stored of what became of a record: nothing while its end is held back.
    pub(super) fn admit_change(&mut self, change: LeaseChange) -> Option<LeaseChange> {
        if self.due.is_empty() {
            return Some(change);
        }
        match change.subject() {
            Some(subject) if self.due.contains_key(&subject) => {
                self.withheld.insert(subject, change);
                None
            }
            _ => Some(change),
        }
    }

    /// What was withheld and is to be stored now, ahead of anything else.
    pub(super) fn take_returned(&mut self) -> Vec<LeaseChange> {
        std::mem::take(&mut self.returned)
    }

    /// The leases whose ends are held back, as they were before.
    pub(super) fn leases(&self) -> impl Iterator<Item = LeaseChange> {
        self.events.values().filter_map(|event| match &event.occurrence {
            Occurrence::Expire4 { lease, .. } => Some(LeaseChange::Put4((**lease).clone())),
            Occurrence::Expire6 { lease, .. } => Some(LeaseChange::Put6((**lease).clone())),
            _ => None,
        })
    }

    /// Until when the end of a lease is uncertain.
    fn held_until(&self, event: &LeaseEvent) -> Option<Timestamp> {
        let (cltt, lifetime, state): (Timestamp, Lifetime, _) = match &event.occurrence {
            Occurrence::Expire4 { lease, .. } => (lease.cltt, lease.valid_lifetime, lease.state),
            Occurrence::Expire6 { lease, .. } => (lease.cltt, lease.valid_lifetime, lease.state),
            _ => return None,
        };
        // An estimated end has a sign of its own: somebody else has the address.
        if state != LeaseState::Default || event.estimated {
            return None;
        }
        let across = self.gaps.iter().filter(|(from, until)| cltt <= *until && *from <= event.at);
        let longest = across.filter_map(|(_, until)| lifetime.end(*until)).max();
        longest.filter(|until| *until > event.at)
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        self.events.first_key_value().map(|((due, _), _)| *due)
    }

    /// The next end that is certain at `now`.
    pub(super) fn poll_due(&mut self, now: Timestamp) -> Option<LeaseEvent> {
        let ((due, subject), event) = self.events.pop_first()?;
        if due > now {
            self.events.insert((due, subject), event);
            return None;
        }
        self.due.remove(&subject);
        self.returned.extend(self.withheld.remove(&subject));
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tracker::{Event, Exchange, Lease4, Place};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    /// A lease of 600 s.
    fn lease(cltt: i64) -> Box<Lease4> {
        Box::new(Lease4 {
            address: [192, 0, 2, 1].into(),
            hwaddr: crate::identity::HardwareAddress::ethernet([2, 0, 0, 0, 0, 1]),
            client_id: None,
            hostname: Default::default(),
            cltt: at(cltt),
            valid_lifetime: Lifetime::Seconds(600),
            state: LeaseState::Default,
            subnet_id: None,
            place: Arc::new(Place::default()),
            relay: None,
        })
    }

    fn event(seconds: i64, occurrence: Occurrence) -> LeaseEvent {
        let (before4, before6) = (Vec::new(), Vec::new());
        LeaseEvent { at: at(seconds), event: Event::Expire, estimated: false, occurrence, before4, before6 }
    }

    fn expire(cltt: i64) -> LeaseEvent {
        event(cltt + 600, Occurrence::Expire4 { lease: lease(cltt), remove: false })
    }

    fn committed() -> LeaseEvent {
        let exchange = Exchange { query: None, answer: None };
        let committed = Occurrence::Committed4 { exchange, leases: vec![*lease(1_300)], deleted: Vec::new() };
        event(1_300, committed)
    }

    #[test]
    fn an_end_across_a_gap_waits_for_one_lifetime() {
        let mut held = Held::default();
        assert!(held.admit(&expire(0)), "nothing was missed");
        held.add_gap(at(1_000), at(1_100));
        assert!(!held.admit(&expire(500)), "it ended in the gap");
        assert_eq!(held.poll_timeout(), Some(at(1_700)));
        assert!(held.poll_due(at(1_699)).is_none());
        assert_eq!(held.poll_due(at(1_700)).unwrap().at, at(1_700));
        assert_eq!(held.poll_timeout(), None);
        assert!(!held.admit(&expire(900)), "a renewal in the gap would have kept it");
        assert!(held.admit(&expire(1_101)), "it was heard of after the gap");
        assert!(held.admit(&expire(300)), "it ended before the gap");
    }

    #[test]
    fn a_record_is_stored_as_over_when_its_end_is_told_and_not_before() {
        let gone = LeaseChange::Gone4([192, 0, 2, 1].into());
        let mut held = Held::default();
        assert_eq!(held.admit_change(gone.clone()), Some(gone.clone()));
        held.add_gap(at(1_000), at(1_100));
        held.admit(&expire(500));
        assert_eq!(held.admit_change(gone.clone()), None);
        let other = LeaseChange::Gone4([192, 0, 2, 2].into());
        assert_eq!(held.admit_change(other.clone()), Some(other));
        assert_eq!(held.leases().collect::<Vec<_>>(), [LeaseChange::Put4(*lease(500))]);
        assert_eq!(held.take_returned(), []);
        held.poll_due(at(1_700)).unwrap();
        assert_eq!((held.take_returned(), held.leases().count()), (vec![gone.clone()], 0));
        // Or when the lease shows itself.
        held.admit(&expire(500));
        held.admit_change(gone.clone());
        held.admit(&committed());
        assert_eq!(held.take_returned(), [gone]);
    }

    #[test]
    fn a_sign_of_the_lease_ends_the_wait() {
        let mut held = Held::default();
        held.add_gap(at(1_000), at(1_100));
        assert!(!held.admit(&expire(500)));
        assert!(held.admit(&committed()));
        assert!(held.poll_due(Timestamp::MAX).is_none());
    }
}
