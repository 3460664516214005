//! Option 82, relay agent information (RFC 3046), as Kea serialises it again.

use std::collections::BTreeMap;

/// Sub-option 53 is the message type of Kea's own universe and is lost when Kea reads the option.
const LOST: u8 = 53;

/// The payload of option 82 as Kea 2.2 writes it, from its pieces: sub-options by code, duplicates put together
/// (RFC 3396), a tail that runs past the end left out.
///
/// Kea reads the sub-options of each piece by itself. Where there is more than one piece it then keeps the bytes of all
/// pieces as well, and writes them in front of the sub-options.
pub fn normalise_agent_information<'a>(pieces: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
    let mut whole = Vec::new();
    if pieces.clone().nth(1).is_some() {
        pieces.clone().for_each(|piece| whole.extend_from_slice(piece));
    }
    for (code, value) in agent_sub_options(pieces).into_iter().filter(|(code, _)| *code != LOST) {
        let mut rest = value.as_slice();
        loop {
            let (piece, next) = rest.split_at(rest.len().min(usize::from(u8::MAX)));
            whole.push(code);
            whole.push(u8::try_from(piece.len()).unwrap_or(u8::MAX));
            whole.extend_from_slice(piece);
            rest = next;
            if rest.is_empty() {
                break;
            }
        }
    }
    whole
}

/// All sub-options by code, duplicates put together (RFC 3396), a tail that runs past the end left out.
pub fn agent_sub_options<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> BTreeMap<u8, Vec<u8>> {
    let mut by_code: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    for (code, value) in pieces.flat_map(sub_options) {
        by_code.entry(code).or_default().extend_from_slice(value);
    }
    by_code
}

/// The payload of one sub-option, duplicates put together; `None` when it is missing.
pub fn agent_sub_option<'a>(pieces: impl Iterator<Item = &'a [u8]>, wanted: u8) -> Option<Vec<u8>> {
    let mut found = None;
    for (_, value) in pieces.flat_map(sub_options).filter(|(code, _)| *code == wanted) {
        found.get_or_insert_with(Vec::new).extend_from_slice(value);
    }
    found
}

/// Codes and payloads in the order of the wire, up to the first that runs past the end.
fn sub_options(payload: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = payload;
    std::iter::from_fn(move || match rest {
        [code, length, tail @ ..] => {
            let (value, next) = tail.split_at_checked(usize::from(*length))?;
            rest = next;
            Some((*code, value))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_options_come_in_the_order_of_their_codes() {
        for (wire, normal) in [
            // The example that was seen with the real server.
            (&b"\x02\x03\xde\xad\x01\x01\x04eth3\x97\x02\x00\x2a"[..], &b"\x01\x04eth3\x02\x03\xde\xad\x01\x97\x02\x00\x2a"[..]),
            (b"\x01\x01a\x01\x01b", b"\x01\x02ab"),
            (b"\x35\x01\x05\x01\x01a", b"\x01\x01a"),
            (b"\xff\x01z\x02\x00", b"\x02\x00\xff\x01z"),
            (b"\x01\x01a\x02\x09xx", b"\x01\x01a"),
            (b"", b""),
            (b"\x01", b""),
        ] {
            assert_eq!(normalise_agent_information([wire].into_iter()), normal, "{wire:?}");
        }
    }

    #[test]
    fn pieces_are_read_one_by_one_and_kept_in_front() {
        // As it was seen with the real server, the last sub-options of two pieces being cut short.
        let pieces = [&b"\x02\x02cd\x01\x01g"[..], b"\x01\x00\x09\x05h", b"\x01\x02ab"];
        let expected = [&pieces.concat()[..], b"\x01\x03gab\x02\x02cd"].concat();
        assert_eq!(normalise_agent_information(pieces.into_iter()), expected);
        assert_eq!(agent_sub_option(pieces.into_iter(), 1), Some(b"gab".to_vec()));
    }

    #[test]
    fn a_sub_option_can_be_missing_empty_or_in_pieces() {
        assert_eq!(agent_sub_option([&b"\x01\x00\x02\x01a\x02\x01b"[..]].into_iter(), 1), Some(vec![]));
        assert_eq!(agent_sub_option([&b"\x01\x00\x02\x01a\x02\x01b"[..]].into_iter(), 2), Some(b"ab".to_vec()));
        assert_eq!(agent_sub_option([&b"\x01\x00"[..]].into_iter(), 3), None);
    }
}
