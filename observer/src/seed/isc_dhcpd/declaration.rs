//! What the statements of a lease file mean.

use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::dhcpv6::IaKind;
use crate::identity::{ClientId, Duid, HardwareAddress, hardware_address_in_duid};
use crate::octets::Octets;
use crate::seed::civil_time;
use crate::seed::ledger::Ledger;
use crate::seed::octets::{from_colon_hex, parsed};
use crate::time::{Lifetime, Timestamp};
use crate::tracker::{Lease4, Lease6, LeaseState};

use super::is_declaration;
use super::statement::Statement;

/// Where something is wrong, and what.
type Fault = (usize, String);

/// What the tracker writes in place of the DUID of a declined lease, as Kea 2.2 does.
const NOBODY: [u8; 1] = [0];

/// The declarations so far.
#[derive(Debug)]
pub(super) struct Declarations {
    file: Arc<Path>,
    ledger: Ledger,
    /// IAIDs stand in the file in the byte order of the machine that wrote it.
    is_little_endian: bool,
}

impl Declarations {
    pub(super) fn new(file: Arc<Path>) -> Self {
        Self { file, ledger: Ledger::default(), is_little_endian: cfg!(target_endian = "little") }
    }

    pub(super) fn into_ledger(self) -> Ledger {
        self.ledger
    }

    /// Takes in one declaration.
    pub(super) fn take(&mut self, declaration: Statement) {
        let taken = match declaration.any_fault() {
            Some((line, why)) => Err((line, why.to_owned())),
            None => match declaration.word(0) {
                b"lease" => self.lease(&declaration),
                b"ia-na" => self.association(&declaration, IaKind::NonTemporary),
                b"ia-ta" => self.association(&declaration, IaKind::Temporary),
                b"ia-pd" => self.association(&declaration, IaKind::PrefixDelegation),
                b"authoring-byte-order" => self.byte_order(&declaration),
                other if other.is_empty() || is_declaration(other) => Ok(()),
                other => Err(wrong(&declaration, other, "a lease")),
            },
        };
        if let Err((line, why)) = taken {
            self.ledger.skip(&self.file, line, why);
        }
    }

    fn byte_order(&mut self, statement: &Statement) -> Result<(), Fault> {
        self.is_little_endian = match statement.word(1) {
            b"little-endian" => true,
            b"big-endian" => false,
            other => return Err(wrong(statement, other, "little-endian or big-endian")),
        };
        Ok(())
    }

    fn lease(&mut self, declaration: &Statement) -> Result<(), Fault> {
        let address = parsed(declaration.word(1))
            .ok_or_else(|| wrong(declaration, declaration.word(1), "an IPv4 address"))?;
        let mut state = Binding::Is(LeaseState::Default);
        let (mut starts, mut ends, mut cltt) = (None, None, None);
        let (mut hwaddr, mut client_id, mut hostname) = (None, None, Box::<[u8]>::default());
        for inner in &declaration.block {
            match inner.word(0) {
                b"starts" => starts = date(inner)?,
                b"ends" => ends = Some(date(inner)?),
                b"cltt" => cltt = date(inner)?,
                b"binding" => state = binding(inner)?,
                b"abandoned" => state = Binding::Is(LeaseState::Declined),
                b"hardware" => hwaddr = Some(hardware(inner)?),
                b"uid" => client_id = Some(ClientId::new(&octets(inner, 1)?)),
                b"client-hostname" => hostname = inner.word(1).into(),
                _ => {}
            }
        }
        let Binding::Is(state) = state else {
            self.ledger.remove4(address);
            return Ok(());
        };
        let no_start = || (declaration.line, "found neither `starts` nor `cltt`".to_owned());
        let cltt = starts.or(cltt).ok_or_else(no_start)?;
        let ends = ends.ok_or_else(|| (declaration.line, "found no `ends`".to_owned()))?;
        let valid_lifetime = match ends {
            Some(ends) => lifetime(declaration, cltt, ends)?,
            None => Lifetime::Infinite,
        };
        let lease = Lease4 {
            address,
            hwaddr: hwaddr.unwrap_or_else(HardwareAddress::empty),
            client_id,
            hostname: (*hostname).into(),
            cltt,
            valid_lifetime,
            state,
            subnet_id: None,
            place: Arc::default(),
            relay: None,
        };
        self.ledger.put4(match state {
            LeaseState::Declined => Lease4 {
                hwaddr: HardwareAddress::empty(),
                client_id: None,
                hostname: Octets::default(),
                ..lease
            },
            _ => lease,
        });
        Ok(())
    }

