//! The one way the store reads and writes segment data: a core file, and in tests the faults in front of it.
//!
//! Runs on the shard that owns the log. Zero cost without faults: one branch on an `Option` that is `None`.

use std::io;
use std::path::Path;
use std::rc::Rc;

use tautline_core::buffer::Buffer;
use tautline_core::file::{Durability, File, OpenMode};
use tautline_core::parts::Parts;

use crate::fault::{FaultPlan, Faults, FileFaults};

/// Opens files, with the store's faults if it has any.
#[derive(Debug)]
pub(crate) struct Disk {
    faults: Option<Rc<Faults>>,
}

/// An open segment file.
pub(crate) struct LogFile {
    file: File,
    faults: Option<FileFaults>,
}

impl Disk {
    pub fn new(plan: Option<std::sync::Arc<FaultPlan>>) -> Disk {
        Disk {
            faults: plan.map(|plan| Rc::new(Faults::new(plan))),
        }
    }

    /// Whether bytes may be in memory that a plain descriptor does not see.
    pub fn has_faults(&self) -> bool {
        self.faults.is_some()
    }

    pub async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<LogFile> {
        self.wrap(File::open(path, mode).await?)
    }

    pub fn wrap(&self, file: File) -> io::Result<LogFile> {
        let faults = self.faults.as_ref().map(|faults| faults.of(&file)).transpose()?;
        Ok(LogFile { file, faults })
    }
}

impl LogFile {
    /// The room for the parts comes back.
    pub async fn write_parts(
        &self,
        parts: Parts,
        at: u64,
        durability: Durability,
    ) -> (io::Result<()>, Parts) {
        match &self.faults {
            None => self.file.write_parts(parts, at, durability).await,
            Some(faults) => {
                let written = faults.write_at(&self.file, parts.slices(), at, durability);
                (written.await, Parts::default())
            }
        }
    }

    pub async fn read_at(&self, buffer: Buffer, at: u64, len: usize) -> io::Result<(Buffer, usize)> {
        match &self.faults {
            None => self.file.read_at(buffer, at, len).await,
            Some(faults) => faults.read_at(&self.file, buffer, at, len).await,
        }
    }

    pub async fn sync_data(&self) -> io::Result<()> {
        match &self.faults {
            None => self.file.sync_data().await,
            Some(faults) => faults.sync_data(&self.file).await,
        }
    }

    /// The file itself, to hand a range of it to sendfile.
    pub fn file(&self) -> &File {
        &self.file
    }
}
