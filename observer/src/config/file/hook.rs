//! `[[hook]]`.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use toml::de::DeValue;

use super::reader::{At, Section, closest, one_of};
use super::value::{self, DURATION};
use super::{attributes, filter};
use crate::dialect::{self, DialectName, dnsmasq};
use crate::dispatch::{Filter, Route, Words};
use crate::hook::isolation::refuse_stock_script;
use crate::hook::{Attributes, LaneLimits, Mode, Output, Program, Spec, resolve_program};
use crate::tracker::{Event, network};

/// One hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Its name; no two have the same.
    pub name: String,
    /// In whose words it is told.
    pub dialect: DialectName,
    /// What the dialect is told beforehand.
    pub options: dialect::Options,
    /// Which events it wants.
    pub filter: Filter,
    /// Which calls it wants.
    pub words: Words,
    /// Whether calls that change nothing are left out.
    pub on_change: bool,
    /// Whether it is told at the start of the leases that there are.
    pub replay_on_start: bool,
    /// Its program and how that is run; `None` where calls are only printed.
    pub spec: Option<Spec>,
}

impl Hook {
    /// What it is told, with a dialect that has seen nothing.
    pub fn route(&self) -> Route {
        let mut route = Route::new(self.name.clone(), self.dialect, self.options.clone());
        route.filter.clone_from(&self.filter);
        route.words.clone_from(&self.words);
        route.on_change = self.on_change;
        route
    }
}

/// The most calls in one batch or on their way to one stream.
const MOST_CALLS: i64 = 1_000_000;

/// Reads one; `None` when it cannot be told what would be run. `warn` gets what an administrator should know.
pub(super) fn read(
    section: &mut Section<'_, '_>,
    mut warn: impl FnMut(String),
) -> Option<(At<String>, Hook)> {
    let name = section.get("name", "a name of 64 printable characters at most", |value| {
        let is_printable = |name: &&str| !name.chars().any(char::is_control) && !name.trim().is_empty();
        value.as_str().filter(is_printable).filter(|name| name.chars().count() <= 64).map(str::to_owned)
    });
    match &name {
        Some(name) => section.name = format!("hook {:?}", name.value),
        None if !section.has("name") => section.wrong_here("name is missing: what log lines call the hook"),
        None => {}
    }
    let isolated = section.boolean("isolated").unwrap_or_default();
    let attributes = Attributes { isolated, ..attributes::read(section) };
    let user = attributes.credentials.as_ref().map(|credentials| credentials.user);
    let (program, arguments) = read_command(section, user, isolated, &mut warn);
    let names: Vec<_> = DialectName::ALL.iter().map(|dialect| (dialect.name(), *dialect)).collect();
    let dialect = section.word("dialect", &names).unwrap_or_default();
    let dnsmasq = dnsmasq::Options {
        script_on_renewal: section.boolean("script_on_renewal").unwrap_or_default(),
        leasefile_ro: section.boolean("leasefile_ro").unwrap_or_default(),
        log_dhcp: section.boolean("log_dhcp").unwrap_or_default(),
        domain: text(section, "domain"),
        tags: text(section, "tags"),
    };
    let options = dialect::Options {
        dnsmasq,
        search_timeout: section.get("search_timeout", DURATION, value::duration).map(|found| found.value),
        ..dialect::Options::default()
    };
    for (key, of, with) in [
        ("script_on_renewal", DialectName::Dnsmasq, "dialect = \"dnsmasq\""),
        ("leasefile_ro", DialectName::Dnsmasq, "dialect = \"dnsmasq\""),
        ("log_dhcp", DialectName::Dnsmasq, "dialect = \"dnsmasq\""),
        ("domain", DialectName::Dnsmasq, "dialect = \"dnsmasq\""),
        ("tags", DialectName::Dnsmasq, "dialect = \"dnsmasq\""),
        ("search_timeout", DialectName::Dhclient, "dialect = \"dhclient\""),
    ] {
        if dialect != of {
            only_with(section, key, with);
        }
    }
    let filter = section.table("filter").map(|section| filter::read(&section)).unwrap_or_default();
    let mode = read_mode(section);
    let limits = read_limits(section, mode, dialect);
    if isolated && limits.max_parallel > 1 && section.has("max_parallel") {
        let one = "an isolated hook runs one process at a time, in namespaces that are the same for all; leave it out";
        section.wrong(section.at_of("max_parallel"), "max_parallel", one);
    }
    let output = section.word("output", &[("ours", Output::Ours), ("null", Output::Null)]);
    let words = read_words(section, dialect);
    let flag = |key| section.boolean(key).unwrap_or_default();
    let [on_change, replay_on_start, independent] = ["on_change", "replay_on_start", "independent"].map(flag);
    section.finish();
    let (name, program) = name.zip(program)?;
    let output = output.unwrap_or(dialect.output());
    let spec = Some(Spec {
        name: name.value.clone(),
        program,
        arguments,
        mode,
        output,
        independent,
        limits,
        attributes,
    });
    Some((
        name.clone(),
        Hook { name: name.value, dialect, options, filter, words, on_change, replay_on_start, spec },
    ))
}

