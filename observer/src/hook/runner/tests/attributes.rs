//! As whom and how processes run, as they see it themselves.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use super::*;
use crate::hook::credentials::Credentials;
use crate::hook::spec::{Attributes, Scheduling};

const LOOKS: &str = "#!/bin/sh\n/bin/cat /proc/self/stat >${0%/*}/stat\n/bin/cat /proc/self/status >${0%/*}/status\n\
                     /bin/cat /proc/$$/environ >${0%/*}/environ\n/bin/pwd >${0%/*}/directory\n";

/// Runs a script that looks at itself.
async fn look(attributes: Attributes) -> (Scratch, Ended) {
    let scratch = Scratch::new();
    std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let script = scratch.script("hook", LOOKS);
    let mut hooks = hooks_of(vec![Spec { attributes, ..spec(&script) }]);
    submit(&mut hooks, 0, &[b"OWN=1"]);
    let ended = ending(&mut hooks).await.0;
    (scratch, ended)
}

/// Nice level and scheduling policy, fields 19 and 41 of proc_pid_stat(5).
fn priority(scratch: &Scratch) -> (i32, u32) {
    let stat = scratch.text("stat");
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[19 - 3].parse().unwrap(), fields[41 - 3].parse().unwrap())
}

fn our_nice() -> i32 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().nth(19 - 3).unwrap().parse().unwrap()
}

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        assert!(std::env::var_os("CI").is_none(), "CI runs as root");
        eprintln!("skipped: not root");
    }
    root
}

#[tokio::test]
async fn polite_unless_something_else_is_said() {
    let before = our_nice();
    let (scratch, ended) = look(Attributes::default()).await;
    assert_eq!(ended, Ended::Exited(0));
    assert_eq!(priority(&scratch), (our_nice().max(10), 0));
    let (scratch, _) =
        look(Attributes { nice: 19, scheduling: Scheduling::Idle, ..Attributes::default() }).await;
    assert_eq!(priority(&scratch), (19, 5));
    let (scratch, _) =
        look(Attributes { nice: 12, scheduling: Scheduling::Batch, ..Attributes::default() }).await;
    assert_eq!(priority(&scratch), (12, 3));
    assert_eq!(our_nice(), before, "we are as we were");
}

#[tokio::test]
async fn directory_and_environment() {
    let environment = vec![c"PATH=/usr/bin:/bin".to_owned(), c"OWN=2".to_owned()];
    let directory = Some(c"/usr/share".to_owned());
    let (scratch, _) = look(Attributes { directory, environment, ..Attributes::default() }).await;
    assert_eq!(scratch.text("directory"), "/usr/share\n");
    assert_eq!(
        scratch.read("environ"),
        b"OWN=1\0OBSERVER_EVENT_ID=0\0OBSERVER_ATTEMPT=1\0PATH=/usr/bin:/bin\0",
        "what the call has itself is not replaced"
    );
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named_as_the_reason() {
    let directory = Some(c"/no/such/directory".to_owned());
    let (_scratch, ended) = look(Attributes { directory, ..Attributes::default() }).await;
    assert_eq!(ended, Ended::CouldNotStart(Step::Directory, Errno::ENOENT));
    assert!(ended.to_string().contains("working directory"), "{ended}");
}

#[tokio::test]
async fn another_user_has_that_users_groups_and_no_capability() {
    if !is_root() {
        return;
    }
    let credentials = Credentials { user: 65_533, group: 65_532, groups: vec![65_532, 65_531] };
    let attributes = Attributes { credentials: Some(credentials), nice: 5, ..Attributes::default() };
    let (scratch, ended) = look(attributes).await;
    assert_eq!(ended, Ended::Exited(0));
    let status = scratch.text("status");
    let line = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("Uid:"), "65533 65533 65533 65533");
    assert_eq!(line("Gid:"), "65532 65532 65532 65532");
    assert_eq!(line("Groups:"), "65531 65532");
    for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:", "CapBnd:"] {
        assert_eq!(line(set), "0000000000000000", "{status}");
    }
    assert_eq!(line("NoNewPrivs:"), "1");
    assert_eq!(priority(&scratch).0, our_nice().max(5));
    // Only the child has changed.
    assert!(nix::unistd::geteuid().is_root());
}

/// What a hook's user might try, each with its exit status in a line of its own. A shell that cannot open what it is to read
/// from says 1 or 2, `cat`, `unshare` and `setpriv` say 1 or 127 on EPERM.
const TRIES: &str = "#!/bin/sh\ncd ${0%/*}\nexec 2>errors\ntried() { echo $1 $? >>tried; }\n\
    /bin/cat secrets/file; tried state\n\
    ./cat secrets/file; tried setuid\n\
    /bin/cat /proc/$PPID/environ; tried environ\n\
    (read -r line </proc/$PPID/mem); tried memory\n\
    /usr/bin/unshare --net /bin/true; tried unshare\n\
    /usr/bin/setpriv --inh-caps +net_admin --ambient-caps +net_admin /bin/true; tried setpriv\n\
    /usr/bin/setpriv --reuid 0 /bin/true; tried root\n";

