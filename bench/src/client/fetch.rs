//! Fetch requests, versions 12 (topic by name) to 16 (topic by id), with or without a session (KIP-227), and their
//! answers walked in place.

use uuid::Uuid;

use super::wire::{
    Malformed, Reader, close_frame, open_frame, put_compact_len, put_compact_str, set_correlation,
};

const FETCH_KEY: i16 = 1;

/// One partition of a Fetch request: where to read on.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// The partition.
    pub partition: i32,
    /// The next offset wanted.
    pub offset: i64,
}

/// A fetch session as a request names it: the broker remembers the partitions, and later requests carry changes only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The broker's number for it; 0 for none yet.
    pub id: i32,
    /// 0 opens one, -1 wants none, else the number of the request within it.
    pub epoch: i32,
}

impl Session {
    /// No session is wanted.
    pub const NONE: Session = Session { id: 0, epoch: -1 };
    /// Open one.
    pub const OPEN: Session = Session { id: 0, epoch: 0 };

    /// For the request after one that was answered with session `id`.
    pub fn next(self, id: i32) -> Session {
        match id {
            0 => Session::NONE,
            _ if self.epoch == i32::MAX => Session { id, epoch: 1 },
            _ => Session {
                id,
                epoch: self.epoch + 1,
            },
        }
    }

    /// Whether the request must name every partition.
    pub fn is_full(self) -> bool {
        self.epoch <= 0
    }
}

/// What a reader's requests have in common, and the buffer they are encoded into.
pub struct FetchRequest {
    /// Fetch version, 12 to 16.
    pub version: i16,
    /// The topic's name, for version 12.
    pub topic: String,
    /// The topic's id, from version 13.
    pub topic_id: Uuid,
    /// How long the broker may hold the request while there is nothing to read.
    pub wait_ms_max: i32,
    /// Bytes wanted of one partition at most.
    pub partition_bytes_max: i32,
    /// Bytes wanted altogether at most.
    pub bytes_max: i32,
    /// The encoded frame, reused.
    pub frame: Vec<u8>,
}

impl FetchRequest {
    /// Encodes the request for these positions, without a session, and returns the frame to send.
    pub fn encode(&mut self, correlation: i32, positions: &[Position]) -> &[u8] {
        self.encode_in(Session::NONE, correlation, positions.iter().copied())
    }

    /// Encodes a request of a session: all positions if it is full, else those that have changed.
    pub fn encode_in(
        &mut self,
        session: Session,
        correlation: i32,
        positions: impl ExactSizeIterator<Item = Position>,
    ) -> &[u8] {
        let frame = &mut self.frame;
        open_frame(frame, FETCH_KEY, self.version, "tautline-bench");
        set_correlation(frame, correlation);
        if self.version <= 14 {
            frame.extend_from_slice(&(-1i32).to_be_bytes()); // replica id: a consumer
        }
        for value in [self.wait_ms_max, 1, self.bytes_max] {
            frame.extend_from_slice(&value.to_be_bytes());
        }
        frame.push(0); // isolation level: read uncommitted
        frame.extend_from_slice(&session.id.to_be_bytes());
        frame.extend_from_slice(&session.epoch.to_be_bytes());
        // No change is no topic: an empty list of partitions would be refused.
        put_compact_len(frame, usize::from(positions.len() > 0));
        if positions.len() > 0 {
            self.encode_topic(positions);
        }
        let frame = &mut self.frame;
        put_compact_len(frame, 0); // forgotten topics
        put_compact_len(frame, 0); // rack id: empty
        frame.push(0);
        close_frame(frame);
        frame
    }

    fn encode_topic(&mut self, positions: impl ExactSizeIterator<Item = Position>) {
        let frame = &mut self.frame;
        if self.version >= 13 {
            frame.extend_from_slice(self.topic_id.as_bytes());
        } else {
            put_compact_str(frame, &self.topic);
        }
        put_compact_len(frame, positions.len());
        for position in positions {
            frame.extend_from_slice(&position.partition.to_be_bytes());
            frame.extend_from_slice(&(-1i32).to_be_bytes()); // current leader epoch: unknown
            frame.extend_from_slice(&position.offset.to_be_bytes());
            frame.extend_from_slice(&(-1i32).to_be_bytes()); // last fetched epoch: none
            frame.extend_from_slice(&(-1i64).to_be_bytes()); // log start offset: a consumer has none
            frame.extend_from_slice(&self.partition_bytes_max.to_be_bytes());
            frame.push(0);
        }
        frame.push(0); // topic tags
    }
}

/// One partition of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Fetched<'a> {
    /// The partition.
    pub partition: i32,
    /// Kafka's error code; 0 for none.
    pub error_code: i16,
    /// The partition's high watermark (exclusive).
    pub high_watermark: i64,
    /// Whole batches, the last possibly cut.
    pub records: &'a [u8],
}

