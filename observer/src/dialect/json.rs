//! Calls as lines of JSON.
//!
//! Written straight into a buffer: a stream carries a hundred thousand a second. Octets that are no UTF-8 become U+FFFD,
//! since JSON has no way to say them.

use super::invocation::{Invocation, Strings};

/// Appends `{"at": …, "argv": […], "env": {…}}`.
pub fn write_invocation(out: &mut Vec<u8>, invocation: &Invocation) {
    out.push(b'{');
    write_rest(out, invocation);
}

/// Appends `{"id": …, "attempt": …, "at": …, "argv": […], "env": {…}}` and the end of the line: what a stream or a batch
/// is told of one call.
pub fn write_call(out: &mut Vec<u8>, invocation: &Invocation, event: u64, attempt: u32) {
    out.extend_from_slice(b"{\"id\":");
    out.extend_from_slice(itoa::Buffer::new().format(event).as_bytes());
    out.extend_from_slice(b",\"attempt\":");
    out.extend_from_slice(itoa::Buffer::new().format(attempt).as_bytes());
    out.push(b',');
    write_rest(out, invocation);
    out.push(b'\n');
}

fn write_rest(out: &mut Vec<u8>, invocation: &Invocation) {
    out.extend_from_slice(b"\"at\":");
    // Neither writing to memory nor a finite number can fail.
    let _ = serde_json::to_writer(&mut *out, &invocation.at.as_seconds_f64());
    out.extend_from_slice(b",\"argv\":[");
    write_list(out, &invocation.arguments);
    out.extend_from_slice(b"],\"env\":{");
    for (place, (name, value)) in invocation.variables().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_string(out, name);
        out.push(b':');
        write_string(out, value);
    }
    out.extend_from_slice(b"}}");
}

fn write_list(out: &mut Vec<u8>, strings: &Strings) {
    for (place, string) in strings.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_string(out, string.to_bytes());
    }
}

fn write_string(out: &mut Vec<u8>, octets: &[u8]) {
    out.push(b'"');
    if is_plain(octets) {
        out.extend_from_slice(octets);
    } else {
        for character in String::from_utf8_lossy(octets).chars() {
            write_character(out, character);
        }
    }
    out.push(b'"');
}

fn write_character(out: &mut Vec<u8>, character: char) {
    let short = match character {
        '"' => b'"',
        '\\' => b'\\',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\0'..='\u{1f}' => {
            let code = u32::from(character) as u8;
            let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' - 10 + value };
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[digit(code >> 4), digit(code & 0xf)]);
            return;
        }
        _ => {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Whether a string is ASCII of which JSON escapes nothing. Eight octets at a time, for this is asked of everything.
fn is_plain(octets: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // The high bit of an octet is set where the octet is zero; a borrow may set more, above one that is.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (chunks, rest) = octets.as_chunks::<8>();
    let words = chunks.iter().map(|chunk| u64::from_ne_bytes(*chunk));
    let special = words.fold(0, |special, word| {
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        special
            | control
            | word & HIGH
            | zero(word ^ (ONES * u64::from(b'"')))
            | zero(word ^ (ONES * u64::from(b'\\')))
    });
    special == 0 && rest.iter().all(|octet| matches!(octet, 0x20..=0x7f) && !matches!(octet, b'"' | b'\\'))
}

#[cfg(test)]
mod tests;
