//! ListGroups (16), versions 0-5: the groups of all shards, or of the one that was asked at its own address. KIP-518 (states), KIP-848 (types).

use futures_util::stream::{self, StreamExt};
use tautline_core::error::ErrorCode;
use tautline_replica::groups::request::ListGroups;
use tautline_replica::groups::{GroupCoordinator, GroupRequest};

use super::grouped::{COORDINATORS_AT_A_TIME, told};
use crate::connection::{Call, Reply};
use crate::coordinator::Hosted;
use crate::wire::{ListGroupsRequest, ListGroupsResponse, ListedGroup, Str, WireError};

/// Lists the groups; an error where not all of them can be told.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: ListGroupsRequest<'_> = call.decode()?;
    let owned = |names: &[Str<'_>]| names.iter().map(|name| name.to_string()).collect();
    let list = ListGroups {
        states: owned(&request.states_filter),
        types: owned(&request.types_filter),
    };
    let image = call.broker.image();
    let partitions = image.topic(GroupCoordinator::TOPIC.name()).map(|topic| {
        let owner = |index| call.broker.owner(topic.id, index);
        let call = &call;
        topic
            .partitions()
            .filter(move |&index| call.answers_for(owner(index)))
    });
    let asked = partitions.into_iter().flatten().map(|partition| {
        call.broker
            .ask_partition::<GroupCoordinator>(partition, GroupRequest::ListGroups(list.clone()))
    });
    let answers: Vec<_> = stream::iter(asked)
        .buffer_unordered(COORDINATORS_AT_A_TIME)
        .collect()
        .await;
    let (mut groups, mut error) = (Vec::new(), ErrorCode::None);
    for answer in answers {
        match answer {
            Ok(answer) => groups.extend(told!(ListGroups, answer)),
            // What has no coordinator here has no groups here.
            Err(ErrorCode::NotCoordinator) => {}
            Err(code) => error = code,
        }
    }
    if error != ErrorCode::None {
        groups.clear();
    }
    let groups = groups.iter().map(|group| ListedGroup {
        group_id: (&*group.group_id).into(),
        protocol_type: (&*group.protocol_type).into(),
        group_state: group.state.into(),
        group_type: group.group_type.into(),
    });
    Ok(call.reply(&ListGroupsResponse {
        error_code: error.code(),
        groups: groups.collect(),
        ..Default::default()
    }))
}
