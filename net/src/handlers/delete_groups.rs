//! DeleteGroups (42), versions 0-2: forgets groups without members, with their offsets. KIP-229.

use tautline_replica::groups::GroupRequest;
use tautline_replica::groups::request::DeleteGroups;

use super::grouped::{ask_all, told};
use crate::connection::{Call, Reply};
use crate::wire::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse, WireError};

/// Forgets the groups.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: DeleteGroupsRequest<'_> = call.decode()?;
    let groups = request.groups_names.iter().map(|group| group.to_string());
    let delete = |group_ids| GroupRequest::DeleteGroups(DeleteGroups { group_ids });
    let mut results = Vec::new();
    for (groups, answer) in ask_all(&call, groups, delete).await {
        match answer {
            Ok(answer) => results.extend(told!(DeleteGroups, answer)),
            Err(error) => results.extend(groups.into_iter().map(|group| (group, error))),
        }
    }
    let results = results.into_iter().map(|(group, error)| DeletableGroupResult {
        group_id: group.into(),
        error_code: error.code(),
    });
    Ok(call.reply(&DeleteGroupsResponse {
        results: results.collect(),
        ..Default::default()
    }))
}
