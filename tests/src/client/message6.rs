//! DHCPv6 messages as a client writes and reads them.

use std::net::Ipv6Addr;

/// Codes of the options that the scripted client handles (RFC 8415 section 21).
pub mod option {
    /// Client identifier.
    pub const CLIENT_ID: u16 = 1;
    /// Server identifier.
    pub const SERVER_ID: u16 = 2;
    /// Identity association for non-temporary addresses.
    pub const IA_NA: u16 = 3;
    /// An address in an identity association.
    pub const IA_ADDRESS: u16 = 5;
    /// Elapsed time.
    pub const ELAPSED_TIME: u16 = 8;
    /// The message that a relay carries.
    pub const RELAY_MESSAGE: u16 = 9;
    /// Rapid commit.
    pub const RAPID_COMMIT: u16 = 14;
    /// The interface on which a relay received a message.
    pub const INTERFACE_ID: u16 = 18;
    /// Identity association for prefix delegation.
    pub const IA_PD: u16 = 25;
    /// A prefix in an identity association.
    pub const IA_PREFIX: u16 = 26;
    /// Remote-ID of a relay (RFC 4649).
    pub const REMOTE_ID: u16 = 37;
    /// Fully qualified domain name (RFC 4704).
    pub const FQDN: u16 = 39;
}

/// DHCPv6 message types (RFC 8415 section 7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "named as in the RFC")]
pub enum Kind {
    Solicit = 1,
    Advertise = 2,
    Request = 3,
    Confirm = 4,
    Renew = 5,
    Rebind = 6,
    Reply = 7,
    Release = 8,
    Decline = 9,
    InformationRequest = 11,
    RelayForward = 12,
    RelayReply = 13,
}

/// Options in their order.
pub type Options = Vec<(u16, Vec<u8>)>;

/// A DHCPv6 message between client and server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message6 {
    /// The message type.
    pub kind: u8,
    /// The transaction, 24 bits.
    pub transaction_id: u32,
    /// The options in their order.
    pub options: Options,
}

impl Message6 {
    /// The first option of this code.
    pub fn option(&self, code: u16) -> Option<&[u8]> {
        self.options.iter().find(|(found, _)| *found == code).map(|(_, value)| value.as_slice())
    }

    /// Whether it is of this type.
    pub fn is(&self, kind: Kind) -> bool {
        self.kind == kind as u8
    }

    /// The identity associations that it carries.
    pub fn associations(&self) -> Vec<Ia> {
        self.options.iter().filter_map(|(code, value)| Ia::decode(*code, value)).collect()
    }

    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let [_, high, middle, low] = self.transaction_id.to_be_bytes();
        let mut bytes = vec![self.kind, high, middle, low];
        encode_options(&self.options, &mut bytes);
        bytes
    }

    /// Reads a message, out of the envelopes of any relays; `None` when it is not one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let &[kind, high, middle, low, ref rest @ ..] = bytes else { return None };
        if kind == Kind::RelayForward as u8 || kind == Kind::RelayReply as u8 {
            let options = decode_options(bytes.get(34..)?)?;
            let (_, inner) = options.into_iter().find(|(code, _)| *code == option::RELAY_MESSAGE)?;
            return Self::decode(&inner);
        }
        let transaction_id = u32::from_be_bytes([0, high, middle, low]);
        Some(Self { kind, transaction_id, options: decode_options(rest)? })
    }
}

/// Puts a message into a relay's envelope.
pub fn relay_forward(hops: u8, link: Ipv6Addr, peer: Ipv6Addr, options: &Options, inner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![Kind::RelayForward as u8, hops];
    bytes.extend(link.octets());
    bytes.extend(peer.octets());
    encode_options(options, &mut bytes);
    encode_options(&vec![(option::RELAY_MESSAGE, inner.to_vec())], &mut bytes);
    bytes
}

fn encode_options(options: &Options, bytes: &mut Vec<u8>) {
    for (code, value) in options {
        bytes.extend(code.to_be_bytes());
        bytes.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend(value);
    }
}

fn decode_options(mut bytes: &[u8]) -> Option<Options> {
    let mut options = Options::new();
    while !bytes.is_empty() {
        let &[code_high, code_low, length_high, length_low, ref tail @ ..] = bytes else { return None };
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        options.push((u16::from_be_bytes([code_high, code_low]), tail.get(..length)?.to_vec()));
        bytes = tail.get(length..)?;
    }
    Some(options)
}

