use std::fs;
use std::path::PathBuf;

use super::*;

/// A directory that goes with its test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("seed-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const KEA4: &str = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n";

fn row(last: u8, expire: u32) -> String {
    format!("192.0.2.{last},02:00:00:00:00:01,,600,{expire},7,0,0,,0,\n")
}

fn ends(seed: &Seed) -> Vec<String> {
    let end = |lease: &Lease4| format!("{} {}", lease.address, lease.cltt.unix_seconds() + 600);
    seed.leases4.iter().map(end).collect()
}

#[test]
fn the_first_line_tells_the_format() {
    let kea6 = "address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len\n";
    for (text, expected) in [
        ("", Ok(None)),
        ("\n\n# nothing\n", Ok(None)),
        (KEA4, Ok(Some(Format::Kea))),
        (kea6, Ok(Some(Format::Kea))),
        ("# comment\n\nauthoring-byte-order little-endian;\n", Ok(Some(Format::IscDhcpd))),
        ("lease 192.0.2.1 {\n}\n", Ok(Some(Format::IscDhcpd))),
        ("ia-pd \"x\" {}", Ok(Some(Format::IscDhcpd))),
        ("1795284000 02:00:00:00:00:01 192.0.2.1 * *\n", Ok(Some(Format::Dnsmasq))),
        ("duid 00:01\n", Ok(Some(Format::Dnsmasq))),
        ("\nhello, world\n", Err((2, "hello, world".to_owned()))),
        ("address,hwaddr\n", Err((1, "address,hwaddr".to_owned()))),
        ("\u{7f}ELF\u{1}", Err((1, "\u{7f}ELF\u{1}".to_owned()))),
    ] {
        assert_eq!(format(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn an_unknown_file_is_one_clear_error() {
    let directory = Directory::new("unknown");
    let path = directory.write("notes.txt", "hello\n");
    let error = read(&path).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}:1: found \"hello\"", path.display())), "{error}");
    assert!(check(&[path]).is_err());
    let missing = directory.0.join("missing");
    let error = read(&missing).unwrap_err().to_string();
    assert!(error.contains("missing: No such file"), "{error}");
    assert_eq!(read(&directory.write("empty", "")).unwrap(), Seed::default());
}

#[test]
fn what_kea_is_cleaning_up_is_read_as_kea_reads_it() {
    let directory = Directory::new("cleanup");
    let path = directory.write("leases.csv", &format!("{KEA4}{}", row(1, 1_795_284_003)));
    directory.write("leases.csv.1", &format!("{KEA4}{}{}", row(1, 1_795_284_002), row(2, 1_795_284_002)));
    directory.write("leases.csv.2", &format!("{KEA4}{}{}", row(2, 1_795_284_001), row(3, 1_795_284_001)));
    let expected = ["192.0.2.1 1795284003", "192.0.2.2 1795284002", "192.0.2.3 1795284001"];
    assert_eq!(ends(&read(&path).unwrap()), expected);
    directory.write("leases.csv.completed", &format!("{KEA4}{}bad\n", row(4, 1_795_284_001)));
    let seed = read(&path).unwrap();
    assert_eq!(ends(&seed), ["192.0.2.1 1795284003", "192.0.2.2 1795284002", "192.0.2.4 1795284001"]);
    let skipped: Vec<String> = seed.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(skipped.len(), 1);
    assert!(
        skipped[0].ends_with("leases.csv.completed:3: found 1 columns, expected 11 as in the header"),
        "{skipped:?}"
    );
}
