//! Provided receive buffers: the kernel picks one only when data arrives, so an idle connection holds no memory.
//!
//! Each entry is a pool buffer. A completed receive takes its buffer out as an ordinary [`Buffer`] and a fresh one goes
//! in, so received bytes travel through the broker without a copy and go home to the pool by themselves. When the pool
//! has nothing left the entry stays empty; receives then fail with ENOBUFS, which is the back-pressure.
#![expect(unsafe_code, reason = "the ring of buffers is shared with the kernel")]

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

use crate::buffer::{Buffer, Pool};
use crate::limits::{RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS};
use crate::ring::Ring;

/// The one buffer group of a ring.
pub(crate) const BUFFER_GROUP: u16 = 0;

const _: () = assert!(RECEIVE_BUFFERS.is_power_of_two() && RECEIVE_BUFFERS <= 32768);

pub(crate) struct BufferRing {
    /// The entries, in page-aligned memory that the kernel reads.
    entries: Buffer,
    /// The buffer behind each id; None while it is with a reader and could not be replaced.
    buffers: Vec<Option<Buffer>>,
    empty: Vec<u16>,
    tail: u16,
    pool: Pool,
}

impl BufferRing {
    /// Registers a group with `ring` and fills it.
    pub fn register(ring: &Ring, pool: &Pool) -> io::Result<BufferRing> {
        let bytes = RECEIVE_BUFFERS as usize * size_of::<BufRingEntry>();
        let mut entries = pool
            .take(bytes)
            .map_err(|e| io::Error::new(io::ErrorKind::OutOfMemory, e))?;
        entries.fill(0);
        let address = entries.as_ptr() as u64;
        // SAFETY: the memory is page aligned, large enough, and lives until the ring is dropped: `Ring` owns this value.
        ring.with_submitter(|s| unsafe {
            s.register_buf_ring_with_flags(address, RECEIVE_BUFFERS, BUFFER_GROUP, 0)
        })?;
        let mut this = BufferRing {
            entries,
            buffers: (0..RECEIVE_BUFFERS).map(|_| None).collect(),
            empty: (0..RECEIVE_BUFFERS).collect(),
            tail: 0,
            pool: pool.clone(),
        };
        this.refill();
        Ok(this)
    }

    /// Takes the buffer a completion named, and offers the kernel a fresh one.
    pub fn take(&mut self, id: u16) -> Buffer {
        let buffer = self.buffers[id as usize]
            .take()
            .expect("the kernel names a buffer it was given, once");
        self.empty.push(id);
        self.refill();
        buffer
    }

    /// Offers the same buffer again: its receive was abandoned.
    pub fn put_back(&mut self, id: u16) {
        self.publish(id);
    }

    /// Fills empty entries as far as the pool allows; true when at least one buffer is on offer.
    pub fn refill(&mut self) -> bool {
        while let Some(id) = self.empty.pop() {
            match self.pool.take(RECEIVE_BUFFER_BYTES) {
                Ok(buffer) => {
                    self.buffers[id as usize] = Some(buffer);
                    self.publish(id);
                }
                Err(_) => {
                    self.empty.push(id);
                    break;
                }
            }
        }
        self.empty.len() < self.buffers.len()
    }

    fn publish(&mut self, id: u16) {
        let buffer = self.buffers[id as usize]
            .as_ref()
            .expect("an entry is published with its buffer");
        let base = self.entries.as_mut_ptr().cast::<BufRingEntry>();
        let index = (self.tail & (RECEIVE_BUFFERS - 1)) as usize;
        // SAFETY: `index` is within the entries; the kernel reads an entry only after the tail moved past it.
        unsafe {
            let entry = &mut *base.add(index);
            entry.set_addr(buffer.as_ptr() as u64);
            entry.set_len(RECEIVE_BUFFER_BYTES as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies in the first entry's reserved field, shared with the kernel, hence the atomic store.
        unsafe {
            let tail = BufRingEntry::tail(base).cast::<AtomicU16>();
            (*tail).store(self.tail, Ordering::Release);
        }
    }
}
