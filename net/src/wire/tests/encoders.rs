//! The streaming encoders of Produce and Fetch write what the structs write.

use super::*;
use crate::wire::{
    ApiKey, FetchResponse, FetchResponseEncoder, FetchResponseHead, ProduceResponse, ProduceResponseEncoder,
    Records, Segment, encode_response,
};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn produce_response(entropy in entropy()) {
        for version in ApiKey::Produce.versions() {
            let response = sample::<ProduceResponse<'_>>(&entropy, version);
            let mut expected = Writer::new();
            encode_response(&response, version, 5, &mut expected);

            let mut writer = Writer::over(b"earlier".to_vec());
            let mut encoder = ProduceResponseEncoder::begin(&mut writer, version, 5, response.responses.len());
            for topic in &response.responses {
                encoder.topic(&topic.name, topic.topic_id, topic.partition_responses.len());
                topic.partition_responses.iter().for_each(|partition| encoder.partition(partition));
            }
            encoder.finish(response.throttle_time_ms, &response.node_endpoints);
            prop_assert_eq!(&writer.bytes()[7..], expected.bytes());
        }
    }

    #[test]
    fn fetch_response(entropy in entropy()) {
        for version in ApiKey::Fetch.versions() {
            let response = sample::<FetchResponse<'_>>(&entropy, version);
            let mut expected = Writer::new();
            encode_response(&response, version, 5, &mut expected);

            let mut writer = Writer::new();
            let FetchResponse { throttle_time_ms, error_code, session_id, .. } = response;
            let head = FetchResponseHead { throttle_time_ms, error_code, session_id };
            let mut encoder = FetchResponseEncoder::begin(&mut writer, version, 5, head, response.responses.len());
            let mut payloads = Vec::new();
            for topic in &response.responses {
                encoder.topic(&topic.topic, topic.topic_id, topic.partitions.len());
                for partition in &topic.partitions {
                    let records = partition.records.as_ref().map(|records| {
                        payloads.extend_from_slice(records.bytes());
                        Records::Spliced { size_bytes: records.size_bytes() }
                    });
                    encoder.partition(&crate::wire::PartitionData { records, ..partition.clone() });
                }
            }
            encoder.finish(&response.node_endpoints);

            let (mut sent, mut payloads) = (Vec::new(), payloads.as_slice());
            for segment in writer.segments() {
                match segment {
                    Segment::Written(range) => sent.extend_from_slice(&writer.bytes()[range]),
                    Segment::Payload { size_bytes } => sent.extend_from_slice(payloads.split_off(..size_bytes).unwrap()),
                }
            }
            prop_assert_eq!(sent.len(), writer.total_bytes());
            prop_assert_eq!(&sent[..], expected.bytes());
        }
    }
}

#[test]
#[should_panic(expected = "as many partitions as announced")]
fn a_missing_partition_is_our_bug() {
    let mut writer = Writer::new();
    let mut encoder = ProduceResponseEncoder::begin(&mut writer, 9, 5, 1);
    encoder.topic("t", Default::default(), 1);
    encoder.finish(0, &[]);
}
