//! A hook program that appends how it was called to `calls.jsonl` beside the path by which it was called.
//!
//! One line a call, in a single write to a file opened for appending, so that calls side by side never mix.
//! Bytes that are not UTF-8 become U+FFFD.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use observer_tests::{hook, wait};
use serde_json::{Map, Value, json};

fn text(raw: OsString) -> String {
    raw.to_string_lossy().into_owned()
}

fn main() -> Result<()> {
    let at = wait::unix_now();
    let mut arguments = std::env::args_os();
    let own = arguments.next().context("no argv[0]")?;
    let argv: Vec<String> = arguments.map(text).collect();
    let env: Map<String, Value> =
        std::env::vars_os().map(|(name, value)| (text(name), text(value).into())).collect();
    let line = format!("{}\n", json!({ "t": at, "argv": argv, "env": env }));
    let file = Path::new(&own).with_file_name(hook::CALLS);
    let mut file =
        OpenOptions::new().create(true).append(true).open(&file).context("cannot open the dump")?;
    file.write_all(line.as_bytes()).context("cannot write the dump")
}
