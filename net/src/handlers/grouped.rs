//! Requests about groups, taken to the coordinators of the groups and brought back.

use std::collections::HashSet;

use futures_util::future::{Either, select};
use futures_util::stream::{self, StreamExt};
use tautline_core::error::ErrorCode;
use tautline_core::ids::PartitionIndex;
use tautline_replica::groups::{GroupCoordinator, GroupRequest, GroupResponse};

use crate::connection::Call;
use crate::coordinator::{Hosted, partition_of};

/// Coordinators that one request asks at a time.
pub(super) const COORDINATORS_AT_A_TIME: usize = 64;

/// Takes the answer out of what a coordinator gave: it answers each request with its own kind.
macro_rules! told {
    ($kind:ident, $answer:expr) => {
        match $answer {
            tautline_replica::groups::GroupResponse::$kind(told) => told,
            other => unreachable!("a request of one kind was answered with {other:?}"),
        }
    };
}
pub(super) use told;

/// Asks the coordinator of a group.
///
/// # Errors
/// NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS or COORDINATOR_NOT_AVAILABLE.
pub(super) async fn ask(call: &Call, group: &str, request: GroupRequest) -> Result<GroupResponse, ErrorCode> {
    call.broker.ask::<GroupCoordinator>(group, request).await
}

/// Asks for what other members have to do first, with nothing of the request kept in memory. `None` when the client is gone.
///
/// # Errors
/// As for [`ask`].
pub(super) async fn wait_for(
    call: &mut Call,
    group: &str,
    request: GroupRequest,
) -> Option<Result<GroupResponse, ErrorCode>> {
    let asked = call.broker.ask::<GroupCoordinator>(group, request);
    call.release();
    let left = std::pin::pin!(call.connection.left());
    match select(asked, left).await {
        Either::Left((answer, _)) => Some(answer),
        Either::Right(_) => None,
    }
}

/// Asks the coordinators of many groups, each once for all of its groups; a group named again is left out.
pub(super) async fn ask_all(
    call: &Call,
    groups: impl Iterator<Item = String>,
    request: impl Fn(Vec<String>) -> GroupRequest,
) -> Vec<(Vec<String>, Result<GroupResponse, ErrorCode>)> {
    let image = call.broker.image();
    let topic = image.topic(GroupCoordinator::TOPIC.name());
    let count = topic.map_or(1, |topic| topic.partition_count);
    let mut seen = HashSet::new();
    let mut by_partition: Vec<(PartitionIndex, Vec<String>)> = Vec::new();
    for group in groups.filter(|group| seen.insert(group.clone())) {
        let partition = partition_of(&group, count);
        match by_partition.iter_mut().find(|(other, _)| *other == partition) {
            Some((_, groups)) => groups.push(group),
            None => by_partition.push((partition, vec![group])),
        }
    }
    let asked = by_partition.into_iter().map(|(partition, groups)| {
        let asked = call
            .broker
            .ask_partition::<GroupCoordinator>(partition, request(groups.clone()));
        async move { (groups, asked.await) }
    });
    stream::iter(asked)
        .buffer_unordered(COORDINATORS_AT_A_TIME)
        .collect()
        .await
}
