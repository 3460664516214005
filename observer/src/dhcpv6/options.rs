//! Options: a code, a length, a payload (RFC 8415 section 21.1).

/// Option codes that are used here (IANA's DHCPv6 parameters).
#[expect(missing_docs, reason = "the names are IANA's own")]
pub mod code {
    pub const CLIENT_ID: u16 = 1;
    pub const SERVER_ID: u16 = 2;
    pub const IA_NA: u16 = 3;
    pub const IA_TA: u16 = 4;
    pub const IAADDR: u16 = 5;
    pub const OPTION_REQUEST: u16 = 6;
    pub const RELAY_MESSAGE: u16 = 9;
    pub const STATUS_CODE: u16 = 13;
    pub const RAPID_COMMIT: u16 = 14;
    pub const USER_CLASS: u16 = 15;
    pub const VENDOR_CLASS: u16 = 16;
    pub const INTERFACE_ID: u16 = 18;
    pub const IA_PD: u16 = 25;
    pub const IAPREFIX: u16 = 26;
    pub const REMOTE_ID: u16 = 37;
    pub const SUBSCRIBER_ID: u16 = 38;
    pub const CLIENT_FQDN: u16 = 39;
    pub const CLIENT_LINKLAYER_ADDR: u16 = 79;
    pub const MUD_URL: u16 = 112;
}

/// Where a run of options stands in the bytes of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    pub(super) fn iter(self, bytes: &[u8]) -> OptionsIter<'_> {
        OptionsIter::new(bytes.get(self.start..self.end).unwrap_or_default())
    }
}

/// Codes and payloads in the order of the wire, up to the first option that runs past the end.
#[derive(Clone, Debug)]
pub struct OptionsIter<'a> {
    rest: &'a [u8],
}

impl<'a> OptionsIter<'a> {
    /// Walks these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What could not be read as an option; empty after a clean walk.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for OptionsIter<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [code_high, code_low, length_high, length_low, tail @ ..] = self.rest else { return None };
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        let (payload, rest) = tail.split_at_checked(length)?;
        self.rest = rest;
        Some((u16::from_be_bytes([*code_high, *code_low]), payload))
    }
}