/// The session that an answer names; 0 when the broker keeps none.
pub fn session_id(body: &[u8]) -> Result<i32, Malformed> {
    let mut reader = Reader::new(body);
    reader.i32()?; // correlation id
    reader.skip_tags()?;
    reader.i32()?; // throttle time
    reader.i16()?; // error code
    reader.i32()
}

/// Walks an answer and shows each partition to `visit`; returns the request's own error code.
pub fn parse<'a>(body: &'a [u8], version: i16, mut visit: impl FnMut(Fetched<'a>)) -> Result<i16, Malformed> {
    let mut reader = Reader::new(body);
    reader.i32()?; // correlation id
    reader.skip_tags()?;
    reader.i32()?; // throttle time
    let error_code = reader.i16()?;
    reader.i32()?; // session id
    for _ in 0..reader.compact_len()? {
        if version >= 13 {
            reader.bytes(16)?;
        } else {
            reader.compact_bytes()?;
        }
        for _ in 0..reader.compact_len()? {
            visit(parse_partition(&mut reader)?);
        }
        reader.skip_tags()?;
    }
    Ok(error_code)
}

fn parse_partition<'a>(reader: &mut Reader<'a>) -> Result<Fetched<'a>, Malformed> {
    let partition = reader.i32()?;
    let error_code = reader.i16()?;
    let high_watermark = reader.i64()?;
    reader.i64()?; // last stable offset
    reader.i64()?; // log start offset
    for _ in 0..reader.compact_len()? {
        reader.bytes(16)?; // an aborted transaction
        reader.skip_tags()?;
    }
    reader.i32()?; // preferred read replica
    let records = reader.compact_bytes()?;
    reader.skip_tags()?;
    Ok(Fetched {
        partition,
        error_code,
        high_watermark,
        records,
    })
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use kafka_protocol::messages::fetch_response::{
        AbortedTransaction, FetchableTopicResponse, PartitionData,
    };
    use kafka_protocol::messages::{FetchResponse, ResponseHeader};
    use kafka_protocol::protocol::{Decodable, Encodable, decode_request_header_from_buffer};

    use super::*;

    #[test]
    fn a_foreign_decoder_reads_the_request() {
        for version in 12..=16 {
            let mut request = FetchRequest {
                version,
                topic: "orders".into(),
                topic_id: Uuid::from_u128(9),
                wait_ms_max: 500,
                partition_bytes_max: 1 << 20,
                bytes_max: 2 << 20,
                frame: Vec::new(),
            };
            let positions = [
                Position {
                    partition: 2,
                    offset: 40,
                },
                Position {
                    partition: 3,
                    offset: 50,
                },
            ];
            let mut bytes = Bytes::from(request.encode(6, &positions).to_vec()).slice(4..);
            let header = decode_request_header_from_buffer(&mut bytes).unwrap();
            assert_eq!((header.correlation_id, header.request_api_version), (6, version));
            let decoded = kafka_protocol::messages::FetchRequest::decode(&mut bytes, version).unwrap();
            assert!(bytes.is_empty());
            assert_eq!(
                (decoded.max_wait_ms, decoded.min_bytes, decoded.session_epoch),
                (500, 1, -1)
            );
            let partitions = &decoded.topics[0].partitions;
            assert_eq!((partitions[1].partition, partitions[1].fetch_offset), (3, 50));

            let session = Session::OPEN.next(8).next(8);
            let no_change = request.encode_in(session, 7, std::iter::empty()).to_vec();
            let mut bytes = Bytes::from(no_change).slice(4..);
            decode_request_header_from_buffer(&mut bytes).unwrap();
            let decoded = kafka_protocol::messages::FetchRequest::decode(&mut bytes, version).unwrap();
            assert_eq!((decoded.session_id, decoded.session_epoch), (8, 2));
            assert!(bytes.is_empty() && decoded.topics.is_empty());
        }
    }

    #[test]
    fn reads_what_a_foreign_encoder_wrote() {
        for version in 12..=16 {
            let partition = PartitionData::default()
                .with_partition_index(4)
                .with_high_watermark(99)
                .with_log_start_offset(3)
                .with_aborted_transactions(Some(vec![AbortedTransaction::default()]))
                .with_records(Some(Bytes::from_static(b"batches")));
            let topic = FetchableTopicResponse::default().with_partitions(vec![partition]);
            let mut bytes = BytesMut::new();
            ResponseHeader::default().encode(&mut bytes, 1).unwrap();
            FetchResponse::default()
                .with_session_id(61)
                .with_responses(vec![topic])
                .encode(&mut bytes, version)
                .unwrap();
            let mut seen = 0;
            let error = parse(&bytes, version, |fetched| {
                seen += 1;
                assert_eq!((fetched.partition, fetched.high_watermark), (4, 99));
                assert_eq!(fetched.records, b"batches");
            });
            assert_eq!((error, seen), (Ok(0), 1));
            assert_eq!(session_id(&bytes), Ok(61));
        }
    }
}
