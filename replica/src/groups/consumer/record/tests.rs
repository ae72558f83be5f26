//! Round trips of the records, their bytes as Kafka 4.1 writes them, and hostile bytes.

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use tautline_core::ids::{PartitionIndex, TopicId};

use super::member::sorted_names;
use super::*;

fn partitions() -> impl Strategy<Value = PartitionSet> {
    let one = (0u128..3, 0i32..9).prop_map(|(t, p)| (TopicId(Uuid::from_u128(t)), PartitionIndex(p)));
    proptest::collection::vec(one, 0..12).prop_map(|all| all.into_iter().collect())
}

fn name() -> impl Strategy<Value = Arc<str>> {
    "[a-z.é]{0,9}".prop_map(Arc::from)
}

fn names() -> impl Strategy<Value = Arc<[Arc<str>]>> {
    proptest::collection::vec(name(), 0..4).prop_map(sorted_names)
}

fn member() -> impl Strategy<Value = MemberMetadata> {
    let maybe = || proptest::option::of(name());
    let protocol = (name(), proptest::collection::vec(any::<u8>(), 0..9));
    let classic = (any::<i32>(), proptest::collection::vec(protocol, 1..3)).prop_map(
        |(session_timeout_ms, protocols)| ClassicMember {
            session_timeout_ms,
            protocols: protocols
                .into_iter()
                .map(|(name, metadata)| (name, Bytes::from(metadata)))
                .collect(),
        },
    );
    let texts = (maybe(), maybe(), name(), name(), maybe(), maybe());
    (texts, names(), any::<i32>(), proptest::option::of(classic)).prop_map(
        |(
            (instance_id, rack_id, client_id, client_host, regex, server_assignor),
            names,
            timeout,
            classic,
        )| {
            MemberMetadata {
                instance_id,
                rack_id,
                client_id,
                client_host,
                subscribed_topic_names: names,
                subscribed_topic_regex: regex.filter(|regex| !regex.is_empty()),
                rebalance_timeout_ms: timeout,
                server_assignor,
                classic,
            }
        },
    )
}

fn current() -> impl Strategy<Value = CurrentAssignment> {
    let state = prop_oneof![
        Just(MemberState::Stable),
        Just(MemberState::UnrevokedPartitions),
        Just(MemberState::UnreleasedPartitions),
        Just(MemberState::Unknown),
    ];
    (any::<(i32, i32)>(), state, partitions(), partitions()).prop_map(
        |((epoch, previous_epoch), state, assigned, pending_revocation)| CurrentAssignment {
            epoch,
            previous_epoch,
            state,
            assigned,
            pending_revocation,
        },
    )
}