    /// `ia-na "IAID and DUID" { cltt …; iaaddr … { … } … }`. Every entry is the whole of the association.
    fn association(&mut self, declaration: &Statement, kind: IaKind) -> Result<(), Fault> {
        let named = octets(declaration, 1)?;
        let Some((iaid, duid)) = named.split_first_chunk::<4>().filter(|(_, duid)| !duid.is_empty()) else {
            return Err(wrong(declaration, declaration.word(1), "an IAID of 4 octets and a DUID"));
        };
        let iaid = if self.is_little_endian { u32::from_le_bytes(*iaid) } else { u32::from_be_bytes(*iaid) };
        let duid = Duid::new(duid);
        let mut cltt = None;
        let mut leases = Vec::new();
        for inner in &declaration.block {
            match inner.word(0) {
                b"cltt" => match date(inner) {
                    Ok(date) => cltt = date,
                    Err((line, why)) => self.ledger.skip(&self.file, line, why),
                },
                b"iaaddr" | b"iaprefix" => match lease6(inner, kind, iaid, &duid, cltt) {
                    Ok(lease) => leases.extend(lease),
                    Err((line, why)) => self.ledger.skip(&self.file, line, why),
                },
                _ => {}
            }
        }
        self.ledger.put_association(kind, iaid, duid, leases);
        Ok(())
    }
}

/// One address or prefix of an identity association; `None` when it is not leased (any more).
fn lease6(
    statement: &Statement,
    kind: IaKind,
    iaid: u32,
    duid: &Duid,
    mut cltt: Option<Timestamp>,
) -> Result<Option<Lease6>, Fault> {
    let (address, prefix_len) = address6(statement, kind)?;
    let mut state = Binding::Is(LeaseState::Default);
    let (mut preferred, mut valid, mut ends) = (None, None, None);
    for inner in &statement.block {
        match inner.word(0) {
            b"binding" => state = binding(inner)?,
            b"preferred-life" => preferred = Some(seconds(inner)?),
            b"max-life" => valid = Some(seconds(inner)?),
            b"ends" => ends = Some(date(inner)?),
            _ => {}
        }
    }
    let Binding::Is(state) = state else { return Ok(None) };
    let valid_lifetime = match (valid, ends, cltt) {
        (_, Some(None), _) => Lifetime::Infinite,
        (Some(Lifetime::Seconds(valid)), Some(Some(ends)), _) => {
            // dhcpd's cache lets an old lease run on, so the end tells when it began.
            cltt = Some(ends - Duration::from_secs(u64::from(valid)));
            Lifetime::Seconds(valid)
        }
        (None, Some(Some(ends)), Some(cltt)) => lifetime(statement, cltt, ends)?,
        (Some(valid), _, _) => valid,
        (None, _, _) => {
            return Err((statement.line, "found neither `max-life` nor `cltt` and `ends`".to_owned()));
        }
    };
    let cltt =
        cltt.ok_or_else(|| (statement.line, "found no `cltt` before it and no `ends` in it".to_owned()))?;
    let lease = Lease6 {
        kind,
        address,
        prefix_len,
        duid: duid.clone(),
        iaid,
        hwaddr: hardware_address_in_duid(duid.octets()),
        hostname: Octets::default(),
        cltt,
        preferred_lifetime: preferred.unwrap_or(valid_lifetime),
        valid_lifetime,
        state,
        subnet_id: None,
        place: Arc::default(),
        way: None,
        relay_information: None,
    };
    Ok(Some(match state {
        LeaseState::Declined => Lease6 {
            duid: Duid::new(&NOBODY),
            hwaddr: None,
            preferred_lifetime: Lifetime::Seconds(0),
            ..lease
        },
        _ => lease,
    }))
}

