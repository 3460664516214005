//! IA_NA, IA_TA and IA_PD and what is in them (RFC 8415 sections 21.4 to 21.6, 21.21, 21.22).

use std::net::Ipv6Addr;

use dhcproto::decoder::{Decodable, Decoder};
use dhcproto::v6::DhcpOption;

use crate::time::Lifetime;

use super::options::{OptionsIter, code};

/// What kind of lease an identity association holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IaKind {
    /// IA_NA, non-temporary addresses.
    NonTemporary,
    /// IA_TA, temporary addresses.
    Temporary,
    /// IA_PD, delegated prefixes.
    PrefixDelegation,
}

impl IaKind {
    /// The code of the option.
    pub fn code(self) -> u16 {
        match self {
            Self::NonTemporary => code::IA_NA,
            Self::Temporary => code::IA_TA,
            Self::PrefixDelegation => code::IA_PD,
        }
    }

    /// Kea's name of the lease type.
    pub fn name(self) -> &'static str {
        match self {
            Self::NonTemporary => "IA_NA",
            Self::Temporary => "IA_TA",
            Self::PrefixDelegation => "IA_PD",
        }
    }
}

/// One identity association option.
#[derive(Clone, Debug)]
pub struct IdentityAssociation<'a> {
    /// Its kind.
    pub kind: IaKind,
    /// The identifier that the client chose, unique per kind.
    pub iaid: u32,
    /// Seconds until the client renews; 0 leaves it to the client. Absent from IA_TA.
    pub t1: u32,
    /// Seconds until the client rebinds; 0 leaves it to the client. Absent from IA_TA.
    pub t2: u32,
    options: &'a [u8],
}

/// One address or prefix in an identity association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IaLease {
    /// The address, or the first address of the prefix.
    pub address: Ipv6Addr,
    /// 128 for an address.
    pub prefix_len: u8,
    /// For how long the address may be used for new connections.
    pub preferred_lifetime: Lifetime,
    /// For how long the lease is good; zero takes it away.
    pub valid_lifetime: Lifetime,
}

impl<'a> IdentityAssociation<'a> {
    /// The fixed fields and what follows; `None` when the payload is too short for them.
    pub(super) fn read(kind: IaKind, payload: &'a [u8]) -> Option<Self> {
        let (iaid, rest) = split_u32(payload)?;
        if kind == IaKind::Temporary {
            return Some(Self { kind, iaid, t1: 0, t2: 0, options: rest });
        }
        let (t1, rest) = split_u32(rest)?;
        let (t2, options) = split_u32(rest)?;
        Some(Self { kind, iaid, t1, t2, options })
    }

    /// The options inside in the order of the wire.
    pub fn options(&self) -> OptionsIter<'a> {
        OptionsIter::new(self.options)
    }

    /// The addresses or prefixes in the order of the wire; those too short to be one are left out.
    pub fn leases(&self) -> impl Iterator<Item = IaLease> + use<'a> {
        let kind = self.kind;
        self.options().filter_map(move |(code, payload)| lease(kind, code, payload))
    }

    /// The status code, 0 (Success) when the option is absent (RFC 8415 section 21.13).
    pub fn status(&self) -> u16 {
        self.options()
            .find(|(code, _)| *code == code::STATUS_CODE)
            .and_then(|(_, payload)| payload.first_chunk::<2>().map(|octets| u16::from_be_bytes(*octets)))
            .unwrap_or(0)
    }
}

impl IaLease {
    /// The address of an IA Address option; `None` when it is too short to be one.
    pub(super) fn read_address(payload: &[u8]) -> Option<Self> {
        lease(IaKind::NonTemporary, code::IAADDR, payload)
    }
}

fn split_u32(octets: &[u8]) -> Option<(u32, &[u8])> {
    octets.split_first_chunk::<4>().map(|(number, rest)| (u32::from_be_bytes(*number), rest))
}

/// The fixed part of IAADDR and IAPREFIX, by dhcproto. It gets the fixed part alone: the options behind it could make it
/// refuse the whole.
fn lease(kind: IaKind, code: u16, payload: &[u8]) -> Option<IaLease> {
    let fixed = match (kind, code) {
        (IaKind::NonTemporary | IaKind::Temporary, code::IAADDR) => 24,
        (IaKind::PrefixDelegation, code::IAPREFIX) => 25,
        _ => return None,
    };
    let mut option = [0; 4 + 25];
    let (header, body) = option.split_at_mut(4);
    header.copy_from_slice(&[0, u8::try_from(code).ok()?, 0, fixed]);
    let fixed = usize::from(fixed);
    body.get_mut(..fixed)?.copy_from_slice(payload.get(..fixed)?);
    match DhcpOption::decode(&mut Decoder::new(option.get(..4 + fixed)?)).ok()? {
        DhcpOption::IAAddr(lease) => Some(IaLease {
            address: lease.addr,
            prefix_len: 128,
            preferred_lifetime: Lifetime::from_wire(lease.preferred_life),
            valid_lifetime: Lifetime::from_wire(lease.valid_life),
        }),
        DhcpOption::IAPrefix(lease) => Some(IaLease {
            address: lease.prefix_ip,
            prefix_len: lease.prefix_len,
            preferred_lifetime: Lifetime::from_wire(lease.preferred_lifetime),
            valid_lifetime: Lifetime::from_wire(lease.valid_lifetime),
        }),
        _ => None,
    }
}