#[tokio::test]
async fn another_user_gets_nothing_back() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    let set_mode = |name: &str, mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(scratch.path().join(name), permissions).unwrap();
    };
    set_mode(".", 0o777);
    std::fs::create_dir(scratch.path().join("secrets")).unwrap();
    set_mode("secrets", 0o700);
    std::fs::write(scratch.path().join("secrets/file"), "secret\n").unwrap();
    std::fs::copy("/bin/cat", scratch.path().join("cat")).unwrap();
    set_mode("cat", 0o4755);
    // Without what is tested here the copy would be root's for anybody.
    let control = std::process::Command::new(scratch.path().join("cat"))
        .arg(scratch.path().join("secrets/file"))
        .uid(65_533)
        .output()
        .unwrap();
    assert_eq!(control.stdout, b"secret\n", "{control:?}");

    let script = scratch.script("hook", TRIES);
    let credentials = Credentials { user: 65_533, group: 65_533, groups: vec![65_533] };
    let attributes = Attributes { credentials: Some(credentials), ..Attributes::default() };
    let mut hooks = hooks_of(vec![Spec { attributes, ..spec(&script) }]);
    submit(&mut hooks, 0, &[]);
    ending(&mut hooks).await;
    let (tried, errors) = (scratch.text("tried"), scratch.text("errors"));
    let lines: Vec<_> = tried.lines().filter_map(|line| line.split_once(' ')).collect();
    let names: Vec<_> = lines.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["state", "setuid", "environ", "memory", "unshare", "setpriv", "root"], "{errors}");
    assert!(lines.iter().all(|(_, status)| *status != "0"), "{tried}{errors}");
    // For lack of a right, not of a file.
    let is_refusal = |line: &str| line.contains("ermission denied") || line.contains("not permitted");
    assert!(errors.lines().all(is_refusal), "{errors}");
    assert_eq!(errors.lines().count(), names.len(), "{errors}");
}

#[tokio::test]
async fn a_hook_as_root_keeps_its_capabilities() {
    if !is_root() {
        return;
    }
    let credentials = Credentials { user: 0, group: 0, groups: vec![0] };
    for credentials in [None, Some(credentials)] {
        let (scratch, ended) = look(Attributes { credentials, ..Attributes::default() }).await;
        assert_eq!(ended, Ended::Exited(0));
        let own = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let status = scratch.text("status");
        for name in ["CapPrm:", "CapEff:", "CapBnd:", "NoNewPrivs:"] {
            let line = |text: &str| text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
            assert_eq!(line(&status), line(&own));
        }
    }
}

#[tokio::test]
async fn a_directory_that_the_user_may_not_enter_is_refused() {
    if !is_root() {
        return;
    }
    let closed = Scratch::new();
    std::fs::set_permissions(closed.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let directory = std::ffi::CString::new(closed.path().to_str().unwrap()).unwrap();
    let credentials = Credentials { user: 65_533, group: 65_533, groups: vec![] };
    let attributes =
        Attributes { credentials: Some(credentials), directory: Some(directory), ..Attributes::default() };
    let (_scratch, ended) = look(attributes).await;
    assert_eq!(ended, Ended::CouldNotStart(Step::Directory, Errno::EACCES));
}

/// Where each call finds itself, in a line when it begins and one when it ends.
const PLACE: &str = "exec >>\"$0\"; echo begin $(readlink /proc/self/ns/net) $(ls /sys/class/net | tr '\\n' ' '); sleep 0.1; echo end";

#[tokio::test]
async fn isolated_processes_share_namespaces_that_are_not_ours_and_run_one_after_the_other() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new();
    // They have a /tmp of their own; ours is seen through the root directory of this process.
    let out = format!("/proc/{}/root{}", std::process::id(), scratch.path().join("out").display());
    let out = std::ffi::CString::new(out).unwrap();
    let attributes = Attributes {
        isolated: true,
        environment: vec![c"PATH=/bin:/usr/bin".to_owned()],
        ..Attributes::default()
    };
    let arguments = vec![c"-c".to_owned(), std::ffi::CString::new(PLACE).unwrap(), out];
    let mut hooks = hooks_of(vec![Spec { attributes, arguments, ..spec(Path::new("/bin/sh")) }]);
    for (tag, interface) in [(0, "interface=one0"), (1, "interface=two0"), (2, "other=1")] {
        submit(&mut hooks, tag, &[interface.as_bytes()]);
    }
    submit(&mut hooks, 3, &[b"interface=no/name"]);
    let ended: Vec<_> = drained(&mut hooks).await.into_iter().map(|(_, _, ended, _)| ended).collect();
    let refused = Ended::CouldNotStart(Step::Isolation, Errno::EINVAL);
    assert_eq!(ended, [Ended::Exited(0), Ended::Exited(0), Ended::Exited(0), refused]);

    let text = scratch.text("out");
    let (lines, own) = (text.lines().collect::<Vec<_>>(), std::fs::read_link("/proc/self/ns/net").unwrap());
    let begun = |line: &str| {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        (words[1].clone(), words[2..].to_vec())
    };
    assert_eq!(
        lines.iter().map(|line| &line[..3]).collect::<Vec<_>>(),
        ["beg", "end", "beg", "end", "beg", "end"]
    );
    let places: Vec<_> = lines.iter().step_by(2).map(|line| begun(line)).collect();
    assert!(places.iter().all(|(namespace, _)| *namespace == places[0].0), "{text}");
    assert_ne!(places[0].0, own.to_str().unwrap());
    let has = |place: usize, name: &str| places[place].1.iter().any(|found| found == name);
    assert!(has(0, "one0") && !has(0, "two0"), "{text}");
    assert!(has(1, "one0") && has(1, "two0") && has(2, "two0"), "{text}");
}
