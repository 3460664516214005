//! Option 53.

/// The DHCP message type (RFC 2132 section 9.6 and its later additions).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageType(pub u8);

#[expect(missing_docs, reason = "the names are RFC 2131's own")]
impl MessageType {
    pub const DISCOVER: Self = Self(1);
    pub const OFFER: Self = Self(2);
    pub const REQUEST: Self = Self(3);
    pub const DECLINE: Self = Self(4);
    pub const ACK: Self = Self(5);
    pub const NAK: Self = Self(6);
    pub const RELEASE: Self = Self(7);
    pub const INFORM: Self = Self(8);
}

/// Kea's names, from 1 (`Pkt4::getName`).
const NAMES: [&str; 18] = [
    "DHCPDISCOVER",
    "DHCPOFFER",
    "DHCPREQUEST",
    "DHCPDECLINE",
    "DHCPACK",
    "DHCPNAK",
    "DHCPRELEASE",
    "DHCPINFORM",
    "UNKNOWN",
    "DHCPLEASEQUERY",
    "DHCPLEASEUNASSIGNED",
    "DHCPLEASEUNKNOWN",
    "DHCPLEASEACTIVE",
    "DHCPBULKLEASEQUERY",
    "DHCPLEASEQUERYDONE",
    "UNKNOWN",
    "DHCPLEASEQUERYSTATUS",
    "DHCPTLS",
];

impl MessageType {
    /// The name that Kea gives the type; `UNKNOWN` for those it does not know.
    pub fn name(self) -> &'static str {
        usize::from(self.0).checked_sub(1).and_then(|index| NAMES.get(index)).copied().unwrap_or("UNKNOWN")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_keas() {
        for (number, name) in [
            (0, "UNKNOWN"),
            (1, "DHCPDISCOVER"),
            (4, "DHCPDECLINE"),
            (8, "DHCPINFORM"),
            (9, "UNKNOWN"),
            (10, "DHCPLEASEQUERY"),
            (15, "DHCPLEASEQUERYDONE"),
            (17, "DHCPLEASEQUERYSTATUS"),
            (18, "DHCPTLS"),
            (19, "UNKNOWN"),
            (255, "UNKNOWN"),
        ] {
            assert_eq!(MessageType(number).name(), name, "{number}");
        }
    }
}
