//! The table of variables in the README, made from the tables that write them.

use super::variable::{Source, Variable};
use super::{kea, observer};

/// One line of the reference.
#[derive(Clone, Debug)]
pub struct Row {
    /// The variable; `<i>` stands for an index from 0, `<n>` for a code.
    pub name: String,
    /// The hook points that have it.
    pub hook_points: &'static str,
    /// How its value is known.
    pub source: Source,
    /// Whether it is left out, rather than empty, when there is no value.
    pub optional: bool,
    /// What it says.
    pub meaning: &'static str,
}

/// The lines of one table of variables.
pub(super) fn rows<T: ?Sized>(
    hook_points: &'static str,
    prefix: &str,
    variables: &[Variable<T>],
) -> Vec<Row> {
    variables
        .iter()
        .map(|variable| Row {
            name: format!("{prefix}{}", variable.name),
            hook_points,
            source: variable.source,
            optional: variable.is_optional(),
            meaning: variable.meaning,
        })
        .collect()
}

/// Kea's variables of every hook point, then ours, in the order in which a hook gets them.
pub fn reference() -> Vec<Row> {
    [kea::reference(), observer::reference()].concat()
}
