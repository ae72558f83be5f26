//! What we encode we decode to the same value, in every version of every message.

use super::*;
use crate::wire::api::visit_messages;
use crate::wire::{ApiKey, Request, RequestHeader, ResponseHeader, WireError};

struct RoundTrip<'e>(&'e [u8]);

impl Visitor<'static> for RoundTrip<'_> {
    fn visit<M: Message<'static> + Clone + Debug + PartialEq + Default>(&mut self, kind: Kind) {
        for version in M::API.versions() {
            let message = sample::<M>(self.0, version);
            let bytes = encode(&message, version);
            let decoded = decode::<M>(bytes, version);
            assert_eq!(
                decoded.as_ref(),
                Ok(&message),
                "{:?} {kind:?} version {version}",
                M::API
            );
            assert_eq!(encode(&message, version), bytes, "written twice the same");

            // A frame cut short is an error, and so is one with a byte too many.
            for length in [bytes.len().saturating_sub(1), bytes.len() / 2] {
                if length < bytes.len() {
                    assert!(
                        decode::<M>(&bytes[..length], version).is_err(),
                        "{:?} {kind:?} cut to {length}",
                        M::API
                    );
                }
            }
            let longer: &'static [u8] = [bytes, &[0]].concat().leak();
            assert!(
                decode::<M>(longer, version).is_err(),
                "{:?} {kind:?} with a trailing byte",
                M::API
            );
        }
        assert!(decode::<M>(&[], M::API.info().max + 1).is_err());
        assert!(decode::<M>(&[], M::API.info().min - 1).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn every_message_survives(entropy in entropy()) {
        visit_messages(&mut RoundTrip(&entropy));
    }

    #[test]
    fn headers_survive(version in 0i16..20, correlation_id: i32, client in prop::option::of(".{0,20}")) {
        for info in crate::wire::APIS {
            let header =
                RequestHeader { api: info.key, version, correlation_id, client_id: client.as_deref().map(Into::into) };
            let mut writer = Writer::new();
            header.encode(&mut writer);
            let mut reader = Reader::new(writer.bytes());
            prop_assert_eq!(RequestHeader::decode(&mut reader), Ok(header));
            prop_assert_eq!(reader.remaining(), 0);

            let header = ResponseHeader { correlation_id };
            let mut writer = Writer::new();
            header.encode(&mut writer, info.key, version);
            let mut reader = Reader::new(writer.bytes());
            prop_assert_eq!(ResponseHeader::decode(&mut reader, info.key, version), Ok(header));
            prop_assert_eq!(reader.remaining(), 0);
        }
    }
}

/// KIP-482: a reader skips tagged fields it does not know, in headers, messages and their parts.
#[test]
fn unknown_tagged_fields_are_skipped() {
    let mut frame = Writer::new();
    frame.put(&[0, 22, 0, 4, 0, 0, 0, 9, 0, 1, b'c']); // InitProducerId 4, correlation id 9, client id "c"
    frame.put(&[1, 100, 3, 1, 2, 3]); // one field with tag 100
    frame.put(&[2, b't', 0, 0, 0, 5]); // transactional id "t", timeout 5
    frame.put(&[0; 10]);
    frame.put(&[2, 5, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 0]); // tags 5 (empty) and u32::MAX (one byte)

    let mut reader = Reader::new(frame.bytes());
    let header = RequestHeader::decode(&mut reader).unwrap();
    assert_eq!((header.api, header.correlation_id), (ApiKey::InitProducerId, 9));
    let Request::InitProducerId(request) = Request::decode(&header, &mut reader).unwrap() else {
        panic!()
    };
    assert_eq!(request.transactional_id.as_deref(), Some("t"));
    assert_eq!(request.transaction_timeout_ms, 5);
}

/// KIP-511: the header of an ApiVersions request from the future can be read, and its response has header version 0.
#[test]
fn api_versions_from_the_future() {
    let frame = [0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0, 1, 2, 3];
    let header = RequestHeader::decode(&mut Reader::new(&frame)).unwrap();
    assert!(!header.api.supports(header.version));
    let mut writer = Writer::new();
    let response = crate::wire::ApiVersionsResponse {
        error_code: 35,
        ..Default::default()
    };
    crate::wire::encode_response(&response, 0, header.correlation_id, &mut writer);
    assert_eq!(writer.bytes(), [0, 0, 0, 10, 0, 0, 0, 7, 0, 35, 0, 0, 0, 0]);
    assert_eq!(ApiKey::ApiVersions.response_header_version(4), 0);
}

/// KAFKA-18659: librdkafka wants to see Produce from version 0.
#[test]
fn produce_is_advertised_from_zero() {
    let all = crate::wire::ApiVersion::all();
    let produce = all.iter().find(|api| api.api_key == 0).unwrap();
    assert_eq!((produce.min_version, produce.max_version), (0, 13));
    assert!(all.is_sorted_by_key(|api| api.api_key));
}

/// No version carries a string of more than 32,767 bytes: it is cut between two characters.
#[test]
fn a_string_that_is_too_long_is_cut_and_one_that_came_refused() {
    let text = format!("{}{}", "x".repeat(32_766), "é".repeat(9));
    let mut long = vec![0x80, 0x80, 0x02];
    long.resize(3 + 32_767, b'x');
    let flexible = Layout {
        version: 5,
        flexible: true,
    };
    let read = |bytes: &[u8]| {
        let mut reader = Reader::new(bytes);
        reader.set_layout(flexible);
        reader.string_len()
    };
    assert_eq!(read(&long), Ok(Some(32_767)));
    long[0] += 1;
    assert_eq!(
        read(&long),
        Err(WireError::StringTooLong {
            at: 0,
            length: 32_768
        })
    );
    for (version, expected) in [(2, &text[..32_766]), (5, &text[..32_766])] {
        let response = crate::wire::CreatableTopicResult {
            error_message: Some(text.as_str().into()),
            ..Default::default()
        };
        let response = crate::wire::CreateTopicsResponse {
            topics: vec![response],
            ..Default::default()
        };
        let decoded: crate::wire::CreateTopicsResponse<'_> =
            decode(encode(&response, version), version).unwrap();
        assert_eq!(
            decoded.topics[0].error_message.as_deref(),
            Some(expected),
            "version {version}"
        );
    }
}
