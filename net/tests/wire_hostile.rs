//! What decoding allocates, counted: no more than a frame may ask for, whatever its bytes, and nothing at all for Produce and Fetch.

use proptest::prelude::*;
use tautline_core::counting::{Counting, allocated};
use tautline_net::wire::{
    APIS, FetchPartition, FetchRequest, FetchResponseEncoder, FetchResponseHead, FetchTopic,
    JoinGroupResponse, JoinGroupResponseMember, MetadataRequest, PartitionData, PartitionProduceData,
    PartitionProduceResponse, ProduceRequest, ProduceResponseEncoder, Reader, Records, Request,
    RequestHeader, SyncGroupRequest, SyncGroupRequestAssignment, TopicProduceData, WireError, Writer,
    decoded_bytes_limit, encode_request, encode_response,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Decodes a frame as the server does.
fn decode(frame: &[u8]) -> Result<Request<'_>, WireError> {
    let mut reader = Reader::new(frame);
    let header = RequestHeader::decode(&mut reader)?;
    Request::decode(&header, &mut reader)
}

fn assert_bounded(frame: &[u8]) {
    let (_, bytes) = allocated(|| decode(frame).is_ok());
    let limit = decoded_bytes_limit(frame.len());
    assert!(
        bytes <= limit,
        "{bytes} bytes allocated for a frame of {}: {frame:02x?}",
        frame.len()
    );
}

/// The header of a request and then `body`.
fn frame(api: i16, version: i16, flexible: bool, body: &[u8]) -> Vec<u8> {
    let mut frame = [
        api.to_be_bytes(),
        version.to_be_bytes(),
        [0, 0],
        [0, 7],
        [0xff, 0xff],
    ]
    .concat();
    frame.extend(flexible.then_some(0));
    frame.extend_from_slice(body);
    frame
}

/// The claims a hostile array length makes: as many elements as 32 bits can say, and as many as the frame has bytes.
const BOMBS: [&[u8]; 4] = [
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x80, 0x80, 0x02],
    &[0x00, 0x00, 0x20, 0x00],
];

/// The kafka-protocol crate asks for 4 GB here.
#[test]
fn eight_bytes_that_claim_two_billion_topics() {
    let (result, bytes) = allocated(|| decode(&frame(3, 1, false, &[0x7f, 0xff, 0xff, 0xff])).map(|_| ()));
    assert!(
        matches!(result, Err(WireError::ArrayTooLong { .. })),
        "{result:?}"
    );
    assert!(bytes < 200, "{bytes}");
}

/// A claim at every place of an otherwise quiet frame, in every version of every request.
#[test]
fn array_lengths_that_lie() {
    for info in APIS {
        for version in info.min..=info.max {
            let flexible = version >= info.flexible;
            for (at, bomb) in (0..48).flat_map(|at| BOMBS.map(|bomb| (at, bomb))) {
                for filler in [0u8, 1, 2] {
                    let mut body = vec![filler; 16 << 10];
                    body[at..at + bomb.len()].copy_from_slice(bomb);
                    assert_bounded(&frame(info.key.key(), version, flexible, &body));
                }
            }
        }
    }
}

/// A frame full of the smallest elements there are takes no more than its allowance.
#[test]
fn the_densest_frame() {
    let mut request = MetadataRequest {
        topics: Some(Vec::new()),
        ..Default::default()
    };
    for (topics, fits) in [(0, true), (100_000, true), (2_000_000, false)] {
        request.topics = Some(vec![Default::default(); topics]);
        let mut writer = Writer::new();
        encode_request(&request, 0, 1, "", &mut writer);
        let frame = &writer.bytes()[4..];
        assert_bounded(frame);
        assert_eq!(decode(frame).is_ok(), fits, "{topics} topics");
    }
}

/// Members of a large group, and what one of them says of itself: megabytes.
const MEMBERS: usize = 10_000;
const LONGEST_BYTES: usize = 4 << 20;

/// The leader's assignment is decoded without a copy of it.
#[test]
fn an_assignment_to_ten_thousand_members() {
    let longest = vec![7u8; LONGEST_BYTES];
    let mut assignments = vec![
        SyncGroupRequestAssignment {
            member_id: "member".into(),
            assignment: longest[..100].into(),
        };
        MEMBERS
    ];
    assignments[MEMBERS / 2].assignment = longest.as_slice().into();
    let request = SyncGroupRequest {
        assignments,
        ..Default::default()
    };
    for version in 0..=5 {
        let mut writer = Writer::new();
        encode_request(&request, version, 1, "client", &mut writer);
        let frame = &writer.bytes()[4..];
        let (decoded, bytes) = allocated(|| decode(frame));
        let Ok(Request::SyncGroup(decoded)) = decoded else {
            panic!()
        };
        assert_eq!(decoded.assignments, request.assignments);
        let within = frame.as_ptr_range();
        let borrowed = |member: &SyncGroupRequestAssignment<'_>| within.contains(&member.assignment.as_ptr());
        assert!(decoded.assignments.iter().all(borrowed), "version {version}");
        let array = MEMBERS * size_of::<SyncGroupRequestAssignment<'_>>();
        assert_eq!(bytes, array, "version {version}");
    }
}