/// What a variable of the environment is to say.
fn text(section: &Section<'_, '_>, key: &'static str) -> Option<String> {
    let found = section.get(key, "a text without control characters", |value| {
        value.as_str().filter(|text| !text.chars().any(char::is_control)).map(str::to_owned)
    });
    found.map(|found| found.value)
}

/// Notes a key that means something together with something else only, which is not there.
fn only_with(section: &Section<'_, '_>, key: &str, with: &str) {
    if section.has(key) {
        section.wrong(section.at_of(key), key, format!("means something with {with} only; leave it out"));
    }
}

/// The program, looked at for one that is to run as `user`, and the arguments before those of the call.
fn read_command(
    section: &Section<'_, '_>,
    user: Option<u32>,
    isolated: bool,
    warn: &mut impl FnMut(String),
) -> (Option<Program>, Vec<CString>) {
    let allow_writable = section.boolean("allow_writable").unwrap_or_default();
    let expected = "an absolute path, or a list of one and arguments";
    let words = section.get("command", expected, |value| match value {
        DeValue::String(_) => Some((value::absolute(value)?, Vec::new())),
        DeValue::Array(list) => {
            let (path, arguments) = list.split_first()?;
            let argument = |node: &super::reader::Node<'_>| CString::new(node.get_ref().as_str()?).ok();
            Some((
                value::absolute(path.get_ref())?,
                arguments.iter().map(argument).collect::<Option<Vec<_>>>()?,
            ))
        }
        _ => None,
    });
    let Some(At { value: (path, arguments), at }) = words else {
        if !section.has("command") {
            section.wrong_here("command is missing: the program to run, an absolute path");
        }
        return (None, Vec::new());
    };
    let looks = section.reader.looks;
    let cwd = Path::new("/");
    let program = match if looks { resolve_program(&path, cwd) } else { Program::looked_at(&path, cwd) } {
        Ok(program) => program,
        Err(error) => {
            section.wrong(at, "command", error.to_string());
            return (None, arguments);
        }
    };
    if !looks {
        return (Some(program), arguments);
    }
    if !isolated {
        // An interpreter is given the script as an argument.
        let scripts =
            arguments.iter().map(CString::as_c_str).filter(|word| word.to_bytes().starts_with(b"/"));
        for script in std::iter::once(program.path()).chain(scripts) {
            if let Err(error) = refuse_stock_script(Path::new(OsStr::from_bytes(script.to_bytes()))) {
                section.wrong(at, "command", error.to_string());
            }
        }
    }
    program.warnings().iter().for_each(|warning| warn(warning.to_string()));
    for exposure in program.exposures(user) {
        if allow_writable {
            warn(exposure.to_string());
        } else {
            section.wrong(at, "command", format!("{exposure}, or allow it with allow_writable = true"));
        }
    }
    (Some(program), arguments)
}

