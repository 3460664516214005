//! As whom, where and in which environment a hook runs.

use std::ffi::CString;

use toml::de::DeValue;

use super::reader::{At, Section, integer};
use super::value;
use crate::hook::{Attributes, Credentials, Scheduling};

/// What a hook from the file finds as its `PATH` unless it is given another one.
pub const STANDARD_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn read(section: &Section<'_, '_>) -> Attributes {
    let defaults = Attributes::default();
    let scheduling =
        [("normal", Scheduling::Normal), ("batch", Scheduling::Batch), ("idle", Scheduling::Idle)];
    Attributes {
        credentials: read_credentials(section),
        nice: section
            .number("nice", -20..=19)
            .and_then(|nice| i32::try_from(nice.value).ok())
            .unwrap_or(defaults.nice),
        scheduling: section.word("scheduling", &scheduling).unwrap_or(defaults.scheduling),
        directory: read_directory(section),
        environment: read_environment(section),
        ..defaults
    }
}

/// `user` and `group`, in a section that has them.
pub(super) fn read_credentials(section: &Section<'_, '_>) -> Option<Credentials> {
    let expected = |what| format!("the name or number of a {what}");
    let user = section.get("user", &expected("user"), value::name_or_number);
    let group = section.get("group", &expected("group"), value::name_or_number);
    // Each is looked up by itself first, so that both are told when both are wrong.
    let found = |user: Option<&At<String>>, group: Option<&At<String>>| {
        let name = |name: Option<&At<String>>| name.map(|name| name.value.clone());
        Credentials::look_up(name(user).as_deref(), name(group).as_deref())
    };
    let mut is_wrong = false;
    for (key, name) in [("user", &user), ("group", &group)] {
        let Some(name) = name else { continue };
        let alone = if key == "user" { found(Some(name), None) } else { found(None, Some(name)) };
        if let Err(error) = alone {
            is_wrong = true;
            section.wrong(name.at, key, error.to_string());
        }
    }
    if is_wrong || (user.is_none() && group.is_none()) {
        return None;
    }
    match found(user.as_ref(), group.as_ref()) {
        Ok(credentials) => Some(credentials),
        Err(error) => {
            section.wrong(user.or(group)?.at, "user", error.to_string());
            None
        }
    }
}

fn read_directory(section: &Section<'_, '_>) -> Option<CString> {
    let directory = section.get("directory", "an absolute path", value::absolute)?;
    match std::fs::metadata(&directory.value) {
        _ if !section.reader.looks => {}
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            section.wrong(directory.at, "directory", format!("{} is no directory", directory.value.display()))
        }
        Err(error) => {
            section.wrong(directory.at, "directory", format!("{}: {error}", directory.value.display()))
        }
    }
    CString::new(directory.value.into_os_string().into_encoded_bytes()).ok()
}

/// What is added to the environment of every call.
fn read_environment(section: &Section<'_, '_>) -> Vec<CString> {
    let mut environment = Vec::new();
    let mut has_path = false;
    if let Some(table) = section.table("environment") {
        for (name, at, node) in table.entries() {
            let text = match node.get_ref() {
                DeValue::String(text) => Some(text.to_string()),
                value => integer(value).map(|number| number.to_string()),
            };
            let is_name = !name.is_empty() && !name.contains(['=', '\0']);
            match text.filter(|_| is_name).and_then(|text| CString::new(format!("{name}={text}")).ok()) {
                Some(variable) => {
                    has_path |= name == "PATH";
                    environment.push(variable);
                }
                None => table.wrong(
                    at,
                    name,
                    "expected NAME = \"value\", without = in the name and NUL in either",
                ),
            }
        }
    }
    if !has_path {
        environment.extend(CString::new(format!("PATH={STANDARD_PATH}")));
    }
    environment
}
