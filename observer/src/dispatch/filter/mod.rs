//! Which events a hook wants, by where they happened and to which client.

mod facts;
mod pattern;
mod prefix;
mod remembered;
#[cfg(test)]
mod tests;

use crate::tracker::LeaseEvent;

use facts::Facts;

pub use pattern::Pattern;
pub use prefix::Prefix;
pub(super) use remembered::Remembered;

/// What an event must have to be wanted. Each list that is not empty must fit, by any of its elements; an empty filter
/// fits everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Networks of the leased addresses; of the addresses that are asked for, or of the relays, where there is no lease.
    pub subnet: Vec<Prefix>,
    /// Names of interfaces on which the client is heard.
    pub interface: Vec<String>,
    /// VLANs in which the client is heard: identifiers from the outermost to the innermost, none for untagged.
    pub vlan: Vec<Vec<u16>>,
    /// First octets of the client's hardware address.
    pub hwaddr: Vec<Vec<u8>>,
    /// Vendor class: option 60; of DHCPv6 each of the data of option 16.
    pub vendor_class: Vec<Pattern>,
    /// User class: option 77, whole and each of its classes; of DHCPv6 each of those of option 15.
    pub user_class: Vec<Pattern>,
    /// Circuit: sub-option 1 of option 82; of DHCPv6 the interface-id of a relay, option 18.
    pub circuit_id: Vec<Pattern>,
    /// Remote identifier: sub-option 2 of option 82; of DHCPv6 option 37 of a relay without its enterprise number.
    pub remote_id: Vec<Pattern>,
}

/// What can be said of an event alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It fits.
    Wanted,
    /// It does not.
    Unwanted,
    /// It does not say enough: an expiry has no vendor class. What is known of the lease decides.
    Unknown,
}

impl Filter {
    /// Whether everything is wanted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it asks for what not every event says.
    pub(super) fn needs_memory(&self) -> bool {
        let classes = [&self.vendor_class, &self.user_class, &self.circuit_id, &self.remote_id];
        !self.hwaddr.is_empty() || classes.iter().any(|patterns| !patterns.is_empty())
    }

    /// Judges an event by itself.
    pub(super) fn judge(&self, event: &LeaseEvent) -> Verdict {
        if self.is_empty() {
            return Verdict::Wanted;
        }
        let facts = Facts::of(event);
        let any = |patterns: &[Pattern], values: Option<Vec<Vec<u8>>>| {
            values.map(|values| values.iter().any(|value| patterns.iter().any(|pattern| pattern.fits(value))))
        };
        // What is known to be wrong is so whatever else is not known.
        let mut verdict = Verdict::Wanted;
        for found in [
            (!self.subnet.is_empty()).then(|| {
                facts.addresses().map(|addresses| {
                    addresses.iter().any(|(address, length)| {
                        self.subnet.iter().any(|prefix| prefix.contains(*address, *length))
                    })
                })
            }),
            (!self.interface.is_empty())
                .then(|| facts.interface().map(|name| self.interface.iter().any(|wanted| wanted == name))),
            (!self.vlan.is_empty()).then(|| facts.vlans().map(|vlans| self.vlan.contains(&vlans))),
            (!self.hwaddr.is_empty()).then(|| {
                facts.hwaddrs().map(|hwaddrs| {
                    hwaddrs
                        .iter()
                        .any(|hwaddr| self.hwaddr.iter().any(|prefix| hwaddr.octets().starts_with(prefix)))
                })
            }),
            (!self.vendor_class.is_empty()).then(|| any(&self.vendor_class, facts.vendor_classes())),
            (!self.user_class.is_empty()).then(|| any(&self.user_class, facts.user_classes())),
            (!self.circuit_id.is_empty()).then(|| any(&self.circuit_id, facts.circuit_ids())),
            (!self.remote_id.is_empty()).then(|| any(&self.remote_id, facts.remote_ids())),
        ]
        .into_iter()
        .flatten()
        {
            match found {
                Some(true) => {}
                Some(false) => return Verdict::Unwanted,
                None => verdict = Verdict::Unknown,
            }
        }
        verdict
    }
}