/// `events`: words of the dialect and of events.
fn read_words(section: &Section<'_, '_>, dialect: DialectName) -> Words {
    let of_events = Event::LEASE.map(Event::name);
    let mut known: Vec<&str> = dialect.words();
    known.extend(of_events);
    if dialect == DialectName::Kea {
        known.extend(network::Kind::ALL.map(network::Kind::name));
    }
    let words = section.several("events", "a word", |value| value.as_str().map(str::to_owned));
    for word in words.iter().filter(|word| !known.contains(&word.value.as_str())) {
        let meant = match closest(&word.value, known.iter().copied()) {
            Some(close) => format!("did you mean {close:?}?"),
            None => format!("expected {}", one_of(&known)),
        };
        let clipped = super::super::json::clipped(&word.value);
        section.wrong(word.at, "events", format!("dialect {dialect} has no word \"{clipped}\"; {meant}"));
    }
    words.into_iter().map(|word| word.value).collect()
}

fn read_mode(section: &Section<'_, '_>) -> Mode {
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Word {
        Exec,
        Stream,
        Batch,
    }
    let words = [("exec", Word::Exec), ("stream", Word::Stream), ("batch", Word::Batch)];
    let mode = section.word("mode", &words).unwrap_or(Word::Exec);
    let calls =
        |key| section.number(key, 1..=MOST_CALLS).map(|number| usize::try_from(number.value).unwrap_or(1));
    let window = calls("window");
    let size = calls("batch_size");
    let time = section.get("batch_time", DURATION, value::duration).map(|found| found.value);
    for (key, wanted, with) in [
        ("window", Word::Stream, "mode = \"stream\""),
        ("batch_size", Word::Batch, "mode = \"batch\""),
        ("batch_time", Word::Batch, "mode = \"batch\""),
    ] {
        if mode != wanted {
            only_with(section, key, with);
        }
    }
    match mode {
        Word::Exec => Mode::Exec,
        Word::Stream => Mode::Stream { window: window.unwrap_or(Mode::WINDOW) },
        Word::Batch => {
            Mode::Batch { calls: size.unwrap_or(100), wait: time.unwrap_or(Duration::from_secs(1)) }
        }
    }
}

fn read_limits(section: &Section<'_, '_>, mode: Mode, dialect: DialectName) -> LaneLimits {
    let defaults = LaneLimits::default();
    let length = |key| section.get(key, DURATION, value::duration).map(|found| found.value);
    let parallel = section.number("max_parallel", 1..=65_535);
    if let Some(At { at, .. }) = parallel.as_ref().filter(|_| mode != Mode::Exec) {
        section.wrong(
            *at,
            "max_parallel",
            "means something with mode = \"exec\" only: a stream or a batch has one process at a time",
        );
    }
    let retries = section.number("retries", 0..=1_000_000);
    if section.has("retry_delay")
        && retries.as_ref().is_none_or(|retries| retries.value == 0)
        && mode_retries(mode)
    {
        section.wrong(
            section.at_of("retry_delay"),
            "retry_delay",
            "means something with retries only; give their number",
        );
    }
    LaneLimits {
        max_parallel: parallel
            .and_then(|number| usize::try_from(number.value).ok())
            .or(dialect.max_parallel())
            .unwrap_or(defaults.max_parallel),
        timeout: Some(length("timeout").unwrap_or(Duration::from_secs(60))),
        kill_delay: length("kill_delay").unwrap_or(defaults.kill_delay),
        retries: retries.and_then(|number| u32::try_from(number.value).ok()).unwrap_or(defaults.retries),
        retry_delay: length("retry_delay").unwrap_or(defaults.retry_delay),
    }
}

/// Whether attempts are counted at all: a stream is started again for ever, and waits between.
fn mode_retries(mode: Mode) -> bool {
    !matches!(mode, Mode::Stream { .. })
}