fn records() -> impl Strategy<Value = ConsumerRecord> {
    let epoch = any::<(i32, i64)>().prop_map(|(epoch, metadata_hash)| GroupEpoch { epoch, metadata_hash });
    let pattern =
        (names(), any::<(i64, i64)>()).prop_map(|(topics, (version, timestamp_ms))| ResolvedPattern {
            topics,
            version,
            timestamp_ms,
        });
    prop_oneof![
        proptest::option::of(epoch).prop_map(ConsumerRecord::Group),
        Just(ConsumerRecord::PartitionMetadata(None)),
        (name(), proptest::option::of(member())).prop_map(|(id, member)| ConsumerRecord::Member(id, member)),
        any::<Option<i32>>().prop_map(ConsumerRecord::TargetEpoch),
        (name(), proptest::option::of(partitions())).prop_map(|(id, set)| ConsumerRecord::Target(id, set)),
        (name(), proptest::option::of(current()))
            .prop_map(|(id, current)| ConsumerRecord::Current(id, current)),
        (name(), proptest::option::of(pattern))
            .prop_map(|(text, topics)| ConsumerRecord::Pattern(text, topics)),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(group in name(), record in records()) {
        let written = record.encode(&group);
        let read = ConsumerRecord::decode(&written.key, written.value.as_deref());
        prop_assert_eq!(read, Ok(Some((group, record))));
        if let Some(value) = &written.value {
            for cut in 0..value.len() {
                prop_assert!(ConsumerRecord::decode(&written.key, Some(&value[..cut])).is_err());
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        version in 0i16..20,
        key in proptest::collection::vec(any::<u8>(), 0..30),
        value in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut any_key = version.to_be_bytes().to_vec();
        any_key.extend(&key);
        let _ = ConsumerRecord::decode(&key, Some(&value));
        let _ = ConsumerRecord::decode(&any_key, Some(&value));
        // With a key that is right, so that the value is looked at.
        let mut good_key = version.to_be_bytes().to_vec();
        good_key.extend([0, 1, b'g', 0, 1, b'm']);
        let mut versioned = vec![0, 0];
        versioned.extend(&value);
        let _ = ConsumerRecord::decode(&good_key, Some(&versioned));
    }
}

#[test]
fn bytes_are_kafkas() {
    let epoch = ConsumerRecord::Group(Some(GroupEpoch {
        epoch: 5,
        metadata_hash: 0x0102_0304_0506_0708,
    }))
    .encode("g");
    assert_eq!(epoch.key, [0, 3, 0, 1, b'g']);
    assert_eq!(
        epoch.value.unwrap(),
        [0, 0, 0, 0, 0, 5, 1, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]
    );
    // Without a hash as Kafka 4.0 wrote it.
    let plain = ConsumerRecord::decode(&[0, 3, 0, 1, b'g'], Some(&[0, 0, 0, 0, 0, 5, 0]));
    let epoch = GroupEpoch {
        epoch: 5,
        metadata_hash: 0,
    };
    assert_eq!(plain, Ok(Some(("g".into(), ConsumerRecord::Group(Some(epoch))))));

    let member = ConsumerRecord::Member("m".into(), Some(MemberMetadata::default())).encode("g");
    assert_eq!(member.key, [0, 5, 0, 1, b'g', 0, 1, b'm']);
    let value = [
        0, 0, 0, 0, 1, 1, 1, 0, 0xff, 0xff, 0xff, 0xff,
        0, // the tag of the classic part, which says null
        1, 0, 1, 0,
    ];
    assert_eq!(member.value.unwrap(), value);

    let target: PartitionSet = [(TopicId(Uuid::from_u128(7)), PartitionIndex(2))]
        .into_iter()
        .collect();
    let target = ConsumerRecord::Target("m".into(), Some(target)).encode("g");
    assert_eq!(target.key, [0, 7, 0, 1, b'g', 0, 1, b'm']);
    let mut value = vec![0, 0, 2];
    value.extend(7u128.to_be_bytes());
    value.extend([2, 0, 0, 0, 2, 0, 0]);
    assert_eq!(target.value.unwrap(), value);

    let gone = ConsumerRecord::Pattern("a.*".into(), None).encode("g");
    assert_eq!(gone.key, [0, 16, 0, 1, b'g', 0, 3, b'a', b'.', b'*']);
    assert_eq!(gone.value, None);
}

#[test]
fn other_keys_are_not_ours_and_later_values_are_refused() {
    assert_eq!(ConsumerRecord::decode(&[0, 2, 0, 1, b'g'], None), Ok(None));
    assert_eq!(ConsumerRecord::decode(&[0, 9, 0, 1, b'g'], None), Ok(None));
    assert_eq!(
        ConsumerRecord::decode(&[0, 6, 0, 1, b'g'], Some(&[0, 1, 0, 0, 0, 0, 0])),
        Err(RecordError::Version(1))
    );
    let state = [0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9, 1, 1, 0];
    let Ok(Some((_, ConsumerRecord::Current(_, Some(current))))) =
        ConsumerRecord::decode(&[0, 8, 0, 1, b'g', 0, 1, b'm'], Some(&state))
    else {
        panic!("a state of a later version is read")
    };
    assert_eq!(current.state, MemberState::Unknown);
}
