//! The buffer every encoder writes to. Lives on one core and is reused for one response after another.
//!
//! Record payloads are not copied: a [`Records::Spliced`](super::Records) writes its length and leaves a [`Splice`],
//! and the sender interleaves [`Writer::segments`] with the slices it already holds. The frame's size prefix counts them.

use std::ops::Range;

use super::Layout;

/// A place where a payload goes between two bytes of the written ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Splice {
    /// The payload goes before the written byte of this position.
    pub at: usize,
    /// The payload's length.
    pub size_bytes: usize,
}

/// One piece of what goes to the socket, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// These of the written bytes.
    Written(Range<usize>),
    /// The next payload, of this many bytes.
    Payload {
        /// The payload's length, as given to the encoder.
        size_bytes: usize,
    },
}

/// A growing buffer of encoded frames with the places of payloads noted.
#[derive(Clone, Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    splices: Vec<Splice>,
    layout: Layout,
    /// Where the frame that is being written starts: its place in `bytes` and its first index in `splices`.
    frame_at: usize,
    frame_splices: usize,
    /// Error codes written, each with how often.
    errors: Vec<(i16, u32)>,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// An empty buffer; nothing is allocated yet.
    pub fn new() -> Self {
        Self::over(Vec::new())
    }

    /// Writes behind what `bytes` holds, and keeps its capacity.
    pub fn over(bytes: Vec<u8>) -> Self {
        let frame_at = bytes.len();
        let layout = Layout {
            version: 0,
            flexible: false,
        };
        Self {
            bytes,
            splices: Vec::new(),
            layout,
            frame_at,
            frame_splices: 0,
            errors: Vec::new(),
        }
    }

    /// Forgets everything written; capacity stays.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.splices.clear();
        self.errors.clear();
        (self.frame_at, self.frame_splices) = (0, 0);
    }

    /// How many bytes it can hold without growing.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The written bytes, payloads excluded.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where payloads go, in order.
    pub fn splices(&self) -> &[Splice] {
        &self.splices
    }

    /// The written bytes and the places of payloads.
    pub fn into_parts(self) -> (Vec<u8>, Vec<Splice>) {
        (self.bytes, self.splices)
    }

    /// Bytes that go to the socket, payloads included.
    pub fn total_bytes(&self) -> usize {
        self.bytes.len() + self.splices.iter().map(|splice| splice.size_bytes).sum::<usize>()
    }

    /// What goes to the socket, piece by piece; empty pieces are left out.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        let mut from = 0;
        let last = Splice {
            at: self.bytes.len(),
            size_bytes: 0,
        };
        self.splices
            .iter()
            .copied()
            .chain(std::iter::once(last))
            .flat_map(move |splice| {
                let written = Some(from..splice.at)
                    .filter(|range| !range.is_empty())
                    .map(Segment::Written);
                let payload = Some(splice.size_bytes).filter(|size| *size > 0);
                from = splice.at;
                written
                    .into_iter()
                    .chain(payload.map(|size_bytes| Segment::Payload { size_bytes }))
            })
    }

    /// The version being written.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Sets the version of what is written from here on.
    pub fn set_layout(&mut self, layout: Layout) {
        self.layout = layout;
    }

    /// Starts a frame: leaves room for the size prefix.
    pub fn begin_frame(&mut self) {
        (self.frame_at, self.frame_splices) = (self.bytes.len(), self.splices.len());
        self.bytes.extend_from_slice(&[0; 4]);
    }

    /// Ends the frame begun last: fills in its size, payloads included.
    ///
    /// # Panics
    /// If no frame was begun, or if it is 2 GiB or more: fetch limits keep responses far below.
    pub fn end_frame(&mut self) {
        let payloads: usize = self.splices[self.frame_splices..]
            .iter()
            .map(|splice| splice.size_bytes)
            .sum();
        let size = self.bytes.len() - self.frame_at - 4 + payloads;
        let size = i32::try_from(size).expect("responses are bounded well below 2 GiB");
        self.bytes[self.frame_at..self.frame_at + 4].copy_from_slice(&size.to_be_bytes());
    }

    /// Appends an error code, and counts it unless it is 0.
    pub fn error_code(&mut self, code: i16) {
        self.put(&code.to_be_bytes());
        if code == 0 {
            return;
        }
        match self.errors.iter_mut().find(|(other, _)| *other == code) {
            Some((_, count)) => *count += 1,
            None => self.errors.push((code, 1)),
        }
    }

    /// The error codes written, each with how often.
    pub fn errors(&self) -> &[(i16, u32)] {
        &self.errors
    }

    /// Appends bytes as they are.
    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Notes that a payload of `size_bytes` goes here.
    pub fn splice(&mut self, size_bytes: usize) {
        self.splices.push(Splice {
            at: self.bytes.len(),
            size_bytes,
        });
    }

    /// Appends an unsigned variable-length integer.
    pub fn uvarint(&mut self, value: u32) {
        let (bytes, count) = uvarint(value);
        self.bytes.extend_from_slice(&bytes[..count]);
    }

    /// Appends the length of a string; `None` is null.
    pub fn string_len(&mut self, length: Option<usize>) {
        if self.layout.flexible {
            self.uvarint(length.map_or(0, |length| wire_len(length) + 1));
        } else {
            let length = length.map_or(-1, |length| {
                i16::try_from(length).expect("strings are cut to i16::MAX")
            });
            self.put(&length.to_be_bytes());
        }
    }

    /// Appends the length of bytes, records or an array; `None` is null.
    pub fn long_len(&mut self, length: Option<usize>) {
        if self.layout.flexible {
            self.uvarint(length.map_or(0, |length| wire_len(length) + 1));
        } else {
            self.put(&length.map_or(-1, |length| wire_len(length) as i32).to_be_bytes());
        }
    }

    /// Appends one tagged field: tag, size, value.
    pub fn tagged_field(&mut self, tag: u32, value: impl FnOnce(&mut Self)) {
        self.uvarint(tag);
        let at = self.bytes.len();
        value(self);
        let (size, count) = uvarint(wire_len(self.bytes.len() - at));
        self.bytes.extend_from_slice(&size[..count]);
        self.bytes[at..].rotate_right(count);
    }
}

/// A length of ours as the wire carries it.
fn wire_len(length: usize) -> u32 {
    i32::try_from(length)
        .expect("a message is smaller than 2 GiB")
        .unsigned_abs()
}

/// A variable-length integer and its number of bytes.
fn uvarint(mut value: u32) -> ([u8; 5], usize) {
    let mut bytes = [0; 5];
    let mut count = 0;
    loop {
        bytes[count] = (value & 0x7f) as u8;
        value >>= 7;
        count += 1;
        if value == 0 {
            return (bytes, count);
        }
        bytes[count - 1] |= 0x80;
    }
}
