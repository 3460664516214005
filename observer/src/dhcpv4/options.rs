//! The options of a message, pieces of a split option put together.

use std::borrow::Cow;

use smallvec::SmallVec;

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
    pub const PARAMETER_REQUEST_LIST: u8 = 55;
    pub const MESSAGE: u8 = 56;
    pub const VENDOR_CLASS: u8 = 60;
    pub const CLIENT_IDENTIFIER: u8 = 61;
    pub const USER_CLASS: u8 = 77;
    pub const RAPID_COMMIT: u8 = 80;
    pub const CLIENT_FQDN: u8 = 81;
    pub const RELAY_AGENT_INFORMATION: u8 = 82;
    pub const VENDOR_IDENTIFYING: u8 = 125;
    pub const MUD_URL: u8 = 161;
    pub const END: u8 = 255;
}

/// One piece of one option among the octets that are kept.
#[derive(Clone, Copy, Debug)]
struct Piece {
    code: u8,
    length: u8,
    start: u16,
}

/// The options of one message: their payloads, one behind the other, and what each piece is.
///
/// Questions are kept by the ten thousand until they are answered, so nothing else of the datagram is kept (most of it
/// is empty `sname`, `file` and padding), and what a common message has fits without memory of its own.
#[derive(Clone, Debug, Default)]
pub struct Options {
    octets: SmallVec<[u8; 104]>,
    pieces: SmallVec<[Piece; 16]>,
}

impl Options {
    /// How many options of one message are kept. A datagram of 64 KiB could name 32,000.
    pub const MAX: usize = 1_024;

    /// Adds a piece of an option; false when there are too many.
    pub(super) fn push(&mut self, code: u8, payload: &[u8]) -> bool {
        match (u16::try_from(self.octets.len()), u8::try_from(payload.len())) {
            (Ok(start), Ok(length)) if self.pieces.len() < Self::MAX => {
                self.octets.extend_from_slice(payload);
                self.pieces.push(Piece { code, length, start });
                true
            }
            _ => false,
        }
    }

    fn payload(&self, piece: Piece) -> &[u8] {
        let start = usize::from(piece.start);
        self.octets.get(start..start + usize::from(piece.length)).unwrap_or_default()
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
        let octets = if self.octets.spilled() { self.octets.capacity() } else { 0 };
        let pieces = if self.pieces.spilled() { self.pieces.capacity() * size_of::<Piece>() } else { 0 };
        octets + pieces
    }
}