fn address6(statement: &Statement, kind: IaKind) -> Result<(Ipv6Addr, u8), Fault> {
    let text = statement.word(1);
    let fault = || wrong(statement, text, "an IPv6 address, or a prefix with its length");
    let slash = text.iter().position(|&byte| byte == b'/').and_then(|at| text.split_at_checked(at));
    let (address, length) = match (kind, slash) {
        (IaKind::PrefixDelegation, Some((address, length))) => {
            let length = length.strip_prefix(b"/").and_then(parsed).filter(|length| *length <= 128);
            (address, length.ok_or_else(fault)?)
        }
        (IaKind::NonTemporary | IaKind::Temporary, None) => (text, 128),
        _ => return Err(fault()),
    };
    Ok((parsed(address).ok_or_else(fault)?, length))
}

fn wrong(statement: &Statement, found: &[u8], expected: &str) -> Fault {
    (statement.line, format!("found {:?}, expected {expected}", String::from_utf8_lossy(found)))
}

/// What a binding state means here.
enum Binding {
    /// There is a lease, in this state.
    Is(LeaseState),
    /// There is none: free, released, reset, or the failover peer's to give.
    Free,
}

fn binding(statement: &Statement) -> Result<Binding, Fault> {
    match statement.word(2) {
        b"active" => Ok(Binding::Is(LeaseState::Default)),
        b"abandoned" => Ok(Binding::Is(LeaseState::Declined)),
        b"expired" => Ok(Binding::Is(LeaseState::ExpiredReclaimed)),
        b"free" | b"released" | b"reset" | b"backup" => Ok(Binding::Free),
        other => Err(wrong(statement, other, "a binding state")),
    }
}

/// `starts 6 2026/11/21 17:00:00;`, `ends epoch 1795280400;` or `ends never;`, which is `None`.
fn date(statement: &Statement) -> Result<Option<Timestamp>, Fault> {
    let found = match (statement.word(1), statement.word(2), statement.word(3)) {
        (b"never", _, _) => return Ok(None),
        (b"epoch", seconds, _) => parsed(seconds).map(Timestamp::from_seconds),
        (_day_of_week, day, time) => civil_time::timestamp(day, time),
    };
    let text = || statement.words.get(1..).unwrap_or_default().join(&b' ');
    found.map(Some).ok_or_else(|| wrong(statement, &text(), "a date, `epoch` and seconds, or `never`"))
}

fn lifetime(statement: &Statement, starts: Timestamp, ends: Timestamp) -> Result<Lifetime, Fault> {
    if ends < starts {
        return Err((statement.line, "found a lease that ends before it starts".to_owned()));
    }
    // What does not fit into 32 bits is as good as infinite.
    Ok(Lifetime::from_wire(u32::try_from(ends.since(starts).as_secs()).unwrap_or(u32::MAX)))
}

fn seconds(statement: &Statement) -> Result<Lifetime, Fault> {
    let found = parsed(statement.word(1)).map(Lifetime::from_wire);
    found.ok_or_else(|| wrong(statement, statement.word(1), "a number of seconds"))
}

fn hardware(statement: &Statement) -> Result<HardwareAddress, Fault> {
    let fault = || wrong(statement, &statement.words.join(&b' '), "a hardware type and address");
    let htype = match statement.word(1) {
        b"ethernet" => HardwareAddress::ETHERNET,
        b"token-ring" => 6,
        b"fddi" => 8,
        b"infiniband" => 32,
        other => other.strip_prefix(b"unknown-").and_then(parsed).ok_or_else(fault)?,
    };
    let octets = from_colon_hex(statement.word(2)).filter(|octets| octets.len() <= HardwareAddress::MAX);
    let octets = octets.ok_or_else(fault)?;
    Ok(HardwareAddress::new(htype, &octets, octets.len()))
}

/// An identifier: quoted, or in hexadecimal with colons where dhcpd is configured so (`lease-id-format hex`).
fn octets(statement: &Statement, index: usize) -> Result<Vec<u8>, Fault> {
    let text = statement.word(index);
    let found = if statement.is_quoted(index) { Some(text.to_vec()) } else { from_colon_hex(text) };
    found.filter(|octets| !octets.is_empty()).ok_or_else(|| wrong(statement, text, "an identifier"))
}
