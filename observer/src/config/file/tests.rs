//! Every kind of problem with its place, and that no text whatever does more harm than that.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::*;
use crate::dialect::DialectName;
use crate::dispatch::Filter;
use crate::hook::{Mode, Output, Scheduling};

const EXAMPLE: &str = include_str!("../../../../scripts/config.example.toml");

/// A file that is sound but for what comes behind it.
const SOUND: &str = "[[interface]]\nname = \"eth0\"\n[[hook]]\nname = \"a\"\ncommand = \"/bin/true\"\n";

fn parse(text: &str) -> Result<Config, Problems> {
    Config::parse(Path::new("c.toml"), text.as_bytes(), Given::default())
}

/// Checks that `text` behind [`SOUND`] has exactly this problem, which begins with the place and holds all of `words`.
#[track_caller]
fn check(text: &str, place: &str, words: &[&str]) {
    let problems = parse(&format!("{SOUND}{text}")).expect_err(text);
    let lines: Vec<_> = problems.lines().collect();
    assert_eq!(lines.len(), 1, "{text}: {lines:?}");
    assert!(lines[0].starts_with(&format!("c.toml:{place}: ")), "{text}: {lines:?}");
    for word in words {
        assert!(lines[0].contains(word), "{text}: no {word:?} in {lines:?}");
    }
}

#[test]
fn the_example_is_sound_and_says_what_holds_without_it() {
    let config = parse(EXAMPLE).unwrap();
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.capture, Capture::default());
    assert_eq!(config.pins, Pins::default());
    assert_eq!(config.server, Server::default());
    assert_eq!(config.log, Log::default());
    assert_eq!(config.network.unanswered_after, network::Options::default().unanswered_after);
    let modes: Vec<_> = config.hooks.iter().map(|hook| hook.spec.as_ref().unwrap().mode).collect();
    let batch = Mode::Batch { calls: 100, wait: Duration::from_secs(1) };
    assert_eq!(modes, [Mode::Exec, Mode::Stream { window: Mode::WINDOW }, batch]);
    // The same hook with nothing said about it.
    let plain =
        parse("[[interface]]\nname = \"eth0\"\n[[hook]]\nname = \"log\"\ncommand = \"/usr/bin/true\"\n");
    let mut plain = plain.unwrap().hooks.remove(0);
    let mut full = config.hooks[0].clone();
    assert!(!full.filter.is_empty());
    full.filter = Filter::default();
    let (plain_spec, full_spec) = (plain.spec.as_mut().unwrap(), full.spec.as_mut().unwrap());
    assert_eq!(plain_spec.limits.max_parallel, usize::MAX);
    plain_spec.limits.max_parallel = full_spec.limits.max_parallel;
    assert_eq!(full_spec.attributes.directory.take(), Some(c"/".to_owned()));
    assert_eq!(plain, full);
}

/// Every key is in the example, so that somebody who adds one is reminded: what follows `# ` there may be taken in too.
#[test]
fn the_example_with_everything_in_it_is_sound_too() {
    let mut text = String::new();
    for line in EXAMPLE.lines() {
        let key = line.strip_prefix("# ").filter(|rest| {
            let name = rest.split(' ').next().unwrap_or_default();
            rest.contains(" = ")
                && name.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_' || octet == b'S')
        });
        // What needs a file of somebody's server, and what belongs to another dialect, stays out.
        let key = key.filter(|key| {
            let server = ["kea_config", "seed", "user ", "group "];
            let dhclient = ["search_timeout", "retry_delay"];
            let dnsmasq = ["script_on_renewal", "leasefile_ro", "domain", "tags", "log_dhcp"];
            ![&server[..], &dhclient, &dnsmasq].concat().iter().any(|name| key.starts_with(name))
        });
        text.push_str(key.unwrap_or(line));
        text.push('\n');
    }
    let config = parse(&text).unwrap_or_else(|problems| panic!("{problems}"));
    let filter = &config.hooks[0].filter;
    assert_eq!((filter.vlan.len(), filter.hwaddr.len(), filter.vendor_class.len()), (3, 1, 2));
    assert_eq!((filter.user_class.len(), filter.circuit_id.len(), filter.remote_id.len()), (1, 1, 1));
    assert_eq!(config.hooks[0].words.iter().count(), 3);
    assert!(network::Kind::ALL.iter().all(|kind| config.network.kinds.has(*kind)));
}

