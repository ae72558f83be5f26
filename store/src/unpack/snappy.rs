//! Snappy as Kafka's clients write it: one raw block (librdkafka and others), or Xerial's frames (Java), which are raw blocks
//! with their lengths behind a header.

use std::io::{self, Read, Write};

use super::DECODER_BYTES_MAX;

/// How Xerial's form begins. Then come its version, the oldest one that can read it, and the blocks.
const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_BYTES: usize = XERIAL_MAGIC.len() + 2 * size_of::<u32>();

/// No raw block grows more: its densest element makes 64 bytes of 3.
const EXPANSION_MAX: usize = 64usize.div_ceil(3);

/// Bytes of a block that Java's clients write.
const XERIAL_BLOCK_BYTES: usize = 32 << 10;
/// The version, and the oldest one that reads it.
const XERIAL_VERSION: u32 = 1;

/// Writes Xerial's form, which all clients read.
pub(crate) fn write_snappy(mut bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    out.write_all(XERIAL_MAGIC)?;
    out.write_all(&XERIAL_VERSION.to_be_bytes())?;
    out.write_all(&XERIAL_VERSION.to_be_bytes())?;
    let mut encoder = snap::raw::Encoder::new();
    let mut packed = vec![0; snap::raw::max_compress_len(XERIAL_BLOCK_BYTES)];
    while !bytes.is_empty() {
        let (block, behind) = bytes.split_at(bytes.len().min(XERIAL_BLOCK_BYTES));
        let len = encoder.compress(block, &mut packed)?;
        out.write_all(&(len as u32).to_be_bytes())?;
        out.write_all(&packed[..len])?;
        bytes = behind;
    }
    Ok(())
}

/// Decodes either form, a block at a time.
pub(super) struct SnappyDecoder<'a> {
    blocks: Blocks<'a>,
    decoded: Vec<u8>,
    given: usize,
}

/// The blocks still to be decoded.
enum Blocks<'a> {
    Raw(Option<&'a [u8]>),
    Xerial(&'a [u8]),
}

impl<'a> SnappyDecoder<'a> {
    pub fn new(bytes: &'a [u8]) -> SnappyDecoder<'a> {
        let framed = bytes.starts_with(XERIAL_MAGIC);
        let blocks = match bytes.get(XERIAL_HEADER_BYTES..) {
            Some(blocks) if framed => Blocks::Xerial(blocks),
            _ => Blocks::Raw(Some(bytes)),
        };
        SnappyDecoder {
            blocks,
            decoded: Vec::new(),
            given: 0,
        }
    }

    fn decode(&mut self, block: &[u8]) -> io::Result<()> {
        let len = snap::raw::decompress_len(block)?;
        if len > DECODER_BYTES_MAX || len > block.len() * EXPANSION_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.decoded.resize(len, 0);
        self.given = 0;
        snap::raw::Decoder::new().decompress(block, &mut self.decoded)?;
        Ok(())
    }
}

impl<'a> Blocks<'a> {
    fn next(&mut self) -> io::Result<Option<&'a [u8]>> {
        match self {
            Blocks::Raw(block) => Ok(block.take()),
            Blocks::Xerial([]) => Ok(None),
            Blocks::Xerial(rest) => {
                let (len, behind) = rest.split_first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
                let block = behind.split_at_checked(u32::from_be_bytes(*len) as usize);
                let (block, behind) = block.ok_or(io::ErrorKind::UnexpectedEof)?;
                *rest = behind;
                Ok(Some(block))
            }
        }
    }
}

impl Read for SnappyDecoder<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.decoded.len() {
            let Some(block) = self.blocks.next()? else {
                return Ok(0);
            };
            self.decode(block)?;
        }
        let len = out.len().min(self.decoded.len() - self.given);
        out[..len].copy_from_slice(&self.decoded[self.given..self.given + len]);
        self.given += len;
        Ok(len)
    }
}
