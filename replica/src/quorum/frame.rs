//! The bytes between two nodes: one frame a turn, with all messages of all groups.
//!
//! ```text
//! 0       4         5          8          12         16       20     24          28              36
//! | magic | version | reserved | length L | CRC-32C  | from   | to   | messages  | attached bytes | messages ...
//!                                         |<-- covers all behind it, up to L bytes from the start ---------->
//! then, beside the frame, the attached bytes: the batches of all messages, in their order, each as its descriptor says
//! ```
//!
//! Big-endian throughout. A decoder gets bytes of any content: it answers with a [`FrameError`], allocates no more than the
//! frame could hold, and never panics. The attached batches are checked against their descriptors, which the frame's checksum
//! covers, see [`BatchDescriptor::check`](super::BatchDescriptor::check).

use bytes::{Buf, BufMut};
use tautline_core::checksum;
use tautline_core::ids::NodeId;

use super::frame_body::{put_message, take_message};
use super::limits::{ATTACHED_BYTES_MAX, FRAME_BYTES_MAX, MESSAGES_PER_FRAME_MAX};
use super::message::Message;

/// First bytes of every frame.
const MAGIC: [u8; 4] = *b"TLQF";
/// Of this layout. A node refuses others: all nodes of a cluster are brought to a new version one after the other, and the
/// older one is then still spoken.
const VERSION: u8 = 1;
/// Up to the length, which must be known before the rest is read.
pub const PREFIX_BYTES: usize = 12;
/// Up to the messages.
const HEADER_BYTES: usize = 36;
const LENGTH_AT: usize = 8;
const CRC_AT: usize = 12;
const CRC_COVERS_FROM: usize = 16;

/// A frame taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Who sent it.
    pub from: NodeId,
    /// For whom it is.
    pub to: NodeId,
    /// All messages, in the order in which they were said.
    pub messages: Vec<Message>,
    /// Length of the batches beside it.
    pub attached_bytes: u64,
}

/// Why bytes are no frame.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    /// They end too early, or something is behind the end.
    #[error("the frame is not as long as it says")]
    Length,
    /// Another protocol.
    #[error("not a frame of this protocol")]
    Magic,
    /// Another version of it.
    #[error("version {0} of the frame is not known")]
    Version(u8),
    /// It says that it is longer than any frame.
    #[error("a frame of {0} bytes is too long")]
    TooLong(u64),
    /// The checksum is wrong.
    #[error("the frame is damaged")]
    Checksum,
    /// The sender has made something that this version doesn't know, or that can't be.
    #[error("the frame holds what can't be: {0}")]
    Content(&'static str),
}

/// The bytes of a frame without the batches, which the caller sends behind it.
///
/// # Panics
/// If there are more messages than [`MESSAGES_PER_FRAME_MAX`]: the sender splits them.
#[must_use]
pub fn encode(from: NodeId, to: NodeId, messages: &[Message]) -> Vec<u8> {
    assert!(
        messages.len() <= MESSAGES_PER_FRAME_MAX,
        "the sender splits longer lists"
    );
    let mut out = Vec::with_capacity(HEADER_BYTES + 64 * messages.len());
    out.put_slice(&MAGIC);
    out.put_u8(VERSION);
    out.put_slice(&[0; 3]);
    out.put_u64(0);
    out.put_i32(from.0);
    out.put_i32(to.0);
    out.put_u32(messages.len() as u32);
    let batches = messages.iter().flat_map(|message| message.body.attached());
    out.put_u64(batches.map(|attached| u64::from(attached.batch.size_bytes)).sum());
    for message in messages {
        put_message(&mut out, message);
    }
    let length = u32::try_from(out.len()).expect("bounded by the messages' own bounds");
    out[LENGTH_AT..CRC_AT].copy_from_slice(&length.to_be_bytes());
    let crc = checksum::crc32c(&out[CRC_COVERS_FROM..]);
    out[CRC_AT..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
    out
}

/// Length of the frame that begins with `prefix`: read so many bytes, then [`decode`] them.
///
/// # Errors
/// It can't be a frame.
pub fn length(prefix: &[u8; PREFIX_BYTES]) -> Result<usize, FrameError> {
    if prefix[..4] != MAGIC {
        return Err(FrameError::Magic);
    }
    if prefix[4] != VERSION {
        return Err(FrameError::Version(prefix[4]));
    }
    let length = u32::from_be_bytes(prefix[LENGTH_AT..].try_into().expect("four bytes")) as usize;
    match length {
        HEADER_BYTES..=FRAME_BYTES_MAX => Ok(length),
        0..HEADER_BYTES => Err(FrameError::Length),
        _ => Err(FrameError::TooLong(length as u64)),
    }
}

/// Takes a whole frame apart.
///
/// # Errors
/// Nothing of it is to be believed; the connection it came by is to be closed.
pub fn decode(bytes: &[u8]) -> Result<Frame, FrameError> {
    let prefix = bytes.first_chunk().ok_or(FrameError::Length)?;
    if length(prefix)? != bytes.len() {
        return Err(FrameError::Length);
    }
    let mut rest = &bytes[CRC_AT..];
    if rest.get_u32() != checksum::crc32c(&bytes[CRC_COVERS_FROM..]) {
        return Err(FrameError::Checksum);
    }
    let (from, to) = (NodeId(rest.get_i32()), NodeId(rest.get_i32()));
    let (count, attached_bytes) = (rest.get_u32() as usize, rest.get_u64());
    if from.0 < 0 || to.0 < 0 {
        return Err(FrameError::Content("a node without a number"));
    }
    if count > MESSAGES_PER_FRAME_MAX {
        return Err(FrameError::Content("too many messages"));
    }
    if attached_bytes > ATTACHED_BYTES_MAX {
        return Err(FrameError::TooLong(attached_bytes));
    }
    let mut messages = Vec::new();
    for _ in 0..count {
        messages.push(take_message(&mut rest)?);
    }
    if !rest.is_empty() {
        return Err(FrameError::Length);
    }
    let batches = messages.iter().flat_map(|message| message.body.attached());
    if batches
        .map(|attached| u64::from(attached.batch.size_bytes))
        .sum::<u64>()
        != attached_bytes
    {
        return Err(FrameError::Content(
            "the attached bytes are not what the descriptors say",
        ));
    }
    Ok(Frame {
        from,
        to,
        messages,
        attached_bytes,
    })
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
