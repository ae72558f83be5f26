//! Replay, snapshots and damage, from proptest's printed seeds.

use proptest::prelude::*;
use tautline_core::batch::Batch;
use tautline_core::ids::{NodeId, Offset, TopicId};
use uuid::Uuid;

use super::snapshot::{self, SNAPSHOT_FORMAT_VERSION, SnapshotError};
use super::*;

fn topic_id() -> impl Strategy<Value = TopicId> {
    (1..8u128).prop_map(|id| TopicId(Uuid::from_u128(id)))
}

fn topic_name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "a.b", "a_b", "c.d", "c_d"]).prop_map(str::to_owned)
}

fn resource() -> impl Strategy<Value = ConfigResource> {
    prop_oneof![
        3 => topic_name().prop_map(ConfigResource::Topic),
        1 => (0..3i32).prop_map(|node| ConfigResource::Broker(NodeId(node))),
        1 => Just(ConfigResource::BrokerDefault),
        1 => "[gh]".prop_map(ConfigResource::Group),
    ]
}

/// Records over few names and ids, so that many of them meet; some can't follow what was before.
fn record() -> impl Strategy<Value = MetadataRecord> {
    let config = || prop::sample::select(vec!["retention.ms", "segment.ms"]).prop_map(str::to_owned);
    prop_oneof![
        1 => (0..3i32, 0..9i32).prop_map(|(node, incarnation)| {
            MetadataRecord::RegisterBroker { node: NodeId(node), incarnation }
        }),
        4 => (topic_id(), topic_name(), 0..5u32).prop_map(|(id, name, partition_count)| {
            MetadataRecord::Topic { id, name, partition_count }
        }),
        2 => (topic_id(), 0..9u32).prop_map(|(id, partition_count)| {
            MetadataRecord::PartitionCount { id, partition_count }
        }),
        2 => topic_id().prop_map(|id| MetadataRecord::RemoveTopic { id }),
        4 => (resource(), config(), "[0-9]{0,3}").prop_map(|(resource, name, value)| {
            MetadataRecord::SetConfig { resource, name, value }
        }),
        2 => (resource(), config()).prop_map(|(resource, name)| MetadataRecord::RemoveConfig { resource, name }),
        1 => (0..9_000i64).prop_map(|next| MetadataRecord::ProducerIds { next }),
        1 => ("[ab]", 0..3i16, 0..20i64).prop_map(|(name, level, epoch)| {
            MetadataRecord::FeatureLevel { name, level, epoch }
        }),
    ]
}

/// The records that follow each other, and the image they lead to. A refused record changes nothing.
fn applicable(records: Vec<MetadataRecord>) -> (Vec<MetadataRecord>, MetadataImage) {
    let mut image = MetadataImage::default();
    let mut applied = Vec::new();
    for record in records {
        let before = image.clone();
        match image.apply(&record) {
            Ok(()) => applied.push(record),
            Err(_) => assert_eq!(image, before),
        }
    }
    (applied, image)
}

fn replay(mut image: MetadataImage, records: &[MetadataRecord]) -> MetadataImage {
    for record in records {
        image.apply(record).expect("the record was applicable");
    }
    image
}

proptest! {
    #[test]
    fn replaying_equals_snapshot_and_rest(
        records in prop::collection::vec(record(), 0..80),
        cut: prop::sample::Index,
    ) {
        let (records, image) = applicable(records);
        let cut = cut.index(records.len() + 1);
        let prefix = replay(MetadataImage::default(), &records[..cut]);
        let (from_snapshot, end) = snapshot::decode(&snapshot::encode(&prefix, Offset(cut as i64))).unwrap();
        prop_assert_eq!(end, Offset(cut as i64));
        prop_assert_eq!(&from_snapshot, &prefix);
        prop_assert_eq!(replay(from_snapshot, &records[cut..]), image.clone());
        // What the image counts and indexes is what its topics say.
        prop_assert_eq!(image.partition_total(), image.topics().map(|t| u64::from(t.partition_count)).sum::<u64>());
        for topic in image.topics() {
            prop_assert_eq!(image.topic_by_id(topic.id), Some(topic));
        }
    }

    #[test]
    fn an_image_that_was_given_away_stays_as_it_was(records in prop::collection::vec(record(), 0..60)) {
        let (records, _) = applicable(records);
        let mut image = MetadataImage::default();
        let mut given = Vec::new();
        for record in &records {
            image.apply(record).unwrap();
            given.push(image.clone());
        }
        for (count, given) in given.iter().enumerate() {
            prop_assert_eq!(given, &replay(MetadataImage::default(), &records[..=count]));
        }
    }

    #[test]
    fn records_survive_the_log(records in prop::collection::vec(record(), 1..20)) {
        let bytes = batch_of(&records, 1_700_000_000_000);
        let (batch, _) = Batch::parse(&bytes).unwrap();
        batch.verify_crc().unwrap();
        prop_assert_eq!(records_of(&batch).unwrap(), records);
    }

    #[test]
    fn any_bytes_are_refused_quietly(bytes: Vec<u8>) {
        let _ = MetadataRecord::decode(&bytes);
        let mut snapshot = b"TAUTMETA\x01\0\0\0".to_vec();
        snapshot.extend_from_slice(&bytes);
        prop_assert!(snapshot::decode(&snapshot).is_err());
        prop_assert!(snapshot::decode(&bytes).is_err());
    }

    #[test]
    fn a_damaged_snapshot_is_refused(
        records in prop::collection::vec(record(), 1..40),
        place: prop::sample::Index,
        bit in 0..8u8,
    ) {
        let (_, image) = applicable(records);
        let mut bytes = snapshot::encode(&image, Offset(7));
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        let error = snapshot::decode(&bytes).unwrap_err();
        match place {
            0..8 => prop_assert_eq!(error, SnapshotError::NotASnapshot),
            8..12 => {
                let named = matches!(error, SnapshotError::NewerVersion { .. } | SnapshotError::BadCrc { .. });
                prop_assert!(named);
            }
            _ => {
                let named = matches!(error, SnapshotError::BadCrc { .. });
                prop_assert!(named);
            }
        }
    }
}

