//! The tables of a TOML file, asked for their keys one by one. What is wrong is noted and reading goes on, so that all of
//! it is told at once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::json::clipped;
use super::super::place::Place;
use super::problem::Problem;

pub(super) type Node<'a> = Spanned<DeValue<'a>>;

/// A file's text and what was found wrong with it so far.
pub(super) struct Reader<'a> {
    file: Arc<Path>,
    text: &'a str,
    /// Where each line begins, in octets.
    lines: Vec<usize>,
    problems: RefCell<Vec<(usize, Problem)>>,
    /// Whether programs, directories and other files that it names are to be looked at.
    pub(super) looks: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &Path, text: &'a str, looks: bool) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, octet)| *octet == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { file: Arc::from(file), text, lines, problems: RefCell::default(), looks }
    }

    /// The line and column of an octet.
    fn place(&self, at: usize) -> Place {
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..at.max(start)).unwrap_or_default();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Place {
            file: Arc::clone(&self.file),
            line: number(line),
            column: number(before.chars().count().saturating_add(1)),
        }
    }

    /// Notes that something is wrong at an octet of the file.
    pub(super) fn wrong(&self, at: usize, message: impl Into<String>) {
        let problem = Problem { place: Some(self.place(at)), message: message.into() };
        self.problems.borrow_mut().push((at, problem));
    }

    /// Notes that something is wrong with another file, which says itself where.
    pub(super) fn wrong_elsewhere(&self, at: usize, message: String) {
        self.problems.borrow_mut().push((at, Problem { place: None, message }));
    }

    /// What is wrong, in the order of the file.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.problems.take();
        problems.sort_by_key(|(at, _)| *at);
        problems.into_iter().map(|(_, problem)| problem).collect()
    }

    /// The top of the file.
    pub(super) fn top<'s>(&'s self, table: &'s DeTable<'a>) -> Section<'s, 'a> {
        Section { reader: self, name: String::new(), at: 0, table, known: RefCell::default() }
    }
}

/// One table.
pub(super) struct Section<'s, 'a> {
    pub(super) reader: &'s Reader<'a>,
    /// What to call it, empty for the top of the file.
    pub(super) name: String,
    /// Where it begins.
    pub(super) at: usize,
    table: &'s DeTable<'a>,
    known: RefCell<BTreeSet<&'static str>>,
}

/// A value that was read, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: usize,
}

impl<'s, 'a> Section<'s, 'a> {
    /// The value of a key, which from here on is known to be one.
    fn node(&self, key: &'static str) -> Option<&'s Node<'a>> {
        self.known.borrow_mut().insert(key);
        self.table.get(key)
    }

