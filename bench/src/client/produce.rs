//! The answer to a Produce request of one partition, versions 9 to 13.

use super::wire::{Malformed, Reader};

/// What the broker said of the one batch of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Correlation id of the request.
    pub correlation: i32,
    /// The partition.
    pub partition: i32,
    /// Kafka's error code; 0 for none.
    pub error_code: i16,
    /// Offset of the first record; -1 on an error.
    pub base_offset: i64,
}

/// Reads the answer in place.
pub fn parse(body: &[u8], version: i16) -> Result<Acknowledgement, Malformed> {
    let mut reader = Reader::new(body);
    let correlation = reader.i32()?;
    reader.skip_tags()?;
    if reader.compact_len()? != 1 {
        return Err(Malformed);
    }
    if version >= 13 {
        reader.bytes(16)?;
    } else {
        reader.compact_bytes()?;
    }
    if reader.compact_len()? != 1 {
        return Err(Malformed);
    }
    let partition = reader.i32()?;
    let error_code = reader.i16()?;
    let base_offset = reader.i64()?;
    Ok(Acknowledgement {
        correlation,
        partition,
        error_code,
        base_offset,
    })
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
    use kafka_protocol::messages::{ProduceResponse, ResponseHeader, TopicName};
    use kafka_protocol::protocol::{Encodable, StrBytes};

    use super::*;

    #[test]
    fn reads_what_a_foreign_encoder_wrote() {
        for version in 9..=13 {
            let partition = PartitionProduceResponse::default()
                .with_index(3)
                .with_base_offset(1 << 40)
                .with_error_message(Some(StrBytes::from_static_str("why")));
            let topic = TopicProduceResponse::default()
                .with_name(TopicName(StrBytes::from_static_str("t")))
                .with_partition_responses(vec![partition]);
            let topic = if version >= 13 {
                topic.with_name(Default::default())
            } else {
                topic
            };
            let mut bytes = BytesMut::new();
            ResponseHeader::default()
                .with_correlation_id(12)
                .encode(&mut bytes, 1)
                .unwrap();
            ProduceResponse::default()
                .with_responses(vec![topic])
                .encode(&mut bytes, version)
                .unwrap();
            let expected = Acknowledgement {
                correlation: 12,
                partition: 3,
                error_code: 0,
                base_offset: 1 << 40,
            };
            assert_eq!(parse(&bytes, version), Ok(expected));
            for cut in 0..20 {
                // Too short is an error, never a panic.
                let _ = parse(&bytes[..cut.min(bytes.len())], version);
            }
        }
    }
}
