//! Host names that the server makes up from an address (`ddns-replace-client-name`).

use crate::octets::Octets;

/// The part of a name before its first dot.
fn first_label(name: &[u8]) -> &[u8] {
    name.split(|&octet| octet == b'.').next().unwrap_or_default()
}

/// Whether the server made up `name`, which ends in `address` as Kea writes it into names: with hyphens.
///
/// A client may well be called so, or call itself what it was called before: only where the server is known to replace
/// what clients say is such a name made up although the client said it.
pub(super) fn is_made_up(
    name: &[u8],
    address: &str,
    client_says: impl FnOnce() -> Option<Octets>,
    replaces: bool,
) -> bool {
    let label = first_label(name);
    !label.is_empty()
        && label.ends_with(address.as_bytes())
        && (replaces || client_says().is_none_or(|own| !first_label(&own).eq_ignore_ascii_case(label)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_up_unless_the_client_says_it_itself() {
        let made_up = |name: &str, own: Option<&str>, replaces| {
            is_made_up(name.as_bytes(), "192-0-2-1", || own.map(|own| own.as_bytes().into()), replaces)
        };
        assert!(made_up("myhost-192-0-2-1.lan.", None, false));
        assert!(made_up("192-0-2-1", Some("other"), false));
        assert!(!made_up("myhost-192-0-2-1.lan.", Some("MyHost-192-0-2-1"), false));
        assert!(made_up("myhost-192-0-2-1.lan.", Some("myhost-192-0-2-1"), true));
        assert!(!made_up("myhost-192-0-2-2", None, true));
        assert!(!made_up("", None, true));
    }
}
