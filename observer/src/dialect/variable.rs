//! Environment variables as tables: the environment is built from them, and so is the documentation.

use super::invocation::Strings;

/// How the observer knows a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It is in the frames.
    Observed,
    /// It comes from `--kea-config`; empty without it.
    Configured,
    /// It follows from what was seen before.
    Tracked,
    /// Kea always says this.
    Constant,
}

impl Source {
    /// The word for it in the documentation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Configured => "configured",
            Self::Tracked => "tracked",
            Self::Constant => "constant",
        }
    }
}

/// One variable that is written from a `T`.
pub struct Variable<T: ?Sized> {
    /// The name, or its end when the variable stands behind a prefix such as `LEASES4_AT0_`.
    pub name: &'static str,
    /// How its value is known.
    pub source: Source,
    /// What it says, for the documentation.
    pub meaning: &'static str,
    value: Value<T>,
}

enum Value<T: ?Sized> {
    /// Appends the value, which may be empty.
    Always(fn(&T, &mut Vec<u8>)),
    /// Appends the value, or says false and the variable is left out.
    Sometimes(fn(&T, &mut Vec<u8>) -> bool),
}

impl<T: ?Sized> Variable<T> {
    /// A variable that is always set, be it to nothing.
    pub(super) const fn always(
        name: &'static str,
        source: Source,
        meaning: &'static str,
        write: fn(&T, &mut Vec<u8>),
    ) -> Self {
        Self { name, source, meaning, value: Value::Always(write) }
    }

    /// A variable that is not set when `write` says false.
    pub(super) const fn sometimes(
        name: &'static str,
        source: Source,
        meaning: &'static str,
        write: fn(&T, &mut Vec<u8>) -> bool,
    ) -> Self {
        Self { name, source, meaning, value: Value::Sometimes(write) }
    }

    /// Appends the value alone; nothing when the variable would be left out.
    pub(super) fn write_value(&self, from: &T, out: &mut Vec<u8>) {
        match self.value {
            Value::Always(write) => write(from, out),
            Value::Sometimes(write) => {
                write(from, out);
            }
        }
    }

    /// Whether the variable can be missing.
    pub fn is_optional(&self) -> bool {
        matches!(self.value, Value::Sometimes(_))
    }
}

/// Appends `prefix` and name, `=` and value of each variable.
pub(super) fn write_all<T: ?Sized>(
    environment: &mut Strings,
    prefix: &str,
    variables: &[Variable<T>],
    from: &T,
) {
    for variable in variables {
        environment.push_variable(prefix, variable.name, |block| match variable.value {
            Value::Always(write) => {
                write(from, block);
                true
            }
            Value::Sometimes(write) => write(from, block),
        });
    }
}

/// Appends one variable.
pub(super) fn write_one(environment: &mut Strings, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
    environment.push_variable("", name, |block| {
        value(block);
        true
    });
}
