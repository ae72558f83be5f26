//! The parts of a vectored write or send, and room to describe them to the kernel.
//!
//! The room is used by one operation after the other, so that none has to ask for memory: what a write or a send was given comes
//! back empty.
#![expect(unsafe_code, reason = "structures that the kernel reads")]

use crate::buffer::Slice;
use crate::limits::IO_PARTS_MAX;

/// See the module.
#[derive(Default)]
pub struct Parts {
    slices: Vec<Slice>,
    /// Points into the slices.
    vectors: Vec<libc::iovec>,
    /// Points to the vectors; in a box, so that it stays where it is when this is moved.
    header: Option<Box<libc::msghdr>>,
}

impl Parts {
    /// Adds a part.
    pub fn push(&mut self, part: Slice) {
        self.slices.push(part);
    }

    /// All parts.
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// How many parts it has room for.
    pub fn capacity(&self) -> usize {
        self.slices.capacity().max(self.vectors.capacity())
    }

    /// Lets go of them, and keeps the room.
    pub fn clear(&mut self) {
        self.slices.clear();
        self.vectors.clear();
    }

    /// Leaves out what has no bytes.
    pub(crate) fn drop_empty(&mut self) {
        self.slices.retain(|part| !part.is_empty());
    }

    /// The first bytes, as far as one operation takes them. Valid until the parts are changed, also when this is moved.
    pub(crate) fn vectors(&mut self, bytes_max: usize) -> &[libc::iovec] {
        let mut left = bytes_max;
        let vector = |part: &Slice| {
            let iov_len = part.len().min(left);
            left -= iov_len;
            (iov_len > 0).then_some(libc::iovec {
                iov_base: part.as_ptr() as *mut _,
                iov_len,
            })
        };
        self.vectors.clear();
        self.vectors
            .extend(self.slices.iter().take(IO_PARTS_MAX).map_while(vector));
        &self.vectors
    }

    /// The header of a send of what [`Parts::vectors`] gives, as valid as that.
    pub(crate) fn message(&mut self, bytes_max: usize) -> &libc::msghdr {
        let count = self.vectors(bytes_max).len();
        let header = self.header.get_or_insert_with(|| {
            // SAFETY: an all-zero msghdr is valid: no name, no control data.
            Box::new(unsafe { std::mem::zeroed() })
        });
        header.msg_iov = self.vectors.as_mut_ptr();
        header.msg_iovlen = count as _;
        header
    }

    /// Drops the first `count` bytes.
    pub(crate) fn consume(&mut self, mut count: usize) {
        let mut whole = 0;
        for part in &mut self.slices {
            if count < part.len() {
                *part = part.slice(count..);
                break;
            }
            count -= part.len();
            whole += 1;
        }
        self.slices.drain(..whole);
    }
}

impl From<Vec<Slice>> for Parts {
    fn from(slices: Vec<Slice>) -> Parts {
        Parts {
            slices,
            ..Parts::default()
        }
    }
}
