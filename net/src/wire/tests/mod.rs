//! Tests of every message in every version, driven by the API table.

mod by_hand;
mod corpus;
mod encoders;
mod hostile;
mod oracle;
mod round_trip;

use std::fmt::Debug;

use proptest::prelude::*;

use super::sample::Sampler;
use super::{Layout, Message, Reader, Writer};

/// The two directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
}

/// A test that looks at each message.
pub(super) trait Visitor<'a> {
    fn visit<M: Message<'a> + Clone + Debug + PartialEq + Default>(&mut self, kind: Kind);
}

/// Random bytes that [`Sampler`] turns into messages; shrinks towards empty ones.
fn entropy() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..256)
}

/// A value of a message that a version can carry.
fn sample<'a, M: Message<'a>>(entropy: &[u8], version: i16) -> M {
    M::sample(&mut Sampler::new(
        entropy,
        Layout {
            version,
            flexible: M::API.is_flexible(version),
        },
    ))
}

/// The bytes of a message. They are leaked: tests compare messages that borrow from them with others that don't.
fn encode<'a, M: Message<'a>>(message: &M, version: i16) -> &'static [u8] {
    let mut writer = Writer::new();
    message.encode(&mut writer, version);
    writer.into_parts().0.leak()
}

/// A message from its bytes.
fn decode<'a, M: Message<'a>>(bytes: &'a [u8], version: i16) -> Result<M, super::WireError> {
    let mut reader = Reader::new(bytes);
    let message = M::decode(&mut reader, version)?;
    reader.finish()?;
    Ok(message)
}

#[test]
fn bytes_behind_a_request_are_left_alone() {
    // Metadata for all topics as librdkafka 2.16 sends it: null topics, two flags, no tags, and 01 00 00 behind them.
    let bytes = [0, 0, 0, 0, 1, 0, 0];
    let request = super::MetadataRequest::decode(&mut Reader::new(&bytes), 13).unwrap();
    assert!(request.topics.is_none());
}