/// What the leader is told of all members is written once: the buffer doubles as it grows, and nothing else is allocated.
#[test]
fn a_group_of_ten_thousand_members() {
    let longest = vec![7u8; LONGEST_BYTES];
    let mut members = vec![
        JoinGroupResponseMember {
            member_id: "member".into(),
            group_instance_id: None,
            metadata: longest[..100].into(),
        };
        MEMBERS
    ];
    members[MEMBERS / 2].metadata = longest.as_slice().into();
    let response = JoinGroupResponse {
        members,
        ..Default::default()
    };
    for version in 0..=9 {
        let mut writer = Writer::new();
        let ((), bytes) = allocated(|| encode_response(&response, version, 1, &mut writer));
        let size_bytes = writer.bytes().len();
        assert!(
            size_bytes > LONGEST_BYTES + MEMBERS * 100,
            "version {version}: {size_bytes}"
        );
        assert!(
            bytes <= 4 * size_bytes,
            "version {version}: {bytes} for {size_bytes}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn any_bytes(body in prop::collection::vec(prop_oneof![Just(0u8), Just(2), Just(0xff), any::<u8>()], 0..400)) {
        assert_bounded(&body);
        for info in APIS {
            for version in info.min..=info.max {
                assert_bounded(&frame(info.key.key(), version, version >= info.flexible, &body));
            }
        }
    }
}

/// Two topics of two partitions each, decoded and walked without a single allocation; records are where they were sent.
#[test]
fn a_produce_request_allocates_nothing() {
    let batches: [&[u8]; 2] = [b"first batch", b"second"];
    let partitions: Vec<_> = (0..2)
        .map(|index| PartitionProduceData {
            index,
            records: Some(batches[index as usize].into()),
        })
        .collect();
    let topic = |name: &'static str| TopicProduceData {
        name: name.into(),
        topic_id: Default::default(),
        partition_data: partitions.clone().into(),
    };
    let request = ProduceRequest {
        transactional_id: Some("id".into()),
        acks: -1,
        timeout_ms: 5,
        topic_data: vec![topic("orders"), topic("payments")].into(),
    };
    for version in 3..=12 {
        let mut writer = Writer::new();
        encode_request(&request, version, 1, "client", &mut writer);
        let frame = &writer.bytes()[4..];
        let (found, bytes) = allocated(|| {
            let Ok(Request::Produce(request)) = decode(frame) else {
                panic!()
            };
            let mut found = 0;
            for topic in request.topic_data.iter() {
                for partition in topic.partition_data.iter() {
                    let records = partition.records.unwrap();
                    assert_eq!(records.bytes(), batches[partition.index as usize]);
                    assert_eq!(&frame[records.range()], records.bytes());
                    found += 1;
                }
            }
            found
        });
        assert_eq!((found, bytes), (4, 0), "version {version}");
    }
}

/// KIP-227: an incremental request and a full one.
#[test]
fn a_fetch_request_allocates_nothing() {
    let partition = |partition| FetchPartition {
        partition,
        fetch_offset: 9,
        ..Default::default()
    };
    let topic = FetchTopic {
        topic: "orders".into(),
        topic_id: Default::default(),
        partitions: vec![partition(0), partition(1)].into(),
    };
    let full = FetchRequest {
        topics: vec![topic].into(),
        ..Default::default()
    };
    for (request, count) in [(full, 2), (FetchRequest::default(), 0)] {
        for version in 4..=18 {
            let mut writer = Writer::new();
            encode_request(&request, version, 1, "client", &mut writer);
            let (found, bytes) = allocated(|| {
                let Ok(Request::Fetch(request)) = decode(&writer.bytes()[4..]) else {
                    panic!()
                };
                request
                    .topics
                    .iter()
                    .map(|topic| topic.partitions.iter().count())
                    .sum::<usize>()
            });
            assert_eq!((found, bytes), (count, 0), "version {version}");
        }
    }
}

/// A writer that has been used once has room for the next response.
#[test]
fn responses_of_the_hot_path_allocate_nothing() {
    let mut writer = Writer::new();
    let mut respond = |version| {
        writer.clear();
        let mut response = ProduceResponseEncoder::begin(&mut writer, version, 1, 1);
        response.topic("orders", Default::default(), 2);
        response.partition(&PartitionProduceResponse {
            base_offset: 4,
            ..Default::default()
        });
        response.partition(&PartitionProduceResponse {
            index: 1,
            error_code: 3,
            ..Default::default()
        });
        response.finish(0, &[]);
        let mut response =
            FetchResponseEncoder::begin(&mut writer, version, 1, FetchResponseHead::default(), 1);
        response.topic("orders", Default::default(), 1);
        let records = Some(Records::Spliced { size_bytes: 1 << 20 });
        response.partition(&PartitionData {
            records,
            high_watermark: 9,
            ..Default::default()
        });
        response.finish(&[]);
        writer.segments().count()
    };
    respond(12);
    for version in 4..=13 {
        let (segments, bytes) = allocated(|| respond(version));
        assert!((2..=3).contains(&segments), "{segments}");
        assert_eq!(bytes, 0, "version {version}");
    }
}
