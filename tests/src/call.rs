//! Calls of a hook script: what was dumped, recorded or printed.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// One call of a hook.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// When, in seconds since the Unix epoch: the script's own clock in a dump, the event's time in `--invocations`.
    pub at: f64,
    /// The arguments after argv\[0\].
    pub argv: Vec<String>,
    /// The whole environment in its order. The recordings have it sorted by name.
    pub env: Vec<(String, String)>,
}

impl Call {
    /// The hook point: the first argument.
    pub fn hook(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }

    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The value of the first of these variables that is set.
    pub fn any(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    fn from_json(line: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(line).context("not JSON")?;
        let at = value.get("at").or_else(|| value.get("t")).and_then(Value::as_f64).context("no time")?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("not a string");
        let argv = value.get("argv").and_then(Value::as_array).context("no argv")?;
        let env = value.get("env").and_then(Value::as_object).context("no env")?;
        Ok(Self {
            at,
            argv: argv.iter().map(text).collect::<Result<_>>()?,
            env: env.iter().map(|(name, value)| Ok((name.clone(), text(value)?))).collect::<Result<_>>()?,
        })
    }
}

#[cfg(test)]
impl Call {
    /// A call that nobody has made, at the beginning of time.
    pub(crate) fn of(argv: &[&str], env: &[(&str, &str)]) -> Self {
        let owned = |text: &&str| (*text).to_owned();
        let env = env.iter().map(|(name, value)| (owned(name), owned(value))).collect();
        Self { at: 0.0, argv: argv.iter().map(owned).collect(), env }
    }

    /// The same with another value of a variable.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(found, _)| found != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The calls in a text of JSON lines. A last line without its end is still being written and is left out.
pub fn parse_calls(text: &str) -> Result<Vec<Call>> {
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = complete.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| Call::from_json(line).with_context(|| format!("in {line:?}"))).collect()
}

/// The calls in a file of JSON lines; none when there is no such file yet.
pub fn read_calls(path: &Path) -> Result<Vec<Call>> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse_calls(&text).with_context(|| path.display().to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}
