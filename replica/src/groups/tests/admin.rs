//! DescribeGroups, ListGroups, DeleteGroups.

use tautline_core::error::ErrorCode;

use super::lab::{Lab, producer};
use crate::groups::request::{DeleteGroups, GroupRequest, ListGroups};
use crate::groups::response::GroupResponse;

fn delete(lab: &mut Lab, groups: &[&str]) -> Vec<ErrorCode> {
    let group_ids = groups.iter().map(|id| (*id).to_owned()).collect();
    match lab.now(GroupRequest::DeleteGroups(DeleteGroups { group_ids })) {
        GroupResponse::DeleteGroups(deleted) => deleted.into_iter().map(|(_, error)| error).collect(),
        other => panic!("{other:?}"),
    }
}

fn list(lab: &mut Lab, states: &[&str], types: &[&str]) -> Vec<String> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let request = ListGroups {
        states: names(states),
        types: names(types),
    };
    match lab.now(GroupRequest::ListGroups(request)) {
        GroupResponse::ListGroups(groups) => groups
            .into_iter()
            .map(|group| {
                format!(
                    "{} {} {} {}",
                    group.group_id, group.protocol_type, group.state, group.group_type
                )
            })
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn kip_229_groups_without_members_are_deleted_with_their_offsets() {
    let mut lab = Lab::new();
    lab.stable("alive", 1);
    lab.commit_as("g", "", -1, 5);
    lab.commit_in(producer(7), "g", 6);
    use ErrorCode::{GroupIdNotFound, NonEmptyGroup, None};
    assert_eq!(
        delete(&mut lab, &["g", "alive", "nobody", "g"]),
        [None, NonEmptyGroup, GroupIdNotFound, GroupIdNotFound]
    );
    lab.end_transaction(producer(7), true);
    for _ in 0..2 {
        assert_eq!(lab.offset("g", "t"), -1);
        assert_eq!(lab.coordinator.group_count(), 1);
        lab.restart();
    }
}

#[test]
fn kip_518_groups_are_listed_by_state_and_type() {
    let mut lab = Lab::new();
    lab.stable("a", 1);
    lab.commit_as("b", "", -1, 5);
    let request = lab.joining("c");
    lab.join(&request);
    assert_eq!(
        list(&mut lab, &[], &[]),
        [
            "a consumer Stable classic",
            "b  Empty classic",
            "c consumer PreparingRebalance classic"
        ]
    );
    assert_eq!(list(&mut lab, &["stable", "EMPTY"], &[]).len(), 2);
    assert_eq!(list(&mut lab, &["Dead"], &[]).len(), 0);
    assert_eq!(list(&mut lab, &[], &["Classic"]).len(), 3);
    assert_eq!(list(&mut lab, &[], &["consumer"]).len(), 0);
}

#[test]
fn a_group_that_is_unknown_is_dead() {
    let mut lab = Lab::new();
    let described = lab.describe("nobody");
    assert_eq!(
        (described.state, described.error),
        ("Dead", ErrorCode::GroupIdNotFound)
    );
    assert!(described.error_message.is_some());
}

#[test]
fn metadata_is_told_of_a_stable_group_only() {
    let mut lab = Lab::new();
    lab.stable("g", 1);
    assert!(!lab.describe("g").members[0].metadata.is_empty());
    let request = lab.joining("g");
    lab.join(&request);
    let described = lab.describe("g");
    assert_eq!(&*described.protocol, "");
    assert!(described.members.iter().all(|member| member.metadata.is_empty()));
}