#[test]
fn newer_formats_are_named() {
    let mut bytes = snapshot::encode(&MetadataImage::default(), Offset(0));
    let found = SNAPSHOT_FORMAT_VERSION + 1;
    bytes[8..12].copy_from_slice(&found.to_le_bytes());
    assert_eq!(
        snapshot::decode(&bytes),
        Err(SnapshotError::NewerVersion { found })
    );
    let mut record = MetadataRecord::ProducerIds { next: 1 }.encode();
    record[0] = RECORD_FORMAT_VERSION + 1;
    assert_eq!(
        MetadataRecord::decode(&record),
        Err(DecodeError::NewerVersion {
            found: RECORD_FORMAT_VERSION + 1
        })
    );
}

#[test]
fn a_cut_or_longer_snapshot_is_refused() {
    let image = replay(
        MetadataImage::default(),
        &[MetadataRecord::ProducerIds { next: 1_000 }],
    );
    let bytes = snapshot::encode(&image, Offset(1));
    let (expected, found) = (bytes.len() as u64, bytes.len() as u64 - 1);
    assert_eq!(
        snapshot::decode(&bytes[..bytes.len() - 1]),
        Err(SnapshotError::BadLength { expected, found })
    );
    let longer = [&bytes[..], b"x"].concat();
    assert!(matches!(
        snapshot::decode(&longer),
        Err(SnapshotError::BadLength { .. })
    ));
    assert_eq!(snapshot::decode(&bytes[..20]), Err(SnapshotError::NotASnapshot));
}

/// The bytes of every variant: they are on disks, so they never change.
#[test]
fn the_record_format_is_frozen() {
    let id = TopicId(Uuid::from_u128(0x0102));
    let topic = ConfigResource::Topic("t".to_owned());
    let (name, value) = ("n".to_owned(), "v".to_owned());
    let cases: [(MetadataRecord, &[u8]); 10] = [
        (
            MetadataRecord::RegisterBroker {
                node: NodeId(1),
                incarnation: 3,
            },
            &[1, 0, 2, 6],
        ),
        (
            MetadataRecord::Topic {
                id,
                name: "t".to_owned(),
                partition_count: 8,
            },
            &[
                1, 1, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1, b't', 8,
            ],
        ),
        (
            MetadataRecord::PartitionCount {
                id,
                partition_count: 9,
            },
            &[1, 2, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 9],
        ),
        (
            MetadataRecord::RemoveTopic { id },
            &[1, 3, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2],
        ),
        (
            MetadataRecord::SetConfig {
                resource: topic,
                name: name.clone(),
                value,
            },
            &[1, 4, 0, 1, b't', 1, b'n', 1, b'v'],
        ),
        (
            MetadataRecord::RemoveConfig {
                resource: ConfigResource::Broker(NodeId(0)),
                name: name.clone(),
            },
            &[1, 5, 1, 0, 1, b'n'],
        ),
        (
            MetadataRecord::RemoveConfig {
                resource: ConfigResource::BrokerDefault,
                name,
            },
            &[1, 5, 2, 1, b'n'],
        ),
        (MetadataRecord::ProducerIds { next: 1_000 }, &[1, 6, 0xd0, 0x0f]),
        (
            MetadataRecord::FeatureLevel {
                name: "f".to_owned(),
                level: 2,
                epoch: 3,
            },
            &[2, 7, 1, b'f', 4, 6],
        ),
        (
            MetadataRecord::RemoveConfig {
                resource: ConfigResource::Group("g".to_owned()),
                name: "n".to_owned(),
            },
            &[2, 5, 3, 1, b'g', 1, b'n'],
        ),
    ];
    for (record, bytes) in cases {
        assert_eq!(record.encode(), bytes, "{record:?}");
        assert_eq!(MetadataRecord::decode(bytes), Ok(record));
    }
}

#[test]
fn topics_are_found_by_name_order() {
    let topic = |id, name: &str| MetadataRecord::Topic {
        id: TopicId(Uuid::from_u128(id)),
        name: name.to_owned(),
        partition_count: 1,
    };
    let image = replay(
        MetadataImage::default(),
        &[topic(3, "c"), topic(1, "a"), topic(2, "b")],
    );
    let names = |topics: Vec<&std::sync::Arc<TopicImage>>| -> String {
        topics.iter().map(|topic| &topic.name[..]).collect()
    };
    assert_eq!(names(image.topics().collect()), "abc");
    assert_eq!(names(image.topics_from("aa").collect()), "bc");
    assert_eq!(names(image.topics_from("b").collect()), "bc");
    assert!(is_internal("__consumer_offsets") && !is_internal("a"));
}