/// What an identity association is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IaKind {
    /// Non-temporary addresses.
    Addresses,
    /// Delegated prefixes.
    Prefixes,
}

/// An address or prefix in an identity association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item6 {
    /// The address, or the prefix's address.
    pub address: Ipv6Addr,
    /// The prefix's length, 128 for an address.
    pub prefix_length: u8,
    /// The preferred lifetime in seconds.
    pub preferred: u32,
    /// The valid lifetime in seconds.
    pub valid: u32,
}

/// An identity association (RFC 8415 sections 21.4 and 21.21).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ia {
    /// What it is for.
    pub kind: IaKind,
    /// Its identifier.
    pub iaid: u32,
    /// What is in it.
    pub items: Vec<Item6>,
}

impl Ia {
    /// One for addresses, empty.
    pub fn addresses(iaid: u32) -> Self {
        Self { kind: IaKind::Addresses, iaid, items: Vec::new() }
    }

    /// One for prefixes, empty.
    pub fn prefixes(iaid: u32) -> Self {
        Self { kind: IaKind::Prefixes, iaid, items: Vec::new() }
    }

    /// The option's code and payload, with T1 and T2 zero as a client sends them.
    pub fn encode(&self) -> (u16, Vec<u8>) {
        let mut bytes = self.iaid.to_be_bytes().to_vec();
        bytes.extend([0; 8]);
        for item in &self.items {
            let (preferred, valid) = (item.preferred.to_be_bytes(), item.valid.to_be_bytes());
            let (address, length) = (item.address.octets(), [item.prefix_length]);
            let sub_option = match self.kind {
                IaKind::Addresses => (option::IA_ADDRESS, [&address[..], &preferred, &valid].concat()),
                IaKind::Prefixes => (option::IA_PREFIX, [&preferred[..], &valid, &length, &address].concat()),
            };
            encode_options(&vec![sub_option], &mut bytes);
        }
        (if self.kind == IaKind::Addresses { option::IA_NA } else { option::IA_PD }, bytes)
    }

    /// Reads an option; `None` when it is not an identity association.
    pub fn decode(code: u16, bytes: &[u8]) -> Option<Self> {
        let kind = match code {
            option::IA_NA => IaKind::Addresses,
            option::IA_PD => IaKind::Prefixes,
            _ => return None,
        };
        let iaid = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
        let options = decode_options(bytes.get(12..)?)?;
        let items = options.iter().filter_map(|(code, value)| decode_item(*code, value)).collect();
        Some(Self { kind, iaid, items })
    }
}

fn decode_item(code: u16, bytes: &[u8]) -> Option<Item6> {
    let number =
        |at: usize| -> Option<u32> { Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?)) };
    let address =
        |at: usize| -> Option<Ipv6Addr> { Some(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?.into()) };
    match code {
        option::IA_ADDRESS => Some(Item6 {
            address: address(0)?,
            prefix_length: 128,
            preferred: number(16)?,
            valid: number(20)?,
        }),
        option::IA_PREFIX => Some(Item6 {
            address: address(9)?,
            prefix_length: *bytes.get(8)?,
            preferred: number(0)?,
            valid: number(4)?,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_also_through_relays() {
        let item = |prefix_length| Item6 {
            address: "2001:db8::".parse().unwrap(),
            prefix_length,
            preferred: 1,
            valid: 2,
        };
        let na = Ia { items: vec![item(128)], ..Ia::addresses(7) };
        let pd = Ia { items: vec![item(56)], ..Ia::prefixes(8) };
        let options = vec![(option::CLIENT_ID, vec![0, 3]), na.encode(), pd.encode()];
        let message = Message6 { kind: Kind::Renew as u8, transaction_id: 0x12_3456, options };
        assert_eq!(message.associations(), [na, pd]);
        let mut bytes = message.encode();
        for hops in 0..3 {
            assert_eq!(Message6::decode(&bytes), Some(message.clone()), "{hops} relays");
            let options = vec![(option::INTERFACE_ID, vec![hops])];
            bytes = relay_forward(hops, Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST, &options, &bytes);
        }
    }
}
