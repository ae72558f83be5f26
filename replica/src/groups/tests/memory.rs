//! The memory of all coordinators of a shard is bounded: what would be new is refused, and those who are there go on.

use bytes::Bytes;

use tautline_core::error::ErrorCode;
use tautline_core::ids::PartitionIndex;

use super::lab::{Lab, again, committing};
use crate::groups::GroupConfig;
use crate::groups::request::{GroupRequest, JoinGroup};
use crate::groups::response::{GroupResponse, Joined};
use crate::memory::CoordinatorMemory;

const REFUSED: ErrorCode = ErrorCode::CoordinatorNotAvailable;

fn lab(memory_bytes: usize) -> Lab {
    Lab::with_memory(GroupConfig::default(), CoordinatorMemory::of(memory_bytes))
}

/// Commits for nobody; what comes of it.
fn commit(lab: &mut Lab, group: &str, partition: i32, metadata: usize) -> ErrorCode {
    let mut request = committing(group, "", -1, "t", 7);
    request.topics[0].partitions[0].partition = PartitionIndex(partition);
    request.topics[0].partitions[0].metadata = Some("m".repeat(metadata));
    match lab.now(GroupRequest::OffsetCommit(request)) {
        GroupResponse::OffsetCommit(committed) => committed.topics[0].partitions[0].1,
        other => panic!("{other:?}"),
    }
}

/// Takes all memory, mostly by members.
fn fill(lab: &mut Lab) -> Vec<(JoinGroup, Joined)> {
    let mut asked = Vec::new();
    loop {
        let request = lab.joining(&format!("filler-{}", asked.len()));
        let token = lab.join(&request);
        if let Some(GroupResponse::JoinGroup(refused)) = lab.answer(token) {
            assert_eq!(refused.error, REFUSED);
            break;
        }
        asked.push((request, token));
    }
    lab.pass(3_000);
    let mut members = Vec::new();
    for (request, token) in asked {
        let mut joined = [lab.joined(token)];
        lab.sync_all(&request.group_id, &mut joined);
        let [joined] = joined;
        members.push((request, joined));
    }
    // The rest, which is less than a member.
    let mut partitions = 0..;
    while commit(lab, "filler", partitions.next().expect("there are more"), 0) == ErrorCode::None {}
    members
}

#[test]
fn members_who_are_there_go_on() {
    let mut lab = lab(100 << 10);
    let members = fill(&mut lab);
    assert!((20..100).contains(&members.len()), "{}", members.len());
    let (request, joined) = &members[0];
    let group = request.group_id.clone();
    // Neither a member nor an id, nor more metadata.
    let newcomer = lab.joining(&group);
    assert_eq!(lab.join_now(&newcomer).error, REFUSED);
    let by_name = JoinGroup {
        requires_known_member_id: true,
        ..lab.joining(&group)
    };
    assert_eq!(lab.join_now(&by_name).error, REFUSED);
    let longer = JoinGroup {
        protocols: vec![("range".to_owned(), vec![0; 20_000].into())],
        ..again(request, joined)
    };
    assert_eq!(lab.join_now(&longer).error, REFUSED);
    assert_eq!(
        lab.heartbeat(&group, joined),
        ErrorCode::None,
        "nothing has changed"
    );
    // The same again, as a leader does that wants to assign anew.
    let token = lab.join(&again(request, joined));
    let joined = lab.joined(token);
    assert_eq!((joined.error, joined.generation_id), (ErrorCode::None, 2));
    // An assignment that there is no memory for begins another generation.
    let large = "a".repeat(20_000);
    let token = lab.sync(&group, &joined, &[(&joined.member_id, &large)]);
    assert_eq!(lab.synced(token).error, REFUSED);
    let token = lab.join(&again(request, &joined));
    let mut joined = [lab.joined(token)];
    lab.sync_all(&group, &mut joined);
    // The log is held in any case, and says the same.
    let used_bytes = lab.memory.used_bytes();
    lab.restart();
    assert_eq!(lab.memory.used_bytes(), used_bytes);
    assert_eq!(lab.join_now(&newcomer).error, REFUSED);
    // When others have left there is room.
    for (request, joined) in &members[1..] {
        lab.leave(&request.group_id, &[(&joined.member_id, None)]);
    }
    let token = lab.join(&newcomer);
    lab.join(&again(request, &joined[0]));
    assert_eq!(lab.joined(token).error, ErrorCode::None);
}

#[test]
fn offsets_who_are_there_go_on() {
    let mut lab = lab(100 << 10);
    let mut count = 0;
    while commit(&mut lab, "g", count, 100) == ErrorCode::None {
        count += 1;
    }
    assert!((100..1_000).contains(&count), "{count}");
    assert_eq!(commit(&mut lab, "g", count, 100), REFUSED);
    assert_eq!(commit(&mut lab, "another", 0, 100), REFUSED);
    assert_eq!(commit(&mut lab, "g", 0, 100), ErrorCode::None);
    // What is left is for them to say more, until that is spent too.
    let more = (0..count).find(|partition| commit(&mut lab, "g", *partition, 4_000) != ErrorCode::None);
    assert!(more.is_some_and(|more| more < 4), "{more:?}");
    let used_bytes = lab.memory.used_bytes();
    lab.restart();
    assert_eq!(lab.memory.used_bytes(), used_bytes);
    assert_eq!(commit(&mut lab, "another", 0, 100), REFUSED);
    assert_eq!(commit(&mut lab, "g", 0, 0), ErrorCode::None);
    assert_eq!(commit(&mut lab, "g", 5, 100), ErrorCode::None);
    // A topic that is deleted makes room.
    lab.delete_topic("t");
    lab.image_changed();
    lab.create_topic("t");
    assert_eq!(commit(&mut lab, "another", 0, 100), ErrorCode::None);
}

#[test]
fn ids_that_are_given_out_count() {
    let mut lab = lab(20 << 10);
    let mut request = lab.joining("g");
    request.requires_known_member_id = true;
    let mut given = 0;
    loop {
        request.fresh_member_id = format!("member-{given}");
        match lab.join_now(&request).error {
            ErrorCode::MemberIdRequired => given += 1,
            error => break assert_eq!(error, REFUSED),
        }
    }
    assert!((10..60).contains(&given), "{given}");
    // They are forgotten when nobody comes with them.
    lab.pass(10_000);
    assert_eq!(lab.join_now(&request).error, ErrorCode::MemberIdRequired);
}

/// Three bytes on the wire can be some eighty in a set.
#[test]
fn a_subscription_to_millions_of_topics_is_not_remembered_by_name() {
    let mut lab = lab(64 << 20);
    let mut metadata = vec![0, 0];
    let count = super::super::limits::SUBSCRIBED_MAX as u32 + 1;
    metadata.extend(count.to_be_bytes());
    for index in 0..count {
        metadata.extend([0, 5]);
        metadata.extend(format!("{index:05x}").as_bytes());
    }
    metadata.extend((-1i32).to_be_bytes());
    let request = JoinGroup {
        protocols: vec![("range".to_owned(), Bytes::from(metadata))],
        ..lab.joining("g")
    };
    lab.stable_of("g", &[request]);
    assert!(lab.memory.used_bytes() < 4 << 20, "{:?}", lab.memory);
}