#[test]
fn values_arrive() {
    let text = format!(
        "{SOUND}args = 1\n[[hook]]\nname = \"b\"\ncommand = [\"/bin/sh\", \"-c\", \"exit 1\"]\nmode = \"batch\"\nbatch_size = 7\n\
         batch_time = \"250ms\"\nuser = 0\ngroup = \"root\"\nnice = -3\nscheduling = \"idle\"\noutput = \"null\"\n\
         timeout = 0\nkill_delay = 1.5\nretries = 4\nretry_delay = \"2s\"\nindependent = true\non_change = true\n\
         replay_on_start = true\nisolated = true\ndirectory = \"/tmp\"\nenvironment = {{ A = \"b c\", N = 7 }}\n\
         events = [\"lease4_renew\", \"commit\"]\n[limits]\nmax_hooks = 3\n[server]\nkea_version = \"3.0\"\n\
         hostname = \"client\"\n[log]\nlevel = \"warn\"\n[capture]\nattach = \"xdp\"\nanswers = \"both\"\n\
         [pins]\nkeep = true\ninstance = \"lan 1\"\nbpffs = \"/run/bpf\"\n"
    )
    .replace("args = 1\n", "");
    let config = parse(&text).unwrap_or_else(|problems| panic!("{problems}"));
    let hook = &config.hooks[1];
    let spec = hook.spec.as_ref().unwrap();
    assert_eq!(spec.arguments, [c"-c".to_owned(), c"exit 1".to_owned()]);
    assert_eq!(spec.mode, Mode::Batch { calls: 7, wait: Duration::from_millis(250) });
    assert_eq!(spec.attributes.credentials.as_ref().map(|found| (found.user, found.group)), Some((0, 0)));
    assert_eq!((spec.attributes.nice, spec.attributes.scheduling), (-3, Scheduling::Idle));
    assert_eq!((spec.output, spec.independent), (Output::Null, true));
    assert_eq!(spec.limits.timeout, Some(Duration::ZERO));
    assert_eq!((spec.limits.kill_delay, spec.limits.retries), (Duration::from_millis(1_500), 4));
    assert_eq!(spec.limits.retry_delay, Duration::from_secs(2));
    assert_eq!(spec.attributes.directory.as_deref(), Some(c"/tmp"));
    let path = std::ffi::CString::new(format!("PATH={STANDARD_PATH}")).unwrap();
    assert_eq!(spec.attributes.environment, [c"A=b c".to_owned(), c"N=7".to_owned(), path]);
    assert!(hook.on_change && hook.replay_on_start && spec.attributes.isolated);
    assert_eq!(hook.words.iter().collect::<Vec<_>>(), ["lease4_renew", "commit"]);
    assert_eq!(hook.options.version, KeaVersion::V3_0);
    assert_eq!(hook.dialect, DialectName::Kea);
    assert_eq!((config.limits.max_hooks, config.log.level), (3, LevelFilter::WARN));
    assert_eq!((config.capture.attach, config.capture.answers), (Attach::Xdp, Answers::Both));
    let pins = config.pins.options().unwrap();
    assert_eq!((pins.keep, pins.instance.as_deref()), (true, Some("lan 1")));
    assert_eq!(pins.bpffs, Path::new("/run/bpf"));
}

#[test]
fn an_unknown_key_is_named_with_what_may_have_been_meant() {
    check("timeuot = 3\n", "6:1", &["hook \"a\"", "unknown key \"timeuot\"", "did you mean \"timeout\"?"]);
    check("on-change = true\n", "6:1", &["did you mean \"on_change\"?"]);
    check("[limit]\nleases = 1\n", "6:2", &["unknown key \"limit\"", "did you mean \"limits\"?"]);
    check("[log]\nxyzzy = 1\n", "7:1", &["log: unknown key \"xyzzy\"", "expected \"format\" or \"level\""]);
    check(
        "[hook.filter]\nsubnets = \"10.0.0.0/8\"\n",
        "7:1",
        &["hook \"a\": filter", "did you mean \"subnet\"?"],
    );
    check("[capture]\n\"\\u0000\\n\" = 1\n", "7:1", &["\"\\\\0\\\\n\""]);
}

