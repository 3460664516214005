//! What would run, for `check`.

use std::fmt::Write as _;

use super::{Config, Hook};
use crate::hook::{Mode, Output, Scheduling};

/// A few lines for people.
pub fn summary(config: &Config) -> String {
    let mut text = String::new();
    let interfaces: Vec<_> =
        config
            .interfaces
            .iter()
            .map(|interface| {
                if interface.wait {
                    format!("{} (waited for)", interface.name)
                } else {
                    interface.name.clone()
                }
            })
            .collect();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "interfaces: {}", interfaces.join(", "));
    if let Some(own) = &config.daemon.run_as {
        let _ = writeln!(text, "frames are handled as user {} and group {}", own.user, own.group);
    }
    for (index, hook) in config.hooks.iter().enumerate() {
        let _ = writeln!(text, "hook {}: {}", index + 1, line(hook));
    }
    text
}

fn line(hook: &Hook) -> String {
    let mut words = vec![format!("{:?}, dialect {}", hook.name, hook.dialect)];
    if let Some(spec) = &hook.spec {
        words.push(match spec.mode {
            Mode::Exec => "exec".to_owned(),
            Mode::Stream { window } => format!("stream of {window} at a time"),
            Mode::Batch { calls, wait } => format!("batches of {calls} or {wait:?}"),
        });
        words.push(spec.program.path().to_string_lossy().into_owned());
        if let Some(credentials) = &spec.attributes.credentials {
            words.push(format!("as user {} and group {}", credentials.user, credentials.group));
        }
        match spec.attributes.scheduling {
            Scheduling::Normal => words.push(format!("nice {}", spec.attributes.nice)),
            Scheduling::Batch => words.push(format!("nice {}, SCHED_BATCH", spec.attributes.nice)),
            Scheduling::Idle => words.push("SCHED_IDLE".to_owned()),
        }
        if spec.attributes.isolated {
            words.push("isolated".to_owned());
        }
        if spec.independent {
            words.push("independent".to_owned());
        }
        if spec.output == Output::Null {
            words.push("output to nowhere".to_owned());
        }
    }
    let asked: Vec<_> = hook.words.iter().collect();
    if !asked.is_empty() {
        words.push(format!("told of {}", asked.join(" ")));
    }
    for (is_set, word) in [
        (hook.on_change, "changes only"),
        (hook.replay_on_start, "told of the leases there are at the start"),
    ] {
        if is_set {
            words.push(word.to_owned());
        }
    }
    words.extend(filters(hook));
    words.join(", ")
}

fn filters(hook: &Hook) -> impl Iterator<Item = String> {
    fn list<T>(values: &[T], show: impl Fn(&T) -> String) -> String {
        values.iter().map(show).collect::<Vec<_>>().join(" ")
    }
    let filter = &hook.filter;
    let vlan = |ids: &Vec<u16>| match ids.as_slice() {
        [] => "0".to_owned(),
        ids => ids.iter().map(u16::to_string).collect::<Vec<_>>().join("."),
    };
    let hwaddr = |octets: &Vec<u8>| crate::identity::ColonHex(octets).to_string();
    [
        ("subnet", list(&filter.subnet, ToString::to_string)),
        ("interface", list(&filter.interface, Clone::clone)),
        ("vlan", list(&filter.vlan, vlan)),
        ("hwaddr", list(&filter.hwaddr, hwaddr)),
        ("vendor_class", list(&filter.vendor_class, ToString::to_string)),
        ("user_class", list(&filter.user_class, ToString::to_string)),
        ("circuit_id", list(&filter.circuit_id, ToString::to_string)),
        ("remote_id", list(&filter.remote_id, ToString::to_string)),
    ]
    .into_iter()
    .filter(|(_, values)| !values.is_empty())
    .map(|(key, values)| format!("{key} {values}"))
}
