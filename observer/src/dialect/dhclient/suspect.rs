//! Values that a script is likely to use in a command line. What does not look like a name or a path is left out, as
//! dhclient leaves it out.

/// What a value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// A domain name of letters, digits, hyphens, underscores and dots.
    Name,
    /// Domain names with spaces between.
    Names,
    /// A path with few other signs.
    Path,
}

/// The check for a DHCPv4 option.
pub(super) fn check4(code: u8) -> Option<Check> {
    match code {
        12 | 40 | 47 => Some(Check::Name),
        15 | 119 => Some(Check::Names),
        17 => Some(Check::Path),
        _ => None,
    }
}

/// The check for a DHCPv6 option.
pub(super) fn check6(code: u16) -> Option<Check> {
    matches!(code, 21 | 24 | 29 | 30).then_some(Check::Names)
}

impl Check {
    /// Whether the value is what it should be.
    pub(super) fn is_passed_by(self, value: &[u8]) -> bool {
        match self {
            Self::Name => is_name(value),
            Self::Names => are_names(value),
            Self::Path => {
                !value.is_empty()
                    && value
                        .iter()
                        .all(|octet| octet.is_ascii_alphanumeric() || b"#%+-_:.,@~\\/[]= ".contains(octet))
            }
        }
    }
}

fn are_names(value: &[u8]) -> bool {
    let mut names = value.split(|octet| *octet == b' ').filter(|name| !name.is_empty()).peekable();
    names.peek().is_some() && names.all(is_name)
}

/// Labels with dots between, and perhaps one at the end. The last label may be of any length, which is the real one's
/// way as well.
fn is_name(name: &[u8]) -> bool {
    if name.is_empty() || name.len() > 256 {
        return false;
    }
    let last = name.len() - 1;
    let mut label = 0;
    for (at, octet) in name.iter().enumerate() {
        match octet {
            b'-' | b'_' => {
                let ends_label = at == last || name.get(at + 1) == Some(&b'.');
                if at == label || ends_label {
                    return false;
                }
            }
            b'.' => {
                if !(1..64).contains(&(at - label)) {
                    return false;
                }
                label = at + 1;
            }
            octet if octet.is_ascii_alphanumeric() => {}
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["a", "a.b", "a-b_c.d.", "1.2"] {
            assert!(Check::Name.is_passed_by(good.as_bytes()), "{good}");
        }
        for bad in ["", "-a", "a-", "a-.b", "a..b", ".a", "a b", "a;b", "$(a)", "a\nb", "\\303"] {
            assert!(!Check::Name.is_passed_by(bad.as_bytes()), "{bad}");
        }
        assert!(!Check::Name.is_passed_by(&[b"a".repeat(64), b".b".to_vec()].concat()));
        assert!(Check::Names.is_passed_by(b" a.b  c "));
        assert!(!Check::Names.is_passed_by(b"  "));
        assert!(Check::Path.is_passed_by(b"/srv/nfs:rw,a=b c"));
        assert!(!Check::Path.is_passed_by(b"/srv/`id`"));
    }
}