#[test]
fn a_wrong_type_or_value_is_named_with_what_was_expected() {
    check("[pins]\nbpffs = \"bpf\"\n", "7:9", &["pins: bpffs: found \"bpf\"", "absolute path"]);
    check("[pins]\ninstance = \"\"\n", "7:12", &["pins: instance", "64 octets"]);
    check("[pins]\nenabled = false\nkeep = true\n", "8:8", &["pins: keep", "enabled = false"]);
    check("timeout = \"soon\"\n", "6:11", &["hook \"a\": timeout: found \"soon\"", "\"60s\""]);
    check("nice = 20\n", "6:8", &["found 20", "from -20 to 19"]);
    check("nice = 99999999999999999999\n", "6:8", &["from -20 to 19"]);
    check("on_change = \"yes\"\n", "6:13", &["found \"yes\"", "true or false"]);
    check("mode = \"streem\"\n", "6:8", &["\"exec\", \"stream\" or \"batch\""]);
    check("events = [\"commit\", \"lease4_renwe\"]\n", "6:21", &["did you mean \"lease4_renew\"?"]);
    check("events = [\"BOUND\"]\n", "6:11", &["dialect kea has no word \"BOUND\""]);
    // Only Kea's words have one for what the network says beside leases.
    let gap = "dialect = \"dnsmasq\"\nevents = [\"gap\"]\n";
    check(gap, "7:11", &["dialect dnsmasq has no word \"gap\"", "\"del\""]);
    check("events = []\n", "6:10", &["an empty list"]);
    check("filter = 1\n", "6:10", &["found 1, expected a table"]);
    check("[hook.filter]\nsubnet = [\"10.0.0.0/8\", \"10.0.0.1/8\"]\n", "7:25", &["10.0.0.1/8", "a prefix"]);
    check("[hook.filter]\nvlan = 4095\n", "7:8", &["from 1 to 4094"]);
    check("[hook.filter]\nhwaddr = \"2:0\"\n", "7:10", &["hardware address"]);
    check("[hook.filter]\ncircuit_id = \"0x123\"\n", "7:14", &["hexadecimal"]);
    check("[hook.environment]\n\"A=B\" = \"c\"\n", "7:1", &["NAME = \"value\""]);
    check("[hook.environment]\nA = [1]\n", "7:1", &["NAME = \"value\""]);
    check("[server]\nkea_version = 2.2\n", "7:15", &["found 2.2", "\"2.2\""]);
    check("[network_events]\nkinds = [\"nak\", \"rogue\"]\n", "7:17", &["\"foreign-server\"", "\"all\""]);
    check("[limits]\nring_size = 1\n", "7:13", &["from 4096"]);
    check("[[interface]]\nname = \"a-name-that-is-too-long\"\n", "7:8", &["15 octets"]);
    check("[capture]\nattach = 1979-05-27\n", "7:10", &["the time 1979-05-27"]);
    check("[log]\nlevel = \"e\u{301}é\u{10ffff}\"\n", "7:9", &["expected"]);
}

#[test]
fn columns_count_characters() {
    check("environment = { A = \"é\", \"B=\" = \"ü\" }\n", "6:26", &["NAME"]);
}

#[test]
fn what_does_not_go_together_is_named() {
    check("window = 3\n", "6:10", &["window", "mode = \"stream\" only"]);
    check("batch_time = 3\n", "6:14", &["mode = \"batch\" only"]);
    check("mode = \"stream\"\nmax_parallel = 3\n", "7:16", &["one process at a time"]);
    check("isolated = true\nmax_parallel = 3\n", "7:16", &["an isolated hook runs one process at a time"]);
    check("script_on_renewal = true\n", "6:21", &["dialect = \"dnsmasq\" only"]);
    check("search_timeout = 3\n", "6:18", &["dialect = \"dhclient\" only"]);
    check("retry_delay = 3\n", "6:15", &["retries"]);
    check("[[hook]]\nname = \"a\"\ncommand = \"/bin/true\"\n", "7:8", &["another hook has this name"]);
    check("[[interface]]\nname = \"eth0\"\n", "7:8", &["named twice"]);
}

