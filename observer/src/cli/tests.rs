use clap::CommandFactory;

use super::*;

fn live(words: &[&str]) -> Live {
    Cli::try_parse_from([&["dhcp-observer"], words].concat()).unwrap().live
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_command_people_type() {
    let config = live(&["--iface", "eth0", "--script", "/bin/true"]).config().unwrap();
    assert_eq!(
        config.interfaces.iter().map(|interface| interface.name.as_str()).collect::<Vec<_>>(),
        ["eth0"]
    );
    assert_eq!(config.hooks.len(), 1);
    assert!(config.hooks[0].spec.is_some());
    assert!(config.network.kinds.is_empty());
    assert!(Cli::try_parse_from(["dhcp-observer", "replay", "x.pcap", "--invocations"]).is_ok());
}

#[test]
fn what_cannot_be_is_a_usage_error() {
    for wrong in [
        &["--iface", "eth0", "--script", "x", "--invocations"][..],
        &["replay", "x.pcap", "--invocations", "--script", "x.sh"],
        &["replay", "x.pcap", "--invocations", "--settle", "-1"],
        &["replay", "x.pcap", "--invocations", "--network-events", "rogue"],
        &["replay", "x.pcap", "--invocations", "--dialect", "latin"],
        &["--iface", "eth0", "--invocations", "--allow-writable"],
    ] {
        let parsed = Cli::try_parse_from([&["dhcp-observer"], wrong].concat());
        assert_eq!(parsed.unwrap_err().exit_code(), 2, "{wrong:?}");
    }
    for (wrong, flag) in [
        (&["--iface", "eth0"][..], "--script"),
        (&["--script", "/bin/true"], "--iface"),
        (&["--iface", "eth0", "--dialect", "kea"], "--script"),
    ] {
        match live(wrong).config() {
            Err(MergeError::Usage(error)) => assert!(error.to_string().contains(flag), "{wrong:?}: {error}"),
            other => panic!("{wrong:?}: {other:?}"),
        }
    }
}

#[test]
fn flags_take_the_place_of_the_keys_about_pins() {
    let pins = |file: &str, flags: &[&str]| {
        let octets = format!("[[interface]]\nname = \"eth0\"\n[pins]\n{file}").into_bytes();
        let text = file::Text { path: "c.toml".into(), octets };
        live(&[&["--invocations"], flags].concat()).config_of(Some(&text), false).unwrap().pins
    };
    let named = |instance: &str| file::Pins { instance: Some(instance.to_owned()), ..file::Pins::default() };
    assert_eq!(pins("", &[]), file::Pins::default());
    assert_eq!(pins("instance = \"a\"\n", &[]), named("a"));
    assert_eq!(pins("instance = \"a\"\n", &["--instance", "b"]), named("b"));
    assert_eq!(pins("bpffs = \"/a\"\n", &["--bpffs", "/b"]).bpffs, std::path::Path::new("/b"));
    assert!(pins("keep = true\n", &[]).options().unwrap().keep);
    assert!(pins("keep = true\n", &["--no-pin"]).options().is_none());
    assert!(pins("enabled = false\n", &[]).options().is_none());
    assert!(pins("enabled = false\n", &["--keep"]).options().unwrap().keep);
}

#[test]
fn network_events_are_named_one_by_one_or_all_together() {
    let kinds = |value| {
        live(&["--iface", "eth0", "--invocations", "--network-events", value]).config().unwrap().network.kinds
    };
    let wanted = [network::Kind::Nak, network::Kind::ForeignServer];
    assert_eq!(kinds("foreign-server,nak"), wanted.into_iter().collect());
    assert_eq!(kinds("all"), network::Kind::ALL.into_iter().collect());
    // The word on the command line is that of OBSERVER_EVENT.
    for kind in network::Kind::ALL {
        assert_eq!(kinds(kind.name()), [kind].into_iter().collect());
    }
}

/// A configuration file that is removed again.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("observer-cli-{}-{name}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn with(&self, words: &[&str]) -> Live {
        live(&[&["--config", self.0.to_str().unwrap()], words].concat())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const HOOK: &str = "[[hook]]\nname = \"a\"\ncommand = \"/bin/true\"\n";

#[test]
fn flags_take_the_place_of_what_the_file_says() {
    let file = File::new(
        "flags",
        &format!(
            "[[interface]]\nname = \"eth0\"\nwait = true\n{HOOK}[limits]\nmax_hooks = 3\nring_size = 65536\n\
             [capture]\nanswers = \"in\"\n[server]\nkea_version = \"2.6\"\n[network_events]\nkinds = \"nak\"\n"
        ),
    );
    let config = file.with(&[]).config().unwrap();
    assert_eq!((config.limits.max_hooks, config.limits.ring_size), (3, 65_536));
    assert!(config.interfaces[0].wait);
    let flags = ["--iface", "eth7", "--max-hooks", "5", "--answers", "both", "--kea-version", "3.0", "-v"];
    let config = file.with(&flags).config().unwrap();
    assert_eq!(config.interfaces, [file::Interface { name: "eth7".to_owned(), wait: false }]);
    assert_eq!((config.limits.max_hooks, config.limits.ring_size), (5, 65_536));
    assert_eq!(config.capture.answers, Answers::Both);
    assert_eq!(config.server.kea_version, KeaVersion::V3_0);
    assert_eq!(config.hooks[0].options.version, KeaVersion::V3_0);
    assert_eq!(config.network.kinds, [network::Kind::Nak].into_iter().collect());
    assert_eq!(config.log.level, tracing::level_filters::LevelFilter::DEBUG);
    // Printing is for the hooks of the file.
    assert_eq!(file.with(&["--invocations"]).config().unwrap().hooks[0].name, "a");
}

#[test]
fn a_hook_that_waits_for_what_nobody_looks_for_is_warned_of() {
    let words = "events = [\"gap\", \"observer_nak\", \"commit\"]\n";
    let file = File::new("words", &format!("[[interface]]\nname = \"eth0\"\n{HOOK}{words}"));
    let warnings = |flags: &[&str]| file.with(flags).config().unwrap().warnings;
    let [gap, nak] = &warnings(&[])[..] else { panic!("{:?}", warnings(&[])) };
    assert!(
        gap.contains("hook \"a\"") && gap.contains("\"gap\"") && gap.contains("--network-events"),
        "{gap}"
    );
    assert!(nak.contains("\"observer_nak\"") && nak.contains("\"nak\""), "{nak}");
    assert_eq!(warnings(&["--network-events", "gap"]).len(), 1);
    assert_eq!(warnings(&["--network-events", "all"]), [""; 0]);
}

#[test]
fn a_script_and_hooks_of_a_file_do_not_go_together() {
    let file = File::new("script", &format!("[[interface]]\nname = \"eth0\"\n{HOOK}"));
    for flags in [
        &["--script", "/bin/true"][..],
        &["--dialect", "kea"],
        &["--hook-timeout", "3"],
        &["--hook-retries", "1"],
    ] {
        match file.with(flags).config() {
            Err(MergeError::Usage(error)) => assert!(error.to_string().contains(flags[0]), "{error}"),
            other => panic!("{flags:?}: {other:?}"),
        }
    }
    let file = File::new("no-hook", "[[interface]]\nname = \"eth0\"\n");
    assert!(matches!(file.with(&[]).config(), Err(MergeError::File(_))));
    let config = file.with(&["--script", "/bin/true", "--hook-retries", "2"]).config().unwrap();
    assert_eq!(config.hooks[0].spec.as_ref().unwrap().limits.retries, 2);
}

#[test]
fn a_script_that_others_can_write_is_refused_unless_allowed() {
    use std::os::unix::fs::PermissionsExt;
    let script = std::env::temp_dir().join(format!("observer-cli-{}-open.sh", std::process::id()));
    std::fs::write(&script, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o757)).unwrap();
    let words = ["--iface", "eth0", "--script", script.to_str().unwrap()];
    let refused = live(&words).config();
    let allowed = live(&[&words[..], &["--allow-writable"]].concat()).config();
    std::fs::remove_file(&script).unwrap();
    let message = match refused {
        Err(error @ MergeError::Exposed(_)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    for part in [script.to_str().unwrap(), "chmod go-w", "--allow-writable"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(allowed.unwrap().warnings.iter().any(|warning| warning.contains("others may change it")));
}
