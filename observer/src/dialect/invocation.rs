//! What a hook is started with: arguments and environment, ready for `execve`.

use std::ffi::CStr;
use std::fmt;

use crate::time::Timestamp;

/// The longest string that `execve` takes, its NUL included, in octets (Linux: MAX_ARG_STRLEN, 32 pages).
pub const MAX_STRING: usize = 131_072;

/// A list of NUL-terminated byte strings in one block of memory, the form that `execve` wants.
///
/// A NUL octet inside a string would end it early in the child, as it does in Kea, so [`Strings::push`] cuts there.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Strings {
    block: Vec<u8>,
    ends: Vec<u32>,
}

impl Strings {
    /// An empty list with room for `bytes` octets in `count` strings.
    pub fn with_capacity(count: usize, bytes: usize) -> Self {
        Self { block: Vec::with_capacity(bytes), ends: Vec::with_capacity(count) }
    }

    /// Appends one string, cut at its first NUL octet.
    pub fn push(&mut self, bytes: &[u8]) {
        self.push_with(|block| block.extend_from_slice(bytes));
    }

    /// Appends one string that `write` appends to the block; what it writes is cut at its first NUL octet.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.block.len();
        write(&mut self.block);
        self.end_string(start);
    }

    /// Appends `prefix`, `name`, `=` and the value that `write` appends, or nothing when `write` says false.
    ///
    /// Names are ours, so only the value is searched for a NUL octet: the search is a good part of the cost. A variable
    /// that is longer than the kernel takes ([`MAX_STRING`]) is left out, because the hook could not be started with it.
    pub fn push_variable(&mut self, prefix: &str, name: &str, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let start = self.block.len();
        self.block.extend_from_slice(prefix.as_bytes());
        self.block.extend_from_slice(name.as_bytes());
        self.block.push(b'=');
        let value = self.block.len();
        if write(&mut self.block) && self.block.len() - start < MAX_STRING {
            self.end_string(value);
        } else {
            self.block.truncate(start);
        }
    }

    /// Ends the string at the end of the block, or at its first NUL octet from `unsure` on.
    fn end_string(&mut self, unsure: usize) {
        let written = self.block.get(unsure..).unwrap_or_default();
        if let Some(nul) = memchr::memchr(0, written) {
            self.block.truncate(unsure + nul);
        }
        self.block.push(0);
        self.ends.push(u32::try_from(self.block.len()).unwrap_or(u32::MAX));
    }

    /// The strings one after the other, each with its NUL octet.
    pub fn block(&self) -> &[u8] {
        &self.block
    }

    /// The strings of a block. What is behind the last NUL octet is a string as well.
    pub fn from_block(block: &[u8]) -> Self {
        let mut strings = Self::with_capacity(0, block.len());
        let end = block.strip_suffix(&[0]);
        if !block.is_empty() {
            end.unwrap_or(block).split(|&octet| octet == 0).for_each(|string| strings.push(string));
        }
        strings
    }

    /// The number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no string.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Octets of memory behind this list.
    pub fn footprint(&self) -> usize {
        self.block.capacity() + self.ends.capacity() * size_of::<u32>()
    }

    /// The strings in the order in which they were pushed.
    pub fn iter(&self) -> impl Iterator<Item = &CStr> {
        let mut start = 0;
        self.ends.iter().filter_map(move |&end| {
            let end = end as usize;
            let string = self.block.get(start..end)?;
            start = end;
            CStr::from_bytes_with_nul(string).ok()
        })
    }
}

impl fmt::Debug for Strings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// One call of a hook program, short of the program itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// When the event happened: the time of the frame that brought it, or its deadline.
    pub at: Timestamp,
    /// The arguments after argv\[0\].
    pub arguments: Strings,
    /// The whole environment, one `NAME=value` a string, in the order that the hook's author knows.
    pub environment: Strings,
}

impl Invocation {
    /// The value of one environment variable, `None` when it is not set.
    pub fn variable(&self, name: &str) -> Option<&[u8]> {
        self.variables().find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
    }

    /// Names and values of the environment in order.
    pub fn variables(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.environment.iter().map(|string| {
            let bytes = string.to_bytes();
            match bytes.iter().position(|&octet| octet == b'=') {
                Some(at) => (bytes.get(..at).unwrap_or_default(), bytes.get(at + 1..).unwrap_or_default()),
                None => (bytes, &[][..]),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_octet_ends_a_string_as_it_would_in_the_child() {
        let mut strings = Strings::default();
        strings.push(b"NAME=ab\0cd");
        strings.push(b"");
        strings.push(b"X=1=2");
        assert_eq!(strings.iter().collect::<Vec<_>>(), [c"NAME=ab", c"", c"X=1=2"]);
    }

    #[test]
    fn a_block_comes_back() {
        for list in [&[][..], &[""], &["", ""], &["A=1", "", "B=2"]] {
            let mut strings = Strings::default();
            list.iter().for_each(|string| strings.push(string.as_bytes()));
            assert_eq!(Strings::from_block(strings.block()), strings, "{list:?}");
        }
        assert_eq!(Strings::from_block(b"A=1\0B").iter().collect::<Vec<_>>(), [c"A=1", c"B"]);
    }
}