#[test]
fn what_is_not_there_is_named() {
    check("user = \"no-such-user\"\n", "6:8", &["no-such-user"]);
    check("group = \"no-such-group\"\n", "6:9", &["no-such-group"]);
    check("directory = \"/nonexistent\"\n", "6:13", &["/nonexistent"]);
    check("directory = \"/bin/true\"\n", "6:13", &["no directory"]);
    check(
        "[[hook]]\nname = \"b\"\ncommand = \"/nonexistent\"\n",
        "8:11",
        &["hook \"b\": command", "not found"],
    );
    check("[[hook]]\nname = \"b\"\ncommand = \"sh\"\n", "8:11", &["absolute path"]);
    check("[[hook]]\nname = \"b\"\ncommand = \"/etc/passwd\"\n", "8:11", &["not executable"]);
    check("[[hook]]\nname = \"b\"\ncommand = [\"/bin/sh\", 3]\n", "8:11", &["a list"]);
    check("[[hook]]\nname = \"b\"\n", "6:1", &["command is missing"]);
    check("[[hook]]\ncommand = \"/bin/true\"\n", "6:1", &["hook 2", "name is missing"]);
    check("[server]\nkea_config = \"kea.conf\"\n", "7:14", &["absolute path"]);
    let elsewhere = |text: &str| parse(&format!("{SOUND}{text}")).unwrap_err().to_string();
    assert!(elsewhere("[server]\nkea_config = \"/nonexistent.conf\"\n").starts_with("/nonexistent.conf: "));
    assert!(elsewhere("[server]\nseed = \"/nonexistent.csv\"\n").contains("/nonexistent.csv"));
}

