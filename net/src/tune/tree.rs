//! The files of the kernel, below a root.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// The files below `root`; "/" is the machine itself.
    pub fn new(root: &Path) -> Tree {
        Tree {
            root: root.to_owned(),
        }
    }

    /// Whether it is the machine itself, and not a copy of one.
    pub fn is_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where a file lies.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The text of a file without its last line end; `None` where the kernel does not tell.
    pub fn text(&self, path: &str) -> Option<String> {
        let text = fs::read_to_string(self.path(path)).ok()?;
        Some(text.trim().to_owned())
    }

    /// A file that holds a number.
    pub fn number(&self, path: &str) -> Option<i64> {
        self.text(path)?.parse().ok()
    }

    /// The chosen word of a file like `always [madvise] never`, and all of them.
    pub fn choice(&self, path: &str) -> Option<(String, Vec<String>)> {
        let text = self.text(path)?;
        let bare = |word: &str| word.trim_matches(['[', ']']).to_owned();
        let chosen = text.split_whitespace().find(|word| word.starts_with('['));
        let all = text.split_whitespace().map(bare).collect();
        // A file with one word has no brackets.
        Some((chosen.map_or_else(|| bare(&text), bare), all))
    }

    /// The names in a directory, in order, numbers by their value; none where there is no such directory.
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        let value = |name: &String| {
            let digits = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
            let (word, number) = name.split_at(digits);
            (word.to_owned(), number.parse::<u64>().ok(), name.clone())
        };
        names.sort_by_key(value);
        names
    }

    /// Whether there is such a file or directory.
    pub fn has(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// Writes a file that is there.
    pub fn write(&self, path: &str, value: &str) -> io::Result<()> {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(self.path(path))?;
        // One write: each is a command to the kernel.
        file.write_all(format!("{value}\n").as_bytes())
    }
}
