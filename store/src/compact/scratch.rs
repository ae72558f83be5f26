//! A growing run of bytes in memory of the core's budget: for one batch at a time, on a helper thread.

use std::io;

use tautline_core::buffer::{Buffer, OutOfMemory, Pool};

/// A run that grew beyond is given back when it is cleared.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// See the module.
pub(super) struct Scratch {
    pool: Pool,
    memory: Option<Buffer>,
    len: usize,
}

impl Scratch {
    pub fn new(pool: Pool) -> Scratch {
        Scratch {
            pool,
            memory: None,
            len: 0,
        }
    }

    pub fn clear(&mut self) {
        self.len = 0;
        if self
            .memory
            .as_ref()
            .is_some_and(|memory| memory.len() > KEPT_BYTES_MAX)
        {
            self.memory = None;
        }
    }

    pub fn bytes(&self) -> &[u8] {
        self.memory.as_ref().map_or(&[], |memory| &memory[..self.len])
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory
            .as_mut()
            .map_or(&mut [], |memory| &mut memory[..self.len])
    }

    /// Forgets what is behind `len`.
    pub fn shorten(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), OutOfMemory> {
        self.room(bytes.len())?[..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
        Ok(())
    }

    /// At least `len` bytes behind its end, to be filled and then taken in by [`Scratch::grow`].
    #[inline]
    pub fn room(&mut self, len: usize) -> Result<&mut [u8], OutOfMemory> {
        let needed = self.len + len;
        if self.memory.as_ref().is_none_or(|memory| memory.len() < needed) {
            self.enlarge(needed)?;
        }
        Ok(&mut self.memory.as_mut().expect("enlarged above")[self.len..])
    }

    /// Takes in bytes that were filled.
    pub fn grow(&mut self, len: usize) {
        self.len += len;
        debug_assert!(
            self.memory
                .as_ref()
                .is_some_and(|memory| self.len <= memory.len())
        );
    }

    #[cold]
    fn enlarge(&mut self, needed: usize) -> Result<(), OutOfMemory> {
        let mut memory = self.pool.take_sparing(needed)?;
        memory[..self.len].copy_from_slice(self.bytes());
        self.memory = Some(memory);
        Ok(())
    }
}

impl io::Write for Scratch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::OutOfMemory, error))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