#[test]
fn a_program_that_others_may_write_is_refused_unless_allowed() {
    let scratch = std::env::temp_dir().join(format!("observer-config-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    let script = scratch.join("open.sh");
    std::fs::write(&script, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o777)).unwrap();
    let hook = format!("[[hook]]\nname = \"b\"\ncommand = {script:?}\n");
    check(&hook, "8:11", &["open.sh", "chmod go-w", "allow_writable"]);
    let allowed = parse(&format!("{SOUND}{hook}allow_writable = true\n")).unwrap();
    assert!(allowed.warnings.iter().any(|warning| warning.contains("open.sh")), "{:?}", allowed.warnings);
    std::fs::remove_dir_all(&scratch).unwrap();
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let problems = parse(
        "[[interface]]\n[[hook]]\nname = 3\ncommand = \"/nonexistent\"\nnice = \"x\"\nbogus = 1\n[limits]\nleases = 0\nfoo = 1\n\
         [[hook]]\nname = \"b\"\nuser = \"no-such-user\"\n",
    )
    .unwrap_err();
    let places: Vec<_> =
        problems.lines().map(|line| line.split(':').skip(1).take(2).collect::<Vec<_>>().join(":")).collect();
    assert_eq!(places, ["1:1", "3:8", "4:11", "5:8", "6:1", "8:10", "9:1", "10:1", "12:8"], "{problems}");
}

#[test]
fn a_file_without_interface_or_hook_says_so_unless_they_are_given_elsewhere() {
    let words: Vec<_> = parse("").unwrap_err().lines().collect();
    assert!(words[0].contains("[[interface]]") && words[1].contains("[[hook]]"), "{words:?}");
    assert!(
        Config::parse(Path::new("c.toml"), b"", Given { interface: true, hook: true, ..Given::default() })
            .is_ok()
    );
    let lists = parse("interface = 1\nhook = [1]\n").unwrap_err().to_string();
    assert!(lists.contains("c.toml:1:13: interface") && lists.contains("write [[hook]]"), "{lists}");
}

#[test]
fn what_is_no_toml_is_named_with_its_place() {
    check("nice = \n", "6:8", &[]);
    check("name = \"again\"\n", "6:1", &["duplicate"]);
    let two = parse("a = \n[b\nc = ]\n").unwrap_err();
    assert!(two.len() >= 2, "{two}");
    let octets = Config::parse(Path::new("c.toml"), b"a = 1\nb = \"\xff\"\n", Given::default()).unwrap_err();
    assert_eq!(octets.to_string(), "c.toml:2:6: this is no UTF-8");
}

#[test]
fn a_file_that_is_none_is_an_error() {
    for path in ["/nonexistent.toml", "/", "/dev/zero"] {
        let problems = Config::read(Path::new(path), Given::default()).unwrap_err();
        assert!(problems.to_string().starts_with(path), "{problems}");
    }
}

#[test]
fn hostile_files_are_errors() {
    for text in [
        "[".repeat(100_000),
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{b=".repeat(100_000)),
        "a.".repeat(100_000),
        "[[hook]]\n".repeat(50_000),
        format!("[[hook]]\nname = \"{}\"\n", "x".repeat(500_000)),
        "\0".repeat(1_000),
        "'''".repeat(1_000),
        format!("[limits]\n{}", (0..50_000).map(|number| format!("k{number} = 1\n")).collect::<String>()),
    ] {
        let problems = parse(&text).unwrap_err();
        assert!(problems.lines().count() <= 101);
        assert!(problems.lines().all(|line| line.chars().count() < 1_000 && !line.contains('\n')));
    }
}

/// A small generator of numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

#[test]
fn no_change_to_the_example_does_more_than_to_be_reported() {
    // Without comments, so that changes meet something.
    let text: Vec<_> = EXAMPLE.lines().map(|line| line.split('#').next().unwrap().trim_end()).collect();
    let text = text.join("\n");
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut accepted = 0;
    for _ in 0..4_000 {
        let mut octets = text.clone().into_bytes();
        for _ in 0..=numbers.below(3) {
            // Of two changes before, one can have cut it to an octet and the other have taken that.
            if octets.is_empty() {
                break;
            }
            let at = numbers.below(octets.len());
            match numbers.below(5) {
                0 => octets[at] = u8::try_from(numbers.below(256)).unwrap(),
                1 => drop(octets.remove(at)),
                2 => octets.insert(at, b"[]{}=\"'\n.,0x"[numbers.below(12)]),
                3 => octets.truncate(at.max(1)),
                _ => {
                    let end = (at + numbers.below(200)).min(octets.len());
                    let piece = octets[at..end].to_vec();
                    let to = numbers.below(octets.len());
                    octets.splice(to..to, piece);
                }
            }
        }
        match Config::parse(Path::new("c.toml"), &octets, Given::default()) {
            Ok(_) => accepted += 1,
            Err(problems) => assert!(problems.lines().all(|line| !line.contains('\n'))),
        }
    }
    assert!(accepted > 0, "no change at all was harmless: the example itself must be wrong");
}

#[test]
fn the_observers_own_user_is_looked_up_and_is_no_hooks() {
    let hook = "[[hook]]\nname = \"b\"\ncommand = \"/usr/bin/true\"\nuser = 65531\n";
    let config = parse(&format!("{SOUND}{hook}[daemon]\nuser = 65531\n")).unwrap();
    let own = config.daemon.run_as.unwrap();
    assert_eq!((own.user, own.group), (65_531, 65_531));
    assert!(
        config.warnings.iter().any(|warning| warning.contains("\"b\" runs as user 65531")),
        "{:?}",
        config.warnings
    );
    let problem = |text: &str| parse(&format!("{SOUND}[daemon]\n{text}")).unwrap_err().to_string();
    assert!(problem("user = \"no such user\"\n").contains("there is no user \"no such user\""));
    assert!(problem("group = 7\n").contains("counts with user only"));
}

/// What a spawner has looked at is not looked at again by an observer that may not see it.
#[test]
fn what_was_looked_at_is_taken_as_it_is() {
    let text = SOUND.replace("/bin/true", "/no/such/program") + "directory = \"/no/such/directory\"\n";
    assert!(parse(&text).is_err());
    let looked_at = Given { looked_at: true, ..Given::default() };
    let config = Config::parse(Path::new("c.toml"), text.as_bytes(), looked_at).unwrap();
    let spec = config.hooks[0].spec.as_ref().unwrap();
    assert_eq!(spec.program.path(), c"/no/such/program");
    // But what the text itself says is.
    assert!(Config::parse(Path::new("c.toml"), b"x = 1\n", looked_at).is_err());
}
