//! The words of a lease file.

use std::iter::Peekable;
use std::slice::Iter;

/// One word or mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A name, number, address, date or the like.
    Bare(Vec<u8>),
    /// A quoted string, its escapes resolved.
    Quoted(Vec<u8>),
    /// A quoted string that the end of its line cut off; dhcpd writes a line break inside a string as `\012`.
    Torn,
    /// `{`
    Open,
    /// `}`
    Close,
    /// `;`
    End,
}

/// Reads word by word.
#[derive(Debug)]
pub(super) struct Words<'a> {
    bytes: Peekable<Iter<'a, u8>>,
    line: usize,
}

impl<'a> Words<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.iter().peekable(), line: 1 }
    }

    /// The line of the word that came last.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    fn skip_blanks(&mut self) {
        let mut in_comment = false;
        while let Some(byte) =
            self.bytes.next_if(|byte| in_comment || byte.is_ascii_whitespace() || **byte == b'#')
        {
            match byte {
                b'\n' => {
                    in_comment = false;
                    self.line += 1;
                }
                b'#' => in_comment = true,
                _ => {}
            }
            if in_comment && self.bytes.peek().is_some_and(|next| **next == b'\n') {
                in_comment = false;
            }
        }
    }

    fn quoted(&mut self) -> Word {
        let mut text = Vec::new();
        while let Some(&byte) = self.bytes.next_if(|byte| **byte != b'\n') {
            match byte {
                b'"' => return Word::Quoted(text),
                b'\\' => text.extend(self.escaped()),
                _ => text.push(byte),
            }
        }
        Word::Torn
    }

    /// What stands behind a backslash: up to three octal digits, or a character that is meant literally.
    fn escaped(&mut self) -> Option<u8> {
        let is_octal = |byte: &&u8| (b'0'..=b'7').contains(*byte);
        let mut value: Option<u32> = None;
        for _ in 0..3 {
            let Some(digit) = self.bytes.next_if(is_octal) else { break };
            value = Some(value.unwrap_or_default() * 8 + u32::from(digit - b'0'));
        }
        match value {
            // `\777` is no octet; dhcpd cuts it off too.
            Some(value) => Some(value.to_le_bytes()[0]),
            None => self.bytes.next_if(|byte| **byte != b'\n').map(|&byte| match byte {
                b't' => b'\t',
                b'r' => b'\r',
                b'n' => b'\n',
                b'b' => 8,
                byte => byte,
            }),
        }
    }
}

impl Iterator for Words<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        self.skip_blanks();
        Some(match *self.bytes.next()? {
            b'{' => Word::Open,
            b'}' => Word::Close,
            b';' => Word::End,
            b'"' => self.quoted(),
            first => {
                let mut text = vec![first];
                let goes_on = |byte: &&u8| !byte.is_ascii_whitespace() && !b"{};\"#".contains(*byte);
                while let Some(&byte) = self.bytes.next_if(goes_on) {
                    text.push(byte);
                }
                Word::Bare(text)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart() {
        let text = b"lease 192.0.2.1{ # {\n uid \"\\001a\\\"\\\\\";#\nx \"torn\n}";
        let bare = |text: &str| Word::Bare(text.into());
        let mut words = Words::new(text);
        let found: Vec<Word> = words.by_ref().collect();
        let expected = [
            bare("lease"),
            bare("192.0.2.1"),
            Word::Open,
            bare("uid"),
            Word::Quoted(b"\x01a\"\\".to_vec()),
            Word::End,
            bare("x"),
            Word::Torn,
            Word::Close,
        ];
        assert_eq!(found, expected);
        assert_eq!(words.line(), 4);
    }
}
