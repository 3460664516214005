//! JSON as Kea writes it, with the place of every value, because a wrong value is reported where it stands.
//!
//! `serde_json` forgets the places once a value is parsed, and an include can begin in the middle of a list, so the
//! few rules are here: JSON plus comments, includes, extra commas behind an element, and Kea's looser numbers.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use super::place::{ConfigError, Place};
use super::source::{Files, Source};

/// How deep maps and lists may be inside each other: far more than any configuration, far less than the stack.
const DEEPEST: usize = 100;

/// A value and where it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Fraction(f64),
    Text(String),
    List(Vec<Node>),
    Map(Map),
}

/// A map and where it begins.
#[derive(Debug)]
pub(super) struct Map {
    place: Place,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    key_place: Place,
    node: Node,
}

/// A value of a map, or an element of a list that is one, under the name that the map gives to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    name: &'a str,
    node: &'a Node,
}

/// Reads a file and all that it includes.
pub(super) fn read(path: &Path, files: &dyn Files) -> Result<Node, ConfigError> {
    let mut source = Source::open(path, files)?;
    source.skip_blanks()?;
    let node = value(&mut source, DEEPEST)?;
    source.skip_blanks()?;
    match source.peek() {
        None => Ok(node),
        Some(_) => Err(unexpected(&mut source, "the end of the file")),
    }
}

/// The error "found what comes next, expected `expected`".
fn unexpected(source: &mut Source<'_>, expected: &str) -> ConfigError {
    let place = source.place();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte);
    let mut found = source.take_while(is_word);
    if found.is_empty() {
        found.extend(source.take());
        found.extend(source.take_while(|byte| matches!(byte, 0x80..=0xbf)));
    }
    match found.as_slice() {
        [] => place.wrong(format!("found the end of the file, expected {expected}")),
        found => {
            place.wrong(format!("found `{}`, expected {expected}", clipped(&String::from_utf8_lossy(found))))
        }
    }
}

/// A text short enough for, and kept on, one line.
pub(super) fn clipped(text: &str) -> String {
    clipped_to(text, 40)
}

/// The same with another idea of short, in characters.
pub(super) fn clipped_to(text: &str, longest: usize) -> String {
    let mut shown: String = text.chars().take(longest).flat_map(char::escape_debug).collect();
    if text.chars().nth(longest).is_some() {
        shown.push('…');
    }
    shown
}

fn value(source: &mut Source<'_>, depth: usize) -> Result<Node, ConfigError> {
    let place = source.place();
    let value = match source.peek() {
        Some(b'{' | b'[') if depth == 0 => {
            return Err(place.wrong(format!("found more than {DEEPEST} maps and lists inside each other")));
        }
        Some(b'{') => Value::Map(map(source, depth - 1)?),
        Some(b'[') => Value::List(list(source, depth - 1)?),
        Some(b'"') => Value::Text(text(source)?),
        Some(b'-' | b'+' | b'.' | b'0'..=b'9') => number(source)?,
        Some(b'a'..=b'z' | b'A'..=b'Z') => {
            match source.take_while(|byte| byte.is_ascii_alphanumeric()).as_slice() {
                b"null" => Value::Null,
                b"true" => Value::Boolean(true),
                b"false" => Value::Boolean(false),
                word => {
                    let word = clipped(&String::from_utf8_lossy(word));
                    return Err(place.wrong(format!("found `{word}`, expected a value")));
                }
            }
        }
        _ => return Err(unexpected(source, "a value")),
    };
    Ok(Node { place, value })
}

fn map(source: &mut Source<'_>, depth: usize) -> Result<Map, ConfigError> {
    let mut map = Map { place: source.place(), entries: BTreeMap::new() };
    source.take();
    source.skip_blanks()?;
    while !ends(source, b'}', &map.place, map.entries.is_empty())? {
        let key_place = source.place();
        if source.peek() != Some(b'"') {
            return Err(unexpected(source, "a key in quotes, or `}`"));
        }
        let key = text(source)?;
        source.skip_blanks()?;
        if source.peek() != Some(b':') {
            return Err(unexpected(source, &format!("`:` behind {key:?}")));
        }
        source.take();
        source.skip_blanks()?;
        let node = value(source, depth)?;
        if let Some(earlier) = map.entries.get(&key) {
            let earlier = &earlier.key_place;
            return Err(key_place.wrong(format!("found {key:?} a second time, the first is at {earlier}")));
        }
        map.entries.insert(key, Entry { key_place, node });
    }
    Ok(map)
}

fn list(source: &mut Source<'_>, depth: usize) -> Result<Vec<Node>, ConfigError> {
    let opened = source.place();
    let mut elements = Vec::new();
    source.take();
    source.skip_blanks()?;
    while !ends(source, b']', &opened, elements.is_empty())? {
        elements.push(value(source, depth)?);
    }
    Ok(elements)
}

/// Between two elements: passes the commas, of which Kea takes any number, and the closing bracket if it is there.
fn ends(source: &mut Source<'_>, close: u8, opened: &Place, first: bool) -> Result<bool, ConfigError> {
    source.skip_blanks()?;
    let mut separated = first;
    while !first && source.peek() == Some(b',') {
        source.take();
        source.skip_blanks()?;
        separated = true;
    }
    let closed = source.peek() == Some(close);
    if closed {
        source.take();
    } else if !separated || source.peek().is_none() {
        let close = char::from(close);
        return Err(unexpected(source, &format!("`,` or `{close}` to close what {opened} opens")));
    }
    Ok(closed)
}

