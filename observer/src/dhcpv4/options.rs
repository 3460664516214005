//! The options of a message: where each one stands in the bytes, pieces of a split option put together.

use std::borrow::Cow;

/// Option codes that are used here (RFC 2132 and later; IANA's BOOTP and DHCP parameters).
#[expect(missing_docs, reason = "the names are IANA's own")]
pub mod code {
    pub const PAD: u8 = 0;
    pub const SUBNET_MASK: u8 = 1;
    pub const HOST_NAME: u8 = 12;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE_TIME: u8 = 51;
    pub const OVERLOAD: u8 = 52;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER_IDENTIFIER: u8 = 54;
    pub const CLIENT_IDENTIFIER: u8 = 61;
    pub const RAPID_COMMIT: u8 = 80;
    pub const CLIENT_FQDN: u8 = 81;
    pub const RELAY_AGENT_INFORMATION: u8 = 82;
    pub const END: u8 = 255;
}

/// One piece of one option in the bytes of the message.
#[derive(Clone, Copy, Debug)]
struct Piece {
    code: u8,
    length: u8,
    start: u16,
}

/// The options of one message and the bytes in which they stand.
#[derive(Clone, Debug, Default)]
pub struct Options {
    bytes: Box<[u8]>,
    pieces: Vec<Piece>,
}

impl Options {
    /// How many options of one message are kept. A datagram of 64 KiB could name 32,000.
    pub const MAX: usize = 1_024;

    /// No options yet, in these bytes (the whole UDP payload).
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.into(), pieces: Vec::with_capacity(16) }
    }

    /// Notes an option at `start`; false when there are too many.
    pub(super) fn push(&mut self, code: u8, start: usize, length: u8) -> bool {
        match u16::try_from(start) {
            Ok(start) if self.pieces.len() < Self::MAX => {
                self.pieces.push(Piece { code, length, start });
                true
            }
            _ => false,
        }
    }

    fn payload(&self, piece: Piece) -> &[u8] {
        let start = usize::from(piece.start);
        self.bytes.get(start..start + usize::from(piece.length)).unwrap_or_default()
    }

    /// The payload of an option. Pieces with the same code are one option, put together in the order of the options
    /// field, `file`, `sname` (RFC 3396 section 5), wherever they stand.
    pub fn get(&self, code: u8) -> Option<Cow<'_, [u8]>> {
        let mut pieces = self.pieces.iter().filter(|piece| piece.code == code);
        let first = self.payload(*pieces.next()?);
        let Some(second) = pieces.next() else { return Some(Cow::Borrowed(first)) };
        let mut whole = first.to_vec();
        whole.extend_from_slice(self.payload(*second));
        for piece in pieces {
            whole.extend_from_slice(self.payload(*piece));
        }
        Some(Cow::Owned(whole))
    }

    /// The payloads of the pieces of an option, in the same order.
    pub fn pieces(&self, code: u8) -> impl Iterator<Item = &[u8]> + Clone {
        self.pieces.iter().filter(move |piece| piece.code == code).map(|piece| self.payload(*piece))
    }

    /// Whether an option is there, even an empty one.
    pub fn contains(&self, code: u8) -> bool {
        self.pieces.iter().any(|piece| piece.code == code)
    }

    /// The codes in the order of their first pieces.
    pub fn codes(&self) -> impl Iterator<Item = u8> {
        let mut seen = [false; 256];
        self.pieces.iter().filter_map(move |piece| {
            let seen = seen.get_mut(usize::from(piece.code))?;
            (!std::mem::replace(seen, true)).then_some(piece.code)
        })
    }

    /// Octets of memory behind these options.
    pub fn footprint(&self) -> usize {
        self.bytes.len() + self.pieces.capacity() * size_of::<Piece>()
    }
}
