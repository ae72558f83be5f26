//! Request frames from a connection: a four-byte length, then that many bytes.
//!
//! A frame that lies whole in a receive buffer is handed on without a copy. A longer one gets a buffer of its own that is never
//! more than [`TRUST`] times what has really arrived, until [`PROOF_BYTES`] have: a length that is only claimed costs nothing.
//! When memory is short the reader waits, and the socket holds the client back.

use std::io;
use std::rc::Rc;

use tautline_core::buffer::{BLOCK_SIZE, Slice};
use tautline_core::socket::Stream;
use tautline_core::stage::{self, Stamps};
use tautline_core::time::turn_ns;

use super::ConnectionState;
use super::memory::{Charge, NoMemory, RequestMemory, Stage};
use crate::metrics::ApiGroup;

/// How many bytes of memory one byte received is good for.
const TRUST: usize = 8;
/// A frame of which so many bytes have come gets memory for all of it.
const PROOF_BYTES: usize = 128 << 10;

/// Why there is no next frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The length is negative or more than `socket.request.max.bytes`.
    #[error("a request of {claimed} bytes (socket.request.max.bytes is {max})")]
    Length {
        /// What the client announced.
        claimed: i32,
        /// The limit in force.
        max: usize,
    },
    /// The length is more than there could ever be memory for.
    #[error("a request of {claimed} bytes, and memory for {max} at most (raise --memory)")]
    Memory {
        /// What the client announced.
        claimed: i32,
        /// What there is memory for.
        max: usize,
    },
    /// Memory is short.
    #[error(transparent)]
    NoMemory(#[from] NoMemory),
    /// The connection ended within a frame, or broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A request's bytes, without their length.
pub struct Frame {
    /// The bytes.
    pub bytes: Slice,
    /// The memory's place in the budget, where it is not a receive buffer.
    pub charge: Option<Charge>,
    /// The place in the budget of what the request is taken apart into.
    pub work: Option<Charge>,
    /// When it came.
    pub stamps: Stamps,
}

impl Frame {
    /// What the request is counted with.
    pub fn group(&self) -> ApiGroup {
        group(&self.bytes)
    }

    /// The number of the API it asks for, which may be unknown.
    pub fn api(&self) -> i16 {
        api(&self.bytes)
    }
}

/// The group of a request by the first two bytes of its frame.
fn group(frame: &[u8]) -> ApiGroup {
    ApiGroup::of(api(frame))
}

fn api(frame: &[u8]) -> i16 {
    frame.first_chunk().map_or(-1, |&key| i16::from_be_bytes(key))
}

/// Cuts a connection's bytes into frames.
pub struct FrameReader {
    stream: Stream,
    state: Rc<ConnectionState>,
    memory: Rc<RequestMemory>,
    frame_bytes_max: usize,
    /// Received and not yet handed on.
    spare: Slice,
    /// When that was received.
    spare_ns: u64,
    /// When the first byte of the frame was received that is being read.
    began_ns: u64,
}

impl FrameReader {
    /// A reader at the start of a connection.
    pub fn new(state: Rc<ConnectionState>, memory: Rc<RequestMemory>, frame_bytes_max: usize) -> FrameReader {
        FrameReader {
            stream: state.stream.clone(),
            state,
            memory,
            frame_bytes_max,
            spare: Slice::default(),
            spare_ns: 0,
            began_ns: 0,
        }
    }

    /// The next frame; None when the client closed between two frames.
    ///
    /// # Errors
    /// See [`FrameError`]; after any of them the connection is of no more use.
    pub async fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(length) = self.length().await? else {
            return Ok(None);
        };
        let mut stamps = Stamps::begin(self.began_ns);
        let (bytes, charge) = if self.spare.len() >= length {
            let bytes = self.spare.slice(..length);
            self.advance(length);
            stamps.lap(stage::Stage::Receive, self.spare_ns);
            (bytes, None)
        } else {
            // In a box: a connection that waits shall not hold room for what it rarely does.
            let long = Box::pin(self.long(length)).await?;
            stamps.lap(stage::Stage::Receive, turn_ns());
            long
        };
        self.state.receiving.set(false);
        let work = if group(&bytes) == ApiGroup::Produce {
            None
        } else {
            Some(self.wait(self.memory.charge_work(length)).await?)
        };
        Ok(Some(Frame {
            bytes,
            charge,
            work,
            stamps,
        }))
    }

    /// A frame whose bytes are not all there.
    async fn long(&mut self, length: usize) -> Result<(Slice, Option<Charge>), FrameError> {
        let mut filled = self.spare.len();
        let mut room = room(filled, length);
        let mut held = self.wait(self.memory.take(Stage::Begun, room)).await?;
        held.buffer[..filled].copy_from_slice(&self.spare);
        self.spare = Slice::default();
        loop {
            held.buffer = self.stream.receive_exact(held.buffer, filled, room).await?;
            self.state.touch();
            filled = room;
            let max = self.memory.work_bytes_max();
            if length > max && group(&held.buffer[..filled]) != ApiGroup::Produce {
                let claimed = length as i32;
                return Err(FrameError::Memory { claimed, max });
            }
            if filled == length {
                return Ok((held.buffer.freeze().slice(..length), Some(held.charge)));
            }
            let stage = if filled >= PROOF_BYTES {
                Stage::Whole
            } else {
                Stage::Growing
            };
            room = self::room(filled, length);
            let mut larger = self.wait(self.memory.take(stage, room)).await?;
            larger.buffer[..filled].copy_from_slice(&held.buffer[..filled]);
            held = larger;
        }
    }

    /// Waits for memory; the sweeper does not take it for the client's delay.
    async fn wait<T>(&self, taking: impl Future<Output = Result<T, NoMemory>>) -> Result<T, NoMemory> {
        self.state.waits_for_memory.set(true);
        let taken = taking.await;
        self.state.waits_for_memory.set(false);
        self.state.touch();
        taken
    }

    /// Reads and checks the length of the next frame.
    async fn length(&mut self) -> Result<Option<usize>, FrameError> {
        let mut bytes = [0; 4];
        let mut have = 0;
        while have < bytes.len() {
            if self.spare.is_empty() {
                let (buffer, count) = self.stream.receive().await?;
                if count == 0 {
                    return if have == 0 {
                        Ok(None)
                    } else {
                        Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
                    };
                }
                self.state.receiving.set(true);
                self.spare = buffer.freeze().slice(..count);
                self.spare_ns = turn_ns();
            }
            if have == 0 {
                self.began_ns = self.spare_ns;
            }
            let count = self.spare.len().min(bytes.len() - have);
            bytes[have..have + count].copy_from_slice(&self.spare[..count]);
            have += count;
            self.advance(count);
        }
        self.state.receiving.set(true);
        self.check(i32::from_be_bytes(bytes)).map(Some)
    }

    fn check(&self, claimed: i32) -> Result<usize, FrameError> {
        let (max, memory) = (self.frame_bytes_max, self.memory.request_bytes_max());
        match usize::try_from(claimed) {
            Ok(length) if length > max => Err(FrameError::Length { claimed, max }),
            Ok(length) if length > memory => Err(FrameError::Memory { claimed, max: memory }),
            Ok(length) => Ok(length),
            Err(_) => Err(FrameError::Length { claimed, max }),
        }
    }

    fn advance(&mut self, count: usize) {
        // An empty rest lets go of the receive buffer: a connection between two frames holds no memory.
        self.spare = if count == self.spare.len() {
            Slice::default()
        } else {
            self.spare.slice(count..)
        };
    }
}

/// How much memory a frame gets of which `filled` bytes have come.
fn room(filled: usize, length: usize) -> usize {
    if filled >= PROOF_BYTES {
        length
    } else {
        length.min((filled * TRUST).max(BLOCK_SIZE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_length_costs_nothing_and_a_real_one_few_copies() {
        assert_eq!(room(0, 100 << 20), 4096);
        assert_eq!(room(1000, 900), 900);
        // A batch of 64 KiB of which a receive buffer's worth has come is received straight to its place.
        assert_eq!(room(16 << 10, 65_700), 65_700);
        let (mut filled, mut copied) = (16 << 10, 0);
        let length = 10 << 20;
        while filled < length {
            copied += filled;
            filled = room(filled, length);
        }
        assert!(copied < length / 32, "{copied} bytes of {length} copied");
    }
}
