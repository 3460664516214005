//! The first octet of a message.

/// The DHCPv6 message type (RFC 8415 section 7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageType(pub u8);

#[expect(missing_docs, reason = "the names are RFC 8415's own")]
impl MessageType {
    pub const SOLICIT: Self = Self(1);
    pub const ADVERTISE: Self = Self(2);
    pub const REQUEST: Self = Self(3);
    pub const CONFIRM: Self = Self(4);
    pub const RENEW: Self = Self(5);
    pub const REBIND: Self = Self(6);
    pub const REPLY: Self = Self(7);
    pub const RELEASE: Self = Self(8);
    pub const DECLINE: Self = Self(9);
    pub const RECONFIGURE: Self = Self(10);
    pub const INFORMATION_REQUEST: Self = Self(11);
    pub const RELAY_FORWARD: Self = Self(12);
    pub const RELAY_REPLY: Self = Self(13);
    pub const ADDR_REG_INFORM: Self = Self(36);
    pub const ADDR_REG_REPLY: Self = Self(37);
}

/// Kea 2.2's names, from 1 (`Pkt6::getName`).
const NAMES: [&str; 15] = [
    "SOLICIT",
    "ADVERTISE",
    "REQUEST",
    "CONFIRM",
    "RENEW",
    "REBIND",
    "REPLY",
    "RELEASE",
    "DECLINE",
    "RECONFIGURE",
    "INFORMATION_REQUEST",
    "RELAY_FORWARD",
    "RELAY_REPLY",
    "LEASEQUERY",
    "LEASEQUERY_REPLY",
];

impl MessageType {
    /// The name that Kea 2.2 gives the type; `UNKNOWN` for those it does not know.
    pub fn name(self) -> &'static str {
        match self.0 {
            20 => "DHCPV4_QUERY",
            21 => "DHCPV4_RESPONSE",
            // Kea 2.2 does not know these two, and makes nothing of them that could show it.
            36 => "ADDR_REG_INFORM",
            37 => "ADDR_REG_REPLY",
            number => usize::from(number)
                .checked_sub(1)
                .and_then(|index| NAMES.get(index))
                .copied()
                .unwrap_or("UNKNOWN"),
        }
    }

    /// Whether clients (or relays on their behalf) send it.
    pub fn is_query(self) -> bool {
        matches!(
            self,
            Self::SOLICIT
                | Self::REQUEST
                | Self::CONFIRM
                | Self::RENEW
                | Self::REBIND
                | Self::RELEASE
                | Self::DECLINE
                | Self::INFORMATION_REQUEST
                | Self::ADDR_REG_INFORM
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_keas() {
        for (number, name) in [
            (0, "UNKNOWN"),
            (1, "SOLICIT"),
            (11, "INFORMATION_REQUEST"),
            (13, "RELAY_REPLY"),
            (15, "LEASEQUERY_REPLY"),
            (16, "UNKNOWN"),
            (20, "DHCPV4_QUERY"),
            (21, "DHCPV4_RESPONSE"),
        ] {
            assert_eq!(MessageType(number).name(), name, "{number}");
        }
    }
}
