//! Fetch sessions against the rules of KIP-227 and KIP-516.

mod answers;
mod bounds;
mod properties;

use tautline_core::error::ErrorCode;
use tautline_core::ids::Offset;
use uuid::Uuid;

use super::cache::{EPOCH_FINAL, EPOCH_INITIAL, SESSION_ID_NONE};
use super::*;
use crate::wire::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic, PartitionData};

const NOW: i64 = 1_000_000;
const LIMITS: SessionLimits = SessionLimits {
    slots: 2,
    partitions: 100,
    eviction_ms: 1_000,
};
/// A version with topic names, and one with topic ids.
const NAMES: i16 = 12;
const IDS: i16 = 13;

fn sessions() -> FetchSessions {
    FetchSessions::new(LIMITS, 1..1_000, 7)
}

/// A request of partitions `(topic, partition, offset)`.
fn request(session_id: i32, epoch: i32, partitions: &[(&'static str, i32, i64)]) -> FetchRequest<'static> {
    let topic = |(topic, partition, fetch_offset): &(&'static str, i32, i64)| FetchTopic {
        topic: (*topic).into(),
        topic_id: Uuid::from_u128(topic.len() as u128),
        partitions: vec![FetchPartition {
            partition: *partition,
            fetch_offset: *fetch_offset,
            ..Default::default()
        }]
        .into(),
    };
    FetchRequest {
        session_id,
        session_epoch: epoch,
        topics: partitions.iter().map(topic).collect::<Vec<_>>().into(),
        ..Default::default()
    }
}

fn forget(mut request: FetchRequest<'static>, partitions: &[(&'static str, i32)]) -> FetchRequest<'static> {
    let topic = |(topic, partition): &(&'static str, i32)| ForgottenTopic {
        topic: (*topic).into(),
        topic_id: Uuid::from_u128(topic.len() as u128),
        partitions: vec![*partition].into(),
    };
    request.forgotten_topics_data = partitions.iter().map(topic).collect::<Vec<_>>().into();
    request
}

