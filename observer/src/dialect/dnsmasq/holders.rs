//! Who has which name. A name belongs to whom it was given last.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::dialect::lease::{Key, Lease};

use super::environment::hostname;

/// The name of one lease, in lower case; those of DHCPv4 and DHCPv6 are apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    is_v4: bool,
    text: Vec<u8>,
    holder: Key,
}

impl Name {
    /// `None` when the lease has no name.
    pub(super) fn of(lease: &Lease) -> Option<Self> {
        let (holder, text) = (lease.key(), hostname(lease).to_ascii_lowercase());
        (!text.is_empty()).then_some(Self { is_v4: matches!(holder, Key::V4(_)), text, holder })
    }
}

/// All names.
#[derive(Debug, Default)]
pub(super) struct Holders(BTreeSet<Name>);

impl Holders {
    pub(super) fn insert(&mut self, name: Option<Name>) {
        self.0.extend(name);
    }

    pub(super) fn remove(&mut self, name: Option<Name>) {
        if let Some(name) = name {
            self.0.remove(&name);
        }
    }

    /// The other leases that have this name.
    pub(super) fn others(&self, name: &Name) -> impl Iterator<Item = Key> {
        // The least of all keys.
        let first = Name { holder: Key::V4(Ipv4Addr::UNSPECIFIED), ..name.clone() };
        let same =
            self.0.range(first..).take_while(|held| (held.is_v4, &held.text) == (name.is_v4, &name.text));
        same.map(|held| held.holder).filter(|holder| *holder != name.holder)
    }
}