/// A string. Kea takes any byte behind the space, so Latin-1 is tolerated and its letters are replaced: no value that
/// matters here has any.
fn text(source: &mut Source<'_>) -> Result<String, ConfigError> {
    let opened = source.place();
    source.take();
    let mut bytes = Vec::new();
    loop {
        let place = source.place();
        match source.take() {
            Some(b'"') => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Some(b'\\') => escape(source, &place, &mut bytes)?,
            Some(byte @ 0x20..) => bytes.push(byte),
            Some(_) | None => {
                return Err(opened.wrong("found a string without its closing quote on the same line"));
            }
        }
    }
}

fn escape(source: &mut Source<'_>, place: &Place, bytes: &mut Vec<u8>) -> Result<(), ConfigError> {
    bytes.push(match source.take() {
        Some(byte @ (b'"' | b'\\' | b'/')) => byte,
        Some(b'b') => 0x08,
        Some(b'f') => 0x0c,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'u') => {
            let digits: Vec<u8> = std::iter::from_fn(|| source.take()).take(4).collect();
            let code = std::str::from_utf8(&digits).ok().filter(|text| text.starts_with("00"));
            match code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|_| digits.len() == 4) {
                Some(code) => {
                    bytes.extend(char::from(code).encode_utf8(&mut [0; 2]).as_bytes());
                    return Ok(());
                }
                None => return Err(place.wrong("found another escape, expected \\u0000 to \\u00ff")),
            }
        }
        _ => {
            return Err(place
                .wrong("found another escape, expected one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u00ff"));
        }
    });
    Ok(())
}

fn number(source: &mut Source<'_>) -> Result<Value, ConfigError> {
    let place = source.place();
    let bytes = source.take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let text = String::from_utf8_lossy(&bytes);
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let number = if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok().map(Value::Integer)
    } else {
        // `inf` and `nan` are no numbers in Kea.
        text.parse().ok().filter(|fraction: &f64| fraction.is_finite()).map(Value::Fraction)
    };
    number.ok_or_else(|| place.wrong(format!("found `{}`, expected a number", clipped(&text))))
}

impl Node {
    /// The whole document as a field of this name.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> Field<'a> {
        Field { name, node: self }
    }

    fn description(&self) -> String {
        match &self.value {
            Value::Null => "null".into(),
            Value::Boolean(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::Fraction(value) => format!("{value:?}"),
            Value::Text(text) => format!("\"{}\"", clipped(text)),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
        }
    }
}

impl Map {
    /// Where it begins.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The keys, sorted.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The value under this key.
    pub(super) fn get<'a>(&'a self, name: &'a str) -> Option<Field<'a>> {
        self.entries.get(name).map(|entry| Field { name, node: &entry.node })
    }

    /// The value under this key; that it is missing is an error of the map that is a `kind`.
    pub(super) fn require<'a>(&'a self, name: &'a str, kind: &str) -> Result<Field<'a>, ConfigError> {
        self.get(name)
            .ok_or_else(|| self.place.wrong(format!("found a {kind} without {name:?}, expected one")))
    }

    /// The elements of the list under this key, none where it is left out.
    pub(super) fn elements<'a>(&'a self, name: &'a str) -> Result<Vec<Field<'a>>, ConfigError> {
        self.get(name).map_or_else(|| Ok(Vec::new()), |field| field.list())
    }
}

impl<'a> Field<'a> {
    /// Where the value begins.
    pub(super) fn place(self) -> &'a Place {
        &self.node.place
    }

    /// The error that the value is not what was expected.
    pub(super) fn expected(self, expected: impl std::fmt::Display) -> ConfigError {
        self.node.place.wrong(format!(
            "{}: found {}, expected {expected}",
            self.name,
            self.node.description()
        ))
    }

    /// The error that the value must be unique, and is not.
    pub(super) fn repeats(self, earlier: &Place) -> ConfigError {
        let found = self.node.description();
        self.node
            .place
            .wrong(format!("{}: found {found} a second time, the first is at {earlier}", self.name))
    }

    pub(super) fn map(self) -> Result<&'a Map, ConfigError> {
        match &self.node.value {
            Value::Map(map) => Ok(map),
            _ => Err(self.expected("a map")),
        }
    }

    pub(super) fn list(self) -> Result<Vec<Self>, ConfigError> {
        match &self.node.value {
            Value::List(nodes) => Ok(nodes.iter().map(|node| Field { name: self.name, node }).collect()),
            _ => Err(self.expected("a list")),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, ConfigError> {
        match &self.node.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.expected("a string")),
        }
    }

    pub(super) fn boolean(self) -> Result<bool, ConfigError> {
        match self.node.value {
            Value::Boolean(value) => Ok(value),
            _ => Err(self.expected("true or false")),
        }
    }

    /// A whole number of any size.
    pub(super) fn integer(self) -> Result<i64, ConfigError> {
        match self.node.value {
            Value::Integer(value) => Ok(value),
            _ => Err(self.expected("a whole number")),
        }
    }

    /// A whole number in this range.
    pub(super) fn number<N>(self, range: RangeInclusive<N>) -> Result<N, ConfigError>
    where
        N: TryFrom<i64> + PartialOrd + std::fmt::Display,
    {
        let wrong = || self.expected(format!("a whole number from {} to {}", range.start(), range.end()));
        let value = self.integer().map_err(|_| wrong())?;
        N::try_from(value).ok().filter(|value| range.contains(value)).ok_or_else(wrong)
    }

    /// A share of something: more than nothing, less than all.
    pub(super) fn share(self) -> Result<f64, ConfigError> {
        match self.node.value {
            Value::Fraction(value) if value > 0.0 && value < 1.0 => Ok(value),
            _ => Err(self.expected("a fraction above 0.0 and below 1.0")),
        }
    }
}
