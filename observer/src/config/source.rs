//! The characters of a configuration file and of the files that it includes, and where each of them stands.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::place::{ConfigError, Place};

/// How many files may be open inside each other; Kea's own limit.
const DEEPEST_INCLUDE: usize = 12;

/// Where configuration files are.
pub trait Files {
    /// The bytes of a file.
    ///
    /// # Errors
    ///
    /// When there is no such file, or it cannot be read.
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>>;

    /// The one path of a file that has several, to notice one that includes itself.
    fn resolve(&self, path: &Path) -> PathBuf {
        path.to_path_buf()
    }
}

/// One open file.
struct File {
    place: Place,
    /// The path with every link resolved, to notice a file that includes itself.
    identity: PathBuf,
    bytes: Vec<u8>,
    next: usize,
}

impl File {
    fn open(path: &Path, files: &dyn Files) -> std::io::Result<Self> {
        let bytes = files.read(path)?;
        let place = Place { file: Arc::from(path), line: 1, column: 1 };
        Ok(Self { place, identity: files.resolve(path), bytes, next: 0 })
    }
}

/// A stack of files, read one byte at a time. Kea splices an included file into the middle of the text, wherever a
/// blank may stand, and so does this.
pub(super) struct Source<'a> {
    files: &'a dyn Files,
    /// The file that is read when nothing is included. Apart from the others, because there is always one.
    outer: File,
    included: Vec<File>,
}

impl<'a> Source<'a> {
    /// Opens a file.
    pub(super) fn open(path: &Path, files: &'a dyn Files) -> Result<Self, ConfigError> {
        match File::open(path, files) {
            Ok(outer) => Ok(Self { files, outer, included: Vec::new() }),
            Err(source) => Err(ConfigError::Unreadable { file: path.to_path_buf(), source }),
        }
    }

    fn file(&self) -> &File {
        self.included.last().unwrap_or(&self.outer)
    }

    /// Where the next byte stands.
    pub(super) fn place(&self) -> Place {
        self.file().place.clone()
    }

    /// What is left of the current file.
    fn rest(&self) -> &[u8] {
        let file = self.file();
        file.bytes.get(file.next..).unwrap_or_default()
    }

    /// The next byte of the current file, `None` at its end.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// Takes the next byte of the current file.
    pub(super) fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        let file = self.included.last_mut().unwrap_or(&mut self.outer);
        file.next += 1;
        match byte {
            b'\n' => {
                file.place.line = file.place.line.saturating_add(1);
                file.place.column = 1;
            }
            // The further bytes of a UTF-8 character are no columns of their own.
            0x80..=0xbf => {}
            _ => file.place.column = file.place.column.saturating_add(1),
        }
        Some(byte)
    }

    /// Takes `text` if it comes next.
    fn take_text(&mut self, text: &[u8]) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            for _ in text {
                self.take();
            }
        }
        found
    }

    /// Takes bytes for as long as `wanted` says so.
    pub(super) fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> Vec<u8> {
        let mut taken = Vec::new();
        while let Some(byte) = self.peek().filter(|&byte| wanted(byte)) {
            taken.push(byte);
            self.take();
        }
        taken
    }

    /// Passes blanks, comments, `<?include?>` directives and the ends of included files.
    pub(super) fn skip_blanks(&mut self) -> Result<(), ConfigError> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => {
                    self.take();
                }
                Some(b'#') => self.skip_line(),
                Some(b'/') if self.rest().starts_with(b"//") => self.skip_line(),
                Some(b'/') if self.rest().starts_with(b"/*") => self.skip_block_comment()?,
                Some(b'<') if self.rest().starts_with(b"<?") => self.include()?,
                None if self.included.pop().is_some() => {}
                _ => return Ok(()),
            }
        }
    }

    fn skip_line(&mut self) {
        self.take_while(|byte| byte != b'\n');
    }

    fn skip_block_comment(&mut self) -> Result<(), ConfigError> {
        let opened = self.place();
        self.take_text(b"/*");
        while !self.take_text(b"*/") {
            if self.take().is_none() {
                return Err(
                    opened.wrong("found the end of the file in the comment opened here, expected `*/`")
                );
            }
        }
        Ok(())
    }

    /// `<?include "file"?>`: goes on with the named file.
    fn include(&mut self) -> Result<(), ConfigError> {
        let blank = |byte: u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let directive = self.place();
        self.take_text(b"<?");
        self.take_while(blank);
        let is_include = self.take_text(b"include");
        self.take_while(blank);
        let named_at = self.place();
        if !(is_include && self.take_text(b"\"")) {
            return Err(directive.wrong("found another directive, expected `<?include \"file\"?>`"));
        }
        let name = self.take_while(|byte| !matches!(byte, b'"' | b'\n'));
        let is_closed = self.take_text(b"\"");
        self.take_while(blank);
        if !is_closed || name.is_empty() || !self.take_text(b"?>") {
            return Err(
                directive.wrong("found a directive that is not closed, expected `<?include \"file\"?>`")
            );
        }
        let name = String::from_utf8_lossy(&name).into_owned();
        let file = self.open_included(Path::new(&name)).map_err(|error| {
            named_at.wrong(format!("found {name:?}, expected a file to include: {error}"))
        })?;
        let open = || std::iter::once(&self.outer).chain(&self.included);
        if open().any(|outer| outer.identity == file.identity) {
            return Err(named_at.wrong(format!("found {name:?}, which includes itself")));
        }
        if open().count() >= DEEPEST_INCLUDE {
            return Err(
                named_at.wrong(format!("found more than {} files inside each other", DEEPEST_INCLUDE - 1))
            );
        }
        self.included.push(file);
        Ok(())
    }

    /// Kea opens the name as it is, so a relative one counts from the directory that Kea runs in. We often run in
    /// another one, where the next best meaning is the directory of the file that includes it.
    fn open_included(&self, name: &Path) -> std::io::Result<File> {
        let as_kea = File::open(name, self.files);
        match self.file().place.file.parent() {
            Some(directory) if as_kea.is_err() && name.is_relative() => {
                File::open(&directory.join(name), self.files)
            }
            _ => as_kea,
        }
    }
}
