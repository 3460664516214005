//! A short string of octets that is mostly kept in place.

use std::fmt;
use std::ops::Deref;

/// How many octets need no memory of their own: a client identifier, a DUID, and most host names.
const IN_PLACE: usize = 22;

/// Octets that never change, such as an identifier or a name.
///
/// A million leases have two of them each. As boxes they would cost two allocations a lease, and two more each time one
/// is copied into an event; like this they are 24 octets, also inside an `Option`.
#[derive(Clone)]
pub struct Octets(Repr);

#[derive(Clone)]
enum Repr {
    InPlace { length: u8, octets: [u8; IN_PLACE] },
    Boxed(Box<[u8]>),
}

impl Octets {
    /// The same with ASCII letters in lower case.
    pub fn into_lower_case(self) -> Self {
        if self.iter().any(u8::is_ascii_uppercase) { self.to_ascii_lowercase().into() } else { self }
    }
}

impl From<&[u8]> for Octets {
    fn from(from: &[u8]) -> Self {
        let mut octets = [0; IN_PLACE];
        match (octets.get_mut(..from.len()), u8::try_from(from.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(from);
                Self(Repr::InPlace { length, octets })
            }
            _ => Self(Repr::Boxed(from.into())),
        }
    }
}

impl From<Vec<u8>> for Octets {
    fn from(from: Vec<u8>) -> Self {
        if from.len() > IN_PLACE { Self(Repr::Boxed(from.into())) } else { from.as_slice().into() }
    }
}

impl Deref for Octets {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::InPlace { length, octets } => octets.get(..usize::from(*length)).unwrap_or_default(),
            Repr::Boxed(octets) => octets,
        }
    }
}

impl Default for Octets {
    fn default() -> Self {
        Self(Repr::InPlace { length: 0, octets: [0; IN_PLACE] })
    }
}

impl PartialEq for Octets {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Octets {}

impl PartialOrd for Octets {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Octets {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (**self).cmp(&**other)
    }
}

impl std::hash::Hash for Octets {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_of_any_length_come_back_and_compare_as_slices() {
        let long: Vec<u8> = (0..=255).collect();
        for length in 0..=256 {
            let octets = Octets::from(&long[..length]);
            assert_eq!(*octets, long[..length]);
            assert_eq!(octets, Octets::from(long[..length].to_vec()));
            assert_eq!(octets.cmp(&Octets::from(&long[..20])), long[..length].cmp(&long[..20]));
        }
        assert!(Octets::default().is_empty());
    }

    #[test]
    fn an_option_costs_nothing() {
        assert_eq!((size_of::<Octets>(), size_of::<Option<Octets>>()), (24, 24));
    }
}
