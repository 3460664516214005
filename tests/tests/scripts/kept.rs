//! What all scripts have in common: shellcheck has nothing to say, configurations are read with care, and the template and
//! the guide leave nothing out.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;
use std::process::Command;

use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::binary;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::scripts::{Script, directory, printed};

fn scripts() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sh"))
        .collect();
    files.sort();
    files
}

#[test]
fn shellcheck_has_nothing_to_say() {
    require!(Need::Program("shellcheck"));
    let files = scripts();
    assert!(files.len() >= 9, "{files:?}");
    let root = directory().join("..");
    let mut command = Command::new("shellcheck");
    command.current_dir(root).args(["--external-sources", "--shell=sh"]).args(files);
    assert_eq!(printed(&mut command).unwrap(), "");
}

#[test]
fn the_template_knows_every_hook_point_and_runs_alone() {
    require!(Need::Root);
    let template = directory().join("template.sh");
    let text = std::fs::read_to_string(&template).unwrap();
    let table = printed(Command::new(binary().unwrap()).arg("variables")).unwrap();
    let mut hook_points: Vec<&str> = table
        .split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
        .filter(|word| {
            let known = ["lease4_", "lease6_", "leases4_", "leases6_", "addr6_"];
            known.iter().any(|begin| word.starts_with(begin))
        })
        .collect();
    hook_points.extend([
        "observer_unanswered",
        "observer_foreign_server",
        "observer_nak",
        "observer_pool_exhausted",
        "observer_conflict",
    ]);
    hook_points.sort_unstable();
    hook_points.dedup();
    assert_eq!(hook_points.len(), 13 + 1 + 5, "{hook_points:?}");
    let (scratch, namespace) = (Scratch::new().unwrap(), Namespace::new().unwrap());
    let alone = scratch.path().join("alone");
    symlink(&template, &alone).unwrap();
    for hook_point in hook_points {
        assert!(text.contains(&format!("\n{hook_point}) ")), "{hook_point} is missing");
        let mut command = namespace.command(alone.to_str().unwrap());
        command.arg(hook_point).env_clear();
        for (name, value) in [
            ("LEASE4_ADDRESS", "192.0.2.1"),
            ("LEASE4_HWADDR", "02:00:00:00:00:01"),
            ("LEASE6_ADDRESS", "2001:db8::1"),
            ("LEASE6_DUID", "00:03"),
            ("DELETED_LEASES4_SIZE", "1"),
            ("DELETED_LEASES4_AT0_ADDRESS", "192.0.2.9"),
            ("LEASES4_SIZE", "2"),
            ("LEASES4_AT0_ADDRESS", "192.0.2.2"),
            ("LEASES4_AT1_ADDRESS", "192.0.2.3"),
            ("LEASES4_AT1_STATE", "declined"),
        ] {
            command.env(name, value);
        }
        let said = printed(&mut command).unwrap();
        if hook_point == "leases4_committed" {
            assert_eq!(said, "taken: 192.0.2.9 from \ngiven: 192.0.2.2 to \n");
        }
    }
}

#[test]
fn the_guide_names_every_script_and_setting() {
    let guide = std::fs::read_to_string(directory().join("README.md")).unwrap();
    for script in scripts() {
        let name = script.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(guide.contains(&format!("`{name}`")), "{name} is not in the guide");
    }
}

#[test]
fn a_configuration_that_others_could_write_is_not_read() {
    require!(Need::Root);
    let (scratch, namespace) = (Scratch::new().unwrap(), Namespace::new().unwrap());
    let marker = scratch.path().join("read");
    let script =
        Script::install(&namespace, scratch.path(), "log", &format!(": >{}\n", marker.display())).unwrap();
    let file = scratch.path().join("log.conf");
    let lease = [("LEASE4_ADDRESS", "192.0.2.1")];
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    let refused = |word: &str| {
        let output = script.call("lease4_expire", &lease).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.lines().count() == 1 && stderr.contains(word) && stderr.contains("log.conf"),
            "{stderr}"
        );
        assert!(!marker.exists(), "it was read");
    };
    for wrong in [0o620, 0o602, 0o666, 0o777, 0o664] {
        mode(wrong);
        refused("chmod go-w");
    }
    mode(0o644);
    chown(&file, Some(12_345), None).unwrap();
    refused("chown root");
    chown(&file, Some(0), None).unwrap();
    for right in [0o600, 0o640, 0o644, 0o400, 0o755] {
        mode(right);
        script.succeed("lease4_expire", &lease).unwrap();
        assert!(marker.exists());
        std::fs::remove_file(&marker).unwrap();
    }
    std::fs::remove_file(&file).unwrap();
    let output = script.call("lease4_expire", &lease).unwrap();
    assert_eq!(output.status.code(), Some(1), "a configuration that was named must be there");
    std::fs::create_dir(&file).unwrap();
    refused("is not a file");
}