fn answer(high_watermark: i64, records: &'static [u8]) -> PartitionData<'static> {
    PartitionData {
        high_watermark,
        last_stable_offset: high_watermark,
        log_start_offset: 0,
        records: Some(records.into()),
        ..Default::default()
    }
}

/// Opens a session with a full fetch at time `now_ms`; every answer has high watermark 10.
fn open(
    sessions: &mut FetchSessions,
    version: i16,
    partitions: &[(&'static str, i32, i64)],
    now_ms: i64,
) -> i32 {
    let request = request(0, 0, partitions);
    let FetchContext::Full(full) = sessions.begin(version, &request, now_ms) else {
        panic!("full")
    };
    let answers = vec![answer(10, b""); partitions.len()];
    sessions.create(full, &request, &answers, now_ms)
}

fn incremental(context: FetchContext) -> IncrementalFetch {
    let FetchContext::Incremental(turn) = context else {
        panic!("{context:?}")
    };
    turn
}

/// What a turn serves: topic names and partitions.
fn served(sessions: &FetchSessions, turn: &IncrementalFetch) -> Vec<(String, i32, i64)> {
    let name = |partition: SessionPartition<'_>| match partition.topic {
        FetchedTopic::Name(name) => (
            name.to_owned(),
            partition.partition.0,
            partition.position.fetch_offset.0,
        ),
        FetchedTopic::Id(id) => (
            id.0.as_u128().to_string(),
            partition.partition.0,
            partition.position.fetch_offset.0,
        ),
    };
    sessions.partitions(turn).map(name).collect()
}

/// Ends a turn with these answers, in the order served; says which partitions the response includes.
fn finish(sessions: &mut FetchSessions, turn: &IncrementalFetch, answers: &[PartitionData<'_>]) -> Vec<i32> {
    let partitions: Vec<_> = sessions
        .partitions(turn)
        .map(|partition| (partition.slot, partition.partition.0))
        .collect();
    assert_eq!(partitions.len(), answers.len());
    let mut finishing = sessions.finish(turn).unwrap();
    let included = partitions
        .iter()
        .zip(answers)
        .filter(|((slot, _), answer)| finishing.include(*slot, answer));
    included.map(|((_, partition), _)| *partition).collect()
}

/// KIP-227: epoch 0 opens a session; the next request, of epoch 1, need not name the partitions again.
#[test]
fn a_session_remembers_its_partitions() {
    let mut sessions = sessions();
    let id = open(
        &mut sessions,
        NAMES,
        &[("a", 0, 5), ("a", 1, 6), ("b", 0, 7)],
        NOW,
    );
    assert!((1..1_000).contains(&id));
    assert_eq!((sessions.len(), sessions.partition_count()), (1, 3));

    let turn = incremental(sessions.begin(NAMES, &request(id, 1, &[]), NOW));
    assert_eq!(turn.session_id, id);
    let expected =
        [("a", 0, 5), ("a", 1, 6), ("b", 0, 7)].map(|(topic, at, offset)| (topic.to_owned(), at, offset));
    assert_eq!(served(&sessions, &turn), expected);
}

/// KIP-227: epoch -1 wants no session, and closes the one it names; so does epoch 0 before it opens another.
#[test]
fn full_requests_close_the_session_they_name() {
    let mut sessions = sessions();
    for epoch in [EPOCH_FINAL, EPOCH_INITIAL] {
        let id = open(&mut sessions, NAMES, &[("a", 0, 5)], NOW);
        let close = request(id, epoch, &[("a", 0, 5)]);
        let FetchContext::Full(full) = sessions.begin(NAMES, &close, NOW) else {
            panic!()
        };
        assert!(sessions.is_empty());
        let next = sessions.create(full, &close, &[answer(10, b"")], NOW);
        assert_eq!(next == SESSION_ID_NONE, epoch == EPOCH_FINAL);
        assert_ne!(next, id);
        sessions.remove(next);
    }
    assert_eq!(sessions.partition_count(), 0);
}

/// KIP-227: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH. KIP-516: FETCH_SESSION_TOPIC_ID_ERROR.
#[test]
fn errors() {
    let mut sessions = sessions();
    let id = open(&mut sessions, NAMES, &[("a", 0, 5)], NOW);
    let refused = FetchContext::Refused;
    assert_eq!(
        sessions.begin(NAMES, &request(id + 1, 1, &[]), NOW),
        refused(ErrorCode::FetchSessionIdNotFound)
    );
    assert_eq!(
        sessions.begin(NAMES, &request(0, 1, &[]), NOW),
        refused(ErrorCode::FetchSessionIdNotFound)
    );
    for epoch in [2, 17, -2, i32::MIN, i32::MAX] {
        let context = sessions.begin(NAMES, &request(id, epoch, &[]), NOW);
        assert_eq!(context, refused(ErrorCode::InvalidFetchSessionEpoch));
    }
    assert_eq!(
        sessions.begin(IDS, &request(id, 1, &[]), NOW),
        refused(ErrorCode::FetchSessionTopicIdError)
    );
    // None of these moved the session: the expected request still works, and only once.
    incremental(sessions.begin(NAMES, &request(id, 1, &[]), NOW));
    assert_eq!(
        sessions.begin(NAMES, &request(id, 1, &[]), NOW),
        refused(ErrorCode::InvalidFetchSessionEpoch)
    );
    incremental(sessions.begin(NAMES, &request(id, 2, &[]), NOW));

    let id = open(&mut sessions, IDS, &[("a", 0, 5)], NOW);
    assert_eq!(
        sessions.begin(NAMES, &request(id, 1, &[]), NOW),
        refused(ErrorCode::FetchSessionTopicIdError)
    );
}

/// A retried request may overtake the one it repeats: what the earlier would answer is no longer true of the session.
#[test]
fn a_turn_overtaken_by_the_next_is_refused() {
    let mut sessions = sessions();
    let id = open(&mut sessions, NAMES, &[("a", 0, 5)], NOW);
    let first = incremental(sessions.begin(NAMES, &request(id, 1, &[]), NOW));
    let second = incremental(sessions.begin(NAMES, &request(id, 2, &[]), NOW));
    assert_eq!(
        sessions.finish(&first).err(),
        Some(ErrorCode::InvalidFetchSessionEpoch)
    );
    assert_eq!(sessions.partitions(&first).count(), 0);
    assert!(sessions.finish(&second).is_ok());
    sessions.begin(NAMES, &request(id, EPOCH_FINAL, &[]), NOW);
    assert_eq!(
        sessions.finish(&second).err(),
        Some(ErrorCode::FetchSessionIdNotFound)
    );
}

/// KIP-227: after the largest epoch comes 1, since 0 and -1 have meanings of their own.
#[test]
fn epochs_wrap_to_one() {
    let mut sessions = sessions();
    let id = open(&mut sessions, NAMES, &[("a", 0, 5)], NOW);
    sessions.sessions.get_mut(&id).unwrap().epoch = i32::MAX;
    incremental(sessions.begin(NAMES, &request(id, i32::MAX, &[]), NOW));
    incremental(sessions.begin(NAMES, &request(id, 1, &[]), NOW));
}

/// KIP-227: a request lists what to add and change, and in `forgotten_topics_data` what to remove.
#[test]
fn partitions_are_added_changed_and_forgotten() {
    for (version, [a, b, cc]) in [(NAMES, ["a", "b", "cc"]), (IDS, ["1", "1", "2"])] {
        // With ids, "a" and "b" are one topic here: use it for one of them only.
        let (x, y) = (("a", 0), ("cc", 3));
        let mut sessions = sessions();
        let id = open(&mut sessions, version, &[(x.0, x.1, 5), (y.0, y.1, 6)], NOW);
        let change = forget(
            request(id, 1, &[("a", 0, 50), ("b", 9, 70)]),
            &[("cc", 3), ("cc", 4), ("unknown", 1)],
        );
        let turn = incremental(sessions.begin(version, &change, NOW));
        let expected = vec![(a.to_owned(), 0, 50), (b.to_owned(), 9, 70)];
        assert_eq!(served(&sessions, &turn), expected, "version {version}");
        assert_eq!(sessions.partition_count(), 2);

        let back = request(id, 2, &[("cc", 3, 60)]);
        let turn = incremental(sessions.begin(version, &back, NOW));
        assert_eq!(
            served(&sessions, &turn).last(),
            Some(&(cc.to_owned(), 3, 60)),
            "added behind the others"
        );
    }
}

/// Kafka closes a session whose last partition is forgotten, and answers without one.
#[test]
fn an_empty_session_is_closed() {
    let mut sessions = sessions();
    let id = open(&mut sessions, NAMES, &[("a", 0, 5)], NOW);
    let context = sessions.begin(NAMES, &forget(request(id, 1, &[]), &[("a", 0)]), NOW);
    let FetchContext::Full(full) = context else {
        panic!("{context:?}")
    };
    assert_eq!(
        sessions.create(full, &request(id, 1, &[]), [], NOW),
        SESSION_ID_NONE
    );
    assert_eq!((sessions.len(), sessions.partition_count()), (0, 0));
}

/// KIP-227: an incremental response leaves out what has no records, no error and no changed offset.
/// A partition added in a session is answered the first time even if it is empty, so that the client learns its offsets.
/// An error in the full response is not forgotten: the partition is sent when it is well again.
/// KIP-227: partitions whose records were sent go to the end, so that with a small `max_bytes` each has its turn.
/// KIP-227, eviction: a full cache takes a new session only in place of one long unused, or of a smaller one that is not new.
/// What does not fit is served without a session, and a session that outgrows the cache is closed.
#[test]
fn positions_are_what_the_client_sent_last() {
    let mut sessions = sessions();
    let id = open(&mut sessions, NAMES, &[("a", 0, 5)], NOW);
    let mut change = request(id, 1, &[]);
    let partition = FetchPartition {
        partition: 0,
        current_leader_epoch: 3,
        fetch_offset: 8,
        last_fetched_epoch: 2,
        partition_max_bytes: 99,
        ..Default::default()
    };
    change.topics = vec![FetchTopic {
        topic: "a".into(),
        topic_id: Uuid::nil(),
        partitions: vec![partition].into(),
    }]
    .into();
    let turn = incremental(sessions.begin(NAMES, &change, NOW));
    let position = sessions.partitions(&turn).next().unwrap().position;
    assert_eq!((position.fetch_offset, position.bytes_max), (Offset(8), 99));
    assert_eq!(
        (position.current_leader_epoch.0, position.last_fetched_epoch.0),
        (3, 2)
    );
}
