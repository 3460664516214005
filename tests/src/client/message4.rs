//! DHCPv4 messages as a client writes and reads them.

use std::net::Ipv4Addr;

/// The magic cookie of RFC 2131 section 3.
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// Codes of the options that the scripted client handles (RFC 2132).
pub mod option {
    /// Host name.
    pub const HOST_NAME: u8 = 12;
    /// Requested IP address.
    pub const REQUESTED_ADDRESS: u8 = 50;
    /// IP address lease time.
    pub const LEASE_TIME: u8 = 51;
    /// DHCP message type.
    pub const MESSAGE_TYPE: u8 = 53;
    /// Server identifier.
    pub const SERVER_ID: u8 = 54;
    /// Parameter request list.
    pub const PARAMETERS: u8 = 55;
    /// Client identifier.
    pub const CLIENT_ID: u8 = 61;
    /// Client FQDN (RFC 4702).
    pub const FQDN: u8 = 81;
    /// Relay agent information (RFC 3046).
    pub const RELAY_AGENT: u8 = 82;
}

/// DHCP message types (RFC 2132 section 9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "named as in the RFC")]
pub enum Kind {
    Discover = 1,
    Offer = 2,
    Request = 3,
    Decline = 4,
    Ack = 5,
    Nak = 6,
    Release = 7,
    Inform = 8,
}

/// A DHCPv4 message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message4 {
    /// 1 for a query, 2 for an answer.
    pub op: u8,
    /// The type of the hardware address.
    pub htype: u8,
    /// The length of the hardware address.
    pub hlen: u8,
    /// How many relays it has passed.
    pub hops: u8,
    /// The transaction.
    pub xid: u32,
    /// For how long the client has been trying, in seconds.
    pub secs: u16,
    /// 0x8000 asks for a broadcast answer.
    pub flags: u16,
    /// The client's address, when it has one.
    pub ciaddr: Ipv4Addr,
    /// The address that the server gives.
    pub yiaddr: Ipv4Addr,
    /// The next server's address.
    pub siaddr: Ipv4Addr,
    /// The first relay's address.
    pub giaddr: Ipv4Addr,
    /// The client's hardware address.
    pub chaddr: [u8; 6],
    /// The options in their order, without padding and end.
    pub options: Vec<(u8, Vec<u8>)>,
}

impl Message4 {
    /// A query of this type with nothing filled in.
    pub fn query(kind: Kind, xid: u32, chaddr: [u8; 6]) -> Self {
        let none = Ipv4Addr::UNSPECIFIED;
        let options = vec![(option::MESSAGE_TYPE, vec![kind as u8])];
        Self {
            op: 1,
            htype: 1,
            hlen: 6,
            hops: 0,
            xid,
            secs: 0,
            flags: 0,
            ciaddr: none,
            yiaddr: none,
            siaddr: none,
            giaddr: none,
            chaddr,
            options,
        }
    }

    /// The first option of this code.
    pub fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.iter().find(|(found, _)| *found == code).map(|(_, value)| value.as_slice())
    }

    /// The first option of this code as an address.
    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        let octets: [u8; 4] = self.option(code)?.try_into().ok()?;
        Some(octets.into())
    }

    /// Whether it is of this type.
    pub fn is(&self, kind: Kind) -> bool {
        self.option(option::MESSAGE_TYPE) == Some(&[kind as u8])
    }

    /// The lease time of option 51.
    pub fn lease_time(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.option(option::LEASE_TIME)?.try_into().ok()?))
    }

    /// Adds an option at the end.
    pub fn with(mut self, code: u8, value: impl Into<Vec<u8>>) -> Self {
        self.options.push((code, value.into()));
        self
    }

    /// The same without an option.
    pub fn without(mut self, code: u8) -> Self {
        self.options.retain(|(found, _)| *found != code);
        self
    }

    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.op, self.htype, self.hlen, self.hops];
        bytes.extend(self.xid.to_be_bytes());
        bytes.extend(self.secs.to_be_bytes());
        bytes.extend(self.flags.to_be_bytes());
        for address in [self.ciaddr, self.yiaddr, self.siaddr, self.giaddr] {
            bytes.extend(address.octets());
        }
        bytes.extend(self.chaddr);
        // The rest of chaddr, then sname and file.
        bytes.resize(236, 0);
        bytes.extend(COOKIE);
        for (code, value) in &self.options {
            bytes.extend([*code, u8::try_from(value.len()).unwrap_or(u8::MAX)]);
            bytes.extend(value.iter().take(255));
        }
        bytes.push(255);
        bytes
    }

    /// Reads a message; `None` when it is not one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.get(236..240)? != COOKIE {
            return None;
        }
        let address = |at: usize| -> Option<Ipv4Addr> {
            Some(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?.into())
        };
        let short =
            |at: usize| -> Option<u16> { Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?)) };
        let mut options = Vec::new();
        let mut rest = bytes.get(240..)?;
        loop {
            match rest {
                [] | [255, ..] => break,
                [0, tail @ ..] => rest = tail,
                [code, length, tail @ ..] => {
                    let length = usize::from(*length);
                    options.push((*code, tail.get(..length)?.to_vec()));
                    rest = tail.get(length..)?;
                }
                [_] => return None,
            }
        }
        Some(Self {
            op: *bytes.first()?,
            htype: *bytes.get(1)?,
            hlen: *bytes.get(2)?,
            hops: *bytes.get(3)?,
            xid: u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?),
            secs: short(8)?,
            flags: short(10)?,
            ciaddr: address(12)?,
            yiaddr: address(16)?,
            siaddr: address(20)?,
            giaddr: address(24)?,
            chaddr: bytes.get(28..34)?.try_into().ok()?,
            options,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut message =
            Message4::query(Kind::Request, 0xdead_beef, [2, 0, 0, 0, 0, 1]).with(option::HOST_NAME, *b"a");
        message.giaddr = Ipv4Addr::new(198, 51, 100, 1);
        message.flags = 0x8000;
        let bytes = message.encode();
        assert_eq!(bytes.len(), 240 + 3 + 3 + 1);
        assert_eq!(Message4::decode(&bytes), Some(message));
        assert_eq!(Message4::decode(&bytes[..240 + 4]), None, "an option that is cut short");
    }
}
