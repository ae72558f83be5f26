//! Where deleted segments and logs wait for `file.delete.delay.ms`: DIR/trash. A rename takes them away at once, whoever still
//! reads them reads on, and the space comes back later, off the core. For helper threads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::limits::{TRASH_STEP_BYTES, TRASH_STEP_FILES};

/// The trash of a data directory. Names begin with the time at which the entry may go, milliseconds.
#[derive(Debug)]
pub(crate) struct Trash {
    dir: PathBuf,
}

impl Trash {
    pub fn open(dir: PathBuf) -> io::Result<Trash> {
        fs::create_dir_all(&dir)?;
        Ok(Trash { dir })
    }

    /// Takes a file or directory away; it is removed after `due_ms`. What is not there is no error.
    pub fn put(&self, path: &Path, due_ms: i64) -> io::Result<()> {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("unnamed");
        match fs::rename(
            path,
            self.dir
                .join(format!("{due_ms}-{}-{name}", Uuid::new_v4().simple())),
        ) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Removes some of what is due: a few files at a time. True if there is more.
    pub fn sweep_some(&self, now_ms: i64) -> io::Result<bool> {
        let mut step = Step::default();
        self.sweep(now_ms, &mut step)?;
        Ok(step.is_over())
    }

    /// Removes a few files whether they are due or not; gives their bytes. The disk is full.
    pub fn free_some(&self) -> io::Result<u64> {
        let mut step = Step::default();
        self.sweep(i64::MAX, &mut step)?;
        Ok(step.freed)
    }

    fn sweep(&self, now_ms: i64, step: &mut Step) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let due = name
                .to_str()
                .and_then(|name| name.split_once('-'))
                .and_then(|(due, _)| due.parse::<i64>().ok());
            if due.is_none_or(|due| due > now_ms) {
                continue;
            }
            if step.is_over() {
                break;
            }
            match step.remove(&entry.path()) {
                // Another shard sweeps too.
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
}

/// What may still be removed in one step.
struct Step {
    files: usize,
    bytes: u64,
    /// What was removed.
    freed: u64,
}

impl Default for Step {
    fn default() -> Step {
        Step {
            files: TRASH_STEP_FILES,
            bytes: TRASH_STEP_BYTES,
            freed: 0,
        }
    }
}

impl Step {
    fn is_over(&self) -> bool {
        self.files == 0 || self.bytes == 0
    }

    /// Removes a file, or of a directory as much as the step allows.
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        let metadata = fs::symlink_metadata(path)?;
        if !metadata.is_dir() {
            self.files -= 1;
            self.bytes = self.bytes.saturating_sub(metadata.len());
            fs::remove_file(path)?;
            self.freed += metadata.len();
            return Ok(());
        }
        for entry in fs::read_dir(path)? {
            if self.is_over() {
                return Ok(());
            }
            self.remove(&entry?.path())?;
        }
        if self.is_over() {
            // It may not be empty yet.
            return Ok(());
        }
        fs::remove_dir(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_go_when_they_are_due() {
        let dir = tempfile::tempdir().unwrap();
        let trash = Trash::open(dir.path().join("trash")).unwrap();
        for (name, due) in [("one", 10), ("two", 20)] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("file"), b"x").unwrap();
            trash.put(&dir.path().join(name), due).unwrap();
        }
        trash.put(&dir.path().join("missing"), 0).unwrap();
        let left = || fs::read_dir(dir.path().join("trash")).unwrap().count();
        assert!(!trash.sweep_some(9).unwrap());
        assert_eq!(left(), 2);
        assert!(!trash.sweep_some(10).unwrap());
        assert_eq!(left(), 1);
        assert!(!trash.sweep_some(20).unwrap());
        assert_eq!(left(), 0);
    }

    #[test]
    fn a_full_disk_does_not_wait_for_what_is_due() {
        let dir = tempfile::tempdir().unwrap();
        let trash = Trash::open(dir.path().join("trash")).unwrap();
        fs::write(dir.path().join("file"), b"four").unwrap();
        trash.put(&dir.path().join("file"), i64::MAX).unwrap();
        assert_eq!(trash.free_some().unwrap(), 4);
        assert_eq!(trash.free_some().unwrap(), 0);
    }

    #[test]
    fn hundreds_of_files_go_a_few_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let trash = Trash::open(dir.path().join("trash")).unwrap();
        let deep = dir.path().join("log");
        fs::create_dir_all(deep.join("below")).unwrap();
        for n in 0..100 {
            fs::write(deep.join(format!("{n}")), b"x").unwrap();
            fs::write(deep.join(format!("below/{n}")), b"x").unwrap();
        }
        trash.put(&deep, 0).unwrap();
        for n in 0..100 {
            fs::write(dir.path().join("file"), b"x").unwrap();
            trash.put(&dir.path().join("file"), n % 2).unwrap();
        }
        let mut steps = 1;
        while trash.sweep_some(0).unwrap() {
            steps += 1;
        }
        assert!(steps >= 250 / TRASH_STEP_FILES, "{steps}");
        assert_eq!(fs::read_dir(dir.path().join("trash")).unwrap().count(), 50);
        for _ in 0..2 {
            let large = fs::File::create(dir.path().join("large")).unwrap();
            large.set_len(TRASH_STEP_BYTES).unwrap();
            trash.put(&dir.path().join("large"), 0).unwrap();
        }
        assert!(trash.sweep_some(0).unwrap(), "one large file is enough");
    }
}
