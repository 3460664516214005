//! The smallest useful stream: reads lines and acknowledges each with one of its own.
//!
//! What it has read at once it acknowledges at once.

use std::io::{Read, Result, Write, stdin, stdout};

fn main() -> Result<()> {
    let (mut input, mut output) = (stdin().lock(), stdout().lock());
    let mut lines = vec![0; 1 << 20];
    let mut answer = Vec::new();
    loop {
        let count = input.read(&mut lines)?;
        if count == 0 {
            return Ok(());
        }
        answer.clear();
        answer.extend(memchr::memchr_iter(b'\n', &lines[..count]).map(|_| b'\n'));
        output.write_all(&answer)?;
        output.flush()?;
    }
}
