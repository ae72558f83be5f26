//! The pieces in which a log gives its bytes.

use tautline_core::buffer::Slice;
use tautline_core::file::File;

/// Some of the bytes of a read.
#[derive(Clone)]
pub enum Part {
    /// In memory.
    Memory(Slice),
    /// In a sealed segment, opened through the page cache: to be sent by sendfile, off the core's thread.
    File {
        /// The file; it stays readable while this is held, also if its segment is deleted.
        file: File,
        /// First byte.
        at: u64,
        /// Number of bytes.
        len: usize,
    },
}

impl Part {
    /// How many bytes it has.
    pub fn len(&self) -> usize {
        match self {
            Part::Memory(slice) => slice.len(),
            Part::File { len, .. } => *len,
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for Part {
    fn default() -> Part {
        Part::Memory(Slice::default())
    }
}
