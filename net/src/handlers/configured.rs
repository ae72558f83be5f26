//! What can be configured, as requests name it, and changes of several at a time.

use std::future::Future;

use tautline_core::error::ErrorCode;
use tautline_core::ids::NodeId;
use tautline_replica::controller::ConfigChange;
use tautline_replica::metadata::ConfigResource;
use tautline_replica::{Refusal, names};

use crate::broker::Broker;
use crate::node::BrokerId;
use crate::wire::{AlterConfigsResourceResponse, Str, resource_type};

/// What is to be changed.
///
/// # Errors
/// INVALID_REQUEST for a kind that has no configuration here or a broker that is not this one, INVALID_TOPIC_EXCEPTION for a
/// name that no topic can have.
pub(super) fn resource(broker: &Broker, kind: i8, name: &str) -> Result<ConfigResource, Refusal> {
    match kind {
        resource_type::TOPIC => {
            // The controller has words of its own for the empty name.
            if !name.is_empty() {
                names::validate(name)?;
            }
            Ok(ConfigResource::Topic(name.to_owned()))
        }
        resource_type::BROKER if name.is_empty() => Ok(ConfigResource::BrokerDefault),
        // What is set for a lane is set for its node.
        resource_type::BROKER => broker_here(broker, name).map(|_| ConfigResource::Broker(broker.node_id())),
        resource_type::GROUP => Ok(ConfigResource::Group(name.to_owned())),
        other => Err(Refusal::new(
            ErrorCode::InvalidRequest,
            format!("Unknown resource type {other}"),
        )),
    }
}

/// This broker or another lane of this node, by its id in decimal: other nodes are asked themselves.
///
/// # Errors
/// INVALID_REQUEST for anything else.
pub(super) fn broker_here(broker: &Broker, name: &str) -> Result<BrokerId, Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    match name.parse().map(BrokerId) {
        // One broker has one name: "01" and "+1" are none.
        Ok(BrokerId(id)) if id.to_string() != name => {
            invalid(format!("Broker id must be an integer, but it is: {name}"))
        }
        Ok(id) if broker.node.has(id) => Ok(id),
        Ok(BrokerId(id)) => {
            let this = broker.node.broker_of(broker.shard()).id.0;
            invalid(format!(
                "Unexpected broker id, expected {this} or empty string, but received {id}"
            ))
        }
        Err(_) => invalid(format!("Broker id must be an integer, but it is: {name}")),
    }
}

/// The nodes that a client chose for replicas: a lane stands for its node, which places partitions itself. Two lanes of a node
/// are no two replicas.
pub(super) fn nodes_of(broker: &Broker, chosen: &[i32]) -> Vec<NodeId> {
    let node = |&id: &i32| match BrokerId(id) {
        here if broker.node.has(here) => broker.node_id(),
        BrokerId(elsewhere) => NodeId(elsewhere),
    };
    chosen.iter().map(node).collect()
}

/// Has the changes decided that were not refused before; all results in the request's order.
pub(super) async fn alter<T, F>(
    changes: Vec<Result<ConfigChange<T>, Refusal>>,
    decide: impl FnOnce(Vec<ConfigChange<T>>) -> F,
) -> Vec<Result<(), Refusal>>
where
    F: Future<Output = Result<Vec<Result<(), Refusal>>, Refusal>>,
{
    let mut legal = Vec::new();
    let mut results: Vec<Option<Result<(), Refusal>>> = Vec::with_capacity(changes.len());
    for change in changes {
        results.push(change.map(|change| legal.push(change)).err().map(Err));
    }
    let mut decided = match decide(legal).await {
        Ok(decided) => Ok(decided.into_iter()),
        Err(refusal) => Err(refusal),
    };
    let mut next = || match &mut decided {
        Ok(decided) => decided.next().expect("the controller decides on every change"),
        Err(refusal) => Err(refusal.clone()),
    };
    results
        .into_iter()
        .map(|refused| refused.unwrap_or_else(&mut next))
        .collect()
}

/// The result of one resource.
pub(super) fn answer<'a>(
    resource_type: i8,
    resource_name: &Str<'a>,
    result: Result<(), Refusal>,
) -> AlterConfigsResourceResponse<'a> {
    let refusal = result.err();
    AlterConfigsResourceResponse {
        error_code: refusal.as_ref().map_or(0, |refusal| refusal.code.code()),
        error_message: refusal.map(|refusal| refusal.message.into()),
        resource_type,
        resource_name: resource_name.clone(),
    }
}
