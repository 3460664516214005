//! First inputs for the fuzz targets, from captures and from the files of servers.
//!
//! `seeds OUT FILE...`: writes inputs to `OUT/<target>/`, named by their contents. What each file is good for is found out
//! by trying: a capture gives frames, payloads and a whole file, other files are tried as what they are called.

use std::error::Error;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use dhcp_observer::capture::pcap::Reader;
use dhcp_observer::dissect::{Dissector, FragmentLimits};
use observer_fuzzing::{dissect, tracker};

/// Larger captures only slow a fuzzer down.
const LONGEST_CAPTURE: usize = 8 * 1024;
/// The most frames that one input of `dissect` and one script of `tracker` is made of.
const LONGEST_STORY: usize = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let out = Out(arguments.next().ok_or("usage: seeds OUT FILE...")?);
    for path in arguments {
        let bytes = fs::read(&path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if Reader::new(bytes.as_slice()).is_ok() {
            capture(&out, &bytes)?;
        } else if name.contains("lease") {
            out.put("lease_file", &bytes)?;
        } else if name.ends_with(".conf") || name.ends_with(".json") {
            out.put("kea_config", &bytes)?;
        } else {
            eprintln!("{}: good for nothing", path.display());
        }
    }
    Ok(())
}

fn capture(out: &Out, file: &[u8]) -> Result<(), Box<dyn Error>> {
    if file.len() <= LONGEST_CAPTURE {
        out.put("pcap", file)?;
    }
    let mut reader = Reader::new(file)?;
    let mut dissector = Dissector::new(FragmentLimits::default());
    // Beside a server, and behind a mirror port that tells everything.
    let mut scripts = [vec![0x00, 0x00], vec![0xc2, 0x00]];
    let (mut frames, mut messages) = (Vec::new(), 0);
    while let Ok(Some(record)) = reader.next_record() {
        let Ok(frame) = record.frame(None) else { continue };
        if let Ok(datagram) = dissector.dissect(&frame) {
            frames.extend(dissect::encode(&frame));
            let target = if datagram.source.is_ipv4() { "dhcpv4" } else { "dhcpv6" };
            out.put(target, &datagram.payload)?;
            for script in &mut scripts {
                script.extend(tracker::encode(&datagram));
            }
            messages += 1;
            if messages % LONGEST_STORY == 0 {
                for script in &mut scripts {
                    out.put("tracker", script)?;
                    script.truncate(2);
                }
                out.put("dissect", &std::mem::take(&mut frames))?;
            }
        } else if frame.bytes.len() < 2_000 && frames.len() < 8_000 {
            frames.extend(dissect::encode(&frame));
        }
    }
    for script in scripts.iter().filter(|script| script.len() > 2) {
        out.put("tracker", script)?;
    }
    if !frames.is_empty() {
        out.put("dissect", &frames)?;
    }
    Ok(())
}

/// The directory of the corpora.
struct Out(PathBuf);

impl Out {
    fn put(&self, target: &str, input: &[u8]) -> std::io::Result<()> {
        let directory: &Path = &self.0.join(target);
        fs::create_dir_all(directory)?;
        let mut hasher = DefaultHasher::new();
        hasher.write(input);
        fs::write(directory.join(format!("{:016x}", hasher.finish())), input)
    }
}
