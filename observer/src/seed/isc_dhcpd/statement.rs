//! The statements of a lease file: words up to a semicolon, or up to a block of further statements.

use super::begins_lease;
use super::word::{Word, Words};

/// How deep blocks are looked into. Leases are two deep; scripts inside `on expiry` may be deeper and do not matter.
const DEEPEST: usize = 8;

/// One statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Statement {
    /// The line on which it begins.
    pub(super) line: usize,
    /// Its words, quotes resolved.
    pub(super) words: Vec<Vec<u8>>,
    /// Which of them were quoted, by their places.
    quoted: Vec<usize>,
    /// The statements of its block.
    pub(super) block: Vec<Statement>,
    /// What is wrong with its form, and on which line.
    pub(super) fault: Option<(usize, &'static str)>,
}

impl Statement {
    /// One of its words; empty where there are fewer.
    pub(super) fn word(&self, index: usize) -> &[u8] {
        self.words.get(index).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a word was quoted.
    pub(super) fn is_quoted(&self, index: usize) -> bool {
        self.quoted.contains(&index)
    }

    /// The first fault in its block, else in itself.
    pub(super) fn any_fault(&self) -> Option<(usize, &'static str)> {
        self.block.iter().find_map(Self::any_fault).or(self.fault)
    }
}

/// Reads statement by statement, so that a large file is never held as a tree.
#[derive(Debug)]
pub(super) struct Statements<'a> {
    words: Words<'a>,
    /// A word that ended a statement without belonging to it: it is read again.
    pushed_back: Option<Word>,
}

impl<'a> Statements<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { words: Words::new(bytes), pushed_back: None }
    }

    fn word(&mut self) -> Option<Word> {
        self.pushed_back.take().or_else(|| self.words.next())
    }

    /// A statement up to its end; `first` is its first word.
    fn statement(&mut self, first: Word, depth: usize) -> Statement {
        let mut statement = Statement { line: self.words.line(), ..Statement::default() };
        let mut word = Some(first);
        loop {
            match word {
                Some(Word::Bare(text)) if begins_lease(&text) && !statement.words.is_empty() => {
                    statement.fault.get_or_insert((statement.line, "found the next lease, expected `;`"));
                    self.pushed_back = Some(Word::Bare(text));
                    return statement;
                }
                Some(Word::Bare(text)) => statement.words.push(text),
                Some(Word::Quoted(text)) => {
                    statement.quoted.push(statement.words.len());
                    statement.words.push(text);
                }
                Some(Word::Torn) => {
                    let line = self.words.line();
                    statement.fault.get_or_insert((line, "found a string that its line cuts off"));
                }
                Some(Word::End) => return statement,
                Some(Word::Open) => {
                    self.block(&mut statement, depth);
                    return statement;
                }
                Some(Word::Close) => {
                    statement.fault.get_or_insert((self.words.line(), "found `}`, expected `;`"));
                    // It closes the block around this statement.
                    self.pushed_back = (depth > 0).then_some(Word::Close);
                    return statement;
                }
                None => {
                    statement
                        .fault
                        .get_or_insert((self.words.line(), "found the end of the file, expected `;`"));
                    return statement;
                }
            }
            word = self.word();
        }
    }

    fn block(&mut self, outer: &mut Statement, depth: usize) {
        if depth >= DEEPEST {
            return self.skip_block(outer);
        }
        loop {
            match self.word() {
                Some(Word::Close) => return,
                Some(Word::Bare(text)) if begins_lease(&text) => {
                    outer.fault.get_or_insert((outer.line, "found no `}` before the next lease"));
                    self.pushed_back = Some(Word::Bare(text));
                    return;
                }
                Some(first) => {
                    let inner = self.statement(first, depth + 1);
                    outer.block.push(inner);
                }
                None => {
                    outer.fault.get_or_insert((outer.line, "found the end of the file, expected `}`"));
                    return;
                }
            }
        }
    }

    fn skip_block(&mut self, outer: &mut Statement) {
        let mut open = 1_usize;
        while open > 0 {
            match self.words.next() {
                Some(Word::Open) => open += 1,
                Some(Word::Close) => open -= 1,
                Some(_) => {}
                None => {
                    outer.fault.get_or_insert((outer.line, "found the end of the file, expected `}`"));
                    return;
                }
            }
        }
    }
}

impl Iterator for Statements<'_> {
    type Item = Statement;

    fn next(&mut self) -> Option<Statement> {
        let first = self.word()?;
        Some(self.statement(first, 0))
    }
}
