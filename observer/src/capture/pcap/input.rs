//! A window on a stream of octets: as much of it in memory as one record needs.

use std::io::{self, Read};

/// The window's first size: large enough that a read system call is paid once for hundreds of records, small enough
/// to stay in a processor's second-level cache.
const WINDOW: usize = 256 * 1024;

/// A buffered reader that hands out its buffer and knows how far into the stream it is.
///
/// `pcap_parser`'s own readers lose the operating system's error, report an interrupted read as one, and want the
/// whole first block in the first read, which a pipe does not promise; so its block parsers run on this window.
#[derive(Debug)]
pub(super) struct Input<R> {
    reader: R,
    window: Vec<u8>,
    start: usize,
    end: usize,
    consumed: u64,
    exhausted: bool,
}

impl<R: Read> Input<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, window: vec![0; WINDOW], start: 0, end: 0, consumed: 0, exhausted: false }
    }

    /// Octets from the beginning of the stream to the beginning of the window.
    pub(super) fn offset(&self) -> u64 {
        self.consumed
    }

    /// What is in the window.
    pub(super) fn bytes(&self) -> &[u8] {
        self.window.get(self.start..self.end).unwrap_or_default()
    }

    /// Reads until `count` octets are in the window; `false` when the stream ends before that.
    #[inline]
    pub(super) fn fill(&mut self, count: usize) -> io::Result<bool> {
        if self.end - self.start >= count {
            return Ok(true);
        }
        self.read_until(count)
    }

    #[cold]
    fn read_until(&mut self, count: usize) -> io::Result<bool> {
        while self.end - self.start < count {
            if self.exhausted {
                return Ok(false);
            }
            if self.start > 0 {
                self.window.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.end == self.window.len() {
                // Only what has really arrived makes the window grow, so a length that lies costs nothing.
                self.window.resize(self.window.len() * 2, 0);
            }
            match self.reader.read(self.window.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) => self.exhausted = true,
                // A `Read` that claims more than it was given room for is not believed.
                Ok(got) => self.end = self.window.len().min(self.end + got),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Leaves `count` octets of the window behind.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.consumed += count as u64;
    }

    /// Leaves `count` octets of the stream behind, whether they fit the window or not; how many were there.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<u64> {
        let mut left = count;
        while left > 0 && self.fill(1)? {
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(self.end - self.start);
            self.consume(here);
            left -= here as u64;
        }
        Ok(count - left)
    }
}
