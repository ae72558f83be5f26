//! The pieces a response is sent in.

use tautline_core::buffer::Slice;
use tautline_core::file::File;

/// A piece of a response.
pub enum Part {
    /// Bytes in memory.
    Memory(Slice),
    /// A range of a sealed segment, sent without passing through user space.
    File {
        /// The segment, opened through the page cache.
        file: File,
        /// First byte.
        at: u64,
        /// How many bytes.
        len: usize,
    },
}

impl Part {
    /// Bytes that go to the socket.
    pub fn len(&self) -> usize {
        match self {
            Part::Memory(slice) => slice.len(),
            Part::File { len, .. } => *len,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<tautline_store::Part> for Part {
    fn from(part: tautline_store::Part) -> Part {
        match part {
            tautline_store::Part::Memory(slice) => Part::Memory(slice),
            tautline_store::Part::File { file, at, len } => Part::File { file, at, len },
        }
    }
}