    /// What a key of this table is called in messages.
    fn title(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}: {key}", self.name) }
    }

    /// Whether a key is there, with whatever value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Where the value of a key stands, or the table, if there is none.
    pub(super) fn at_of(&self, key: &str) -> usize {
        self.table.get(key).map_or(self.at, |node| node.span().start)
    }

    /// Notes that something is wrong with the table itself.
    pub(super) fn wrong_here(&self, message: &str) {
        let title = if self.name.is_empty() { String::new() } else { format!("{}: ", self.name) };
        self.reader.wrong(self.at, format!("{title}{message}"));
    }

    /// Notes that a key is wrong.
    pub(super) fn wrong(&self, at: usize, key: &str, message: impl AsRef<str>) {
        self.reader.wrong(at, format!("{}: {}", self.title(key), message.as_ref()));
    }

    /// The value of a key, as `read` understands it. When that is not at all, what was `expected` is noted.
    pub(super) fn get<T>(
        &self,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&DeValue<'a>) -> Option<T>,
    ) -> Option<At<T>> {
        let node = self.node(key)?;
        self.read(key, expected, node, read)
    }

    fn read<T>(
        &self,
        key: &str,
        expected: &str,
        node: &Node<'a>,
        read: impl FnOnce(&DeValue<'a>) -> Option<T>,
    ) -> Option<At<T>> {
        let at = node.span().start;
        let value = read(node.get_ref());
        if value.is_none() {
            self.wrong(at, key, format!("found {}, expected {expected}", found(node.get_ref())));
        }
        value.map(|value| At { value, at })
    }

    /// The values of a key that holds one value or a list of them, each with its own place.
    pub(super) fn several<T>(
        &self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&DeValue<'a>) -> Option<T>,
    ) -> Vec<At<T>> {
        match self.node(key) {
            None => Vec::new(),
            Some(node) => {
                match node.get_ref() {
                    DeValue::Array(list) if list.is_empty() => {
                        self.wrong(
                        node.span().start,
                        key,
                        format!("found an empty list, expected {expected}; leave the key out to mean everything"),
                    );
                        Vec::new()
                    }
                    DeValue::Array(list) => {
                        list.iter().filter_map(|node| self.read(key, expected, node, &read)).collect()
                    }
                    _ => self.read(key, expected, node, read).into_iter().collect(),
                }
            }
        }
    }

    pub(super) fn boolean(&self, key: &'static str) -> Option<bool> {
        self.get(key, "true or false", DeValue::as_bool).map(|found| found.value)
    }

    /// A whole number within limits.
    pub(super) fn number(&self, key: &'static str, range: RangeInclusive<i64>) -> Option<At<i64>> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.get(key, &expected, |value| integer(value).filter(|number| range.contains(number)))
    }

    /// One of several words.
    pub(super) fn word<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
        let expected = one_of(&names);
        let find = |text: &str| words.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        self.get(key, &expected, |value| find(value.as_str()?)).map(|found| found.value)
    }

    /// The table of a key.
    pub(super) fn table(&self, key: &'static str) -> Option<Section<'s, 'a>> {
        let node = self.node(key)?;
        match node.get_ref() {
            DeValue::Table(table) => Some(self.section(self.title(key), node.span().start, table)),
            other => {
                self.wrong(node.span().start, key, format!("found {}, expected a table", found(other)));
                None
            }
        }
    }

    /// The tables of a key that can be given several times, `[[key]]`.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Section<'s, 'a>> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let wrong = |node: &Node<'a>| {
            let value = found(node.get_ref());
            self.wrong(node.span().start, key, format!("found {value}, expected tables: write [[{key}]]"));
        };
        let DeValue::Array(list) = node.get_ref() else {
            wrong(node);
            return Vec::new();
        };
        let section = |(index, node): (usize, &'s Node<'a>)| match node.get_ref() {
            DeValue::Table(table) => {
                Some(self.section(format!("{key} {}", index + 1), node.span().start, table))
            }
            _ => {
                wrong(node);
                None
            }
        };
        list.iter().enumerate().filter_map(section).collect()
    }

    fn section(&self, name: String, at: usize, table: &'s DeTable<'a>) -> Self {
        Section { reader: self.reader, name, at, table, known: RefCell::default() }
    }

    /// All entries of a table whose keys are the operator's own.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'s str, usize, &'s Node<'a>)> {
        self.table.iter().map(|(key, node)| (key.get_ref().as_ref(), key.span().start, node))
    }

    /// Notes every key that nobody has asked for.
    pub(super) fn finish(&self) {
        let known = self.known.borrow();
        for (key, at, _) in self.entries().filter(|(key, ..)| !known.contains(key)) {
            let mut message = format!("unknown key {:?}", clipped(key));
            match closest(key, known.iter().copied()) {
                Some(close) => message.push_str(&format!("; did you mean {close:?}?")),
                None => {
                    let known: Vec<_> = known.iter().copied().collect();
                    message.push_str(&format!(", expected {}", one_of(&known)));
                }
            }
            let message = if self.name.is_empty() { message } else { format!("{}: {message}", self.name) };
            self.reader.wrong(at, message);
        }
    }
}

/// The word that somebody may have meant.
pub(super) fn closest<'w>(word: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    /// Whatever is longer is no slip of the pen, and not worth the time.
    const LONGEST: usize = 40;
    if word.len() > LONGEST {
        return None;
    }
    let likeness = |known: &str| strsim::jaro_winkler(&word.to_ascii_lowercase().replace('-', "_"), known);
    let all = words.map(|known| (likeness(known), known)).filter(|(likeness, _)| *likeness > 0.8);
    all.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, known)| known)
}

/// `"a", "b" or "c"`.
pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// A number within 64 bits.
pub(super) fn integer(value: &DeValue<'_>) -> Option<i64> {
    value.as_integer().and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok())
}

/// What was found, in few words.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", clipped(text)),
        DeValue::Integer(number) => clipped(&number.to_string()),
        DeValue::Float(number) => clipped(&number.to_string()),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => format!("the time {time}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
