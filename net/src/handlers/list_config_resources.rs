//! ListConfigResources (74), versions 0-1: what has configuration. KIP-1142.
//!
//! That is brokers, topics, and groups that have some of their own. Log levels and subscriptions to clients' metrics can be asked for and there are none;
//! version 0 asks for nothing but the latter (KIP-714).

use crate::connection::{Call, Reply};
use crate::wire::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse, WireError, resource_type,
};
use tautline_core::error::ErrorCode;

/// What version 1 can ask for.
const KNOWN: [i8; 5] = [
    resource_type::TOPIC,
    resource_type::BROKER,
    resource_type::BROKER_LOGGER,
    resource_type::CLIENT_METRICS,
    resource_type::GROUP,
];

/// Lists the resources of the kinds asked for.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: ListConfigResourcesRequest = call.decode()?;
    let asked = match &request.resource_types[..] {
        _ if call.version == 0 => &[resource_type::CLIENT_METRICS],
        [] => &KNOWN[..],
        some => some,
    };
    if asked.iter().any(|kind| !KNOWN.contains(kind)) {
        let error_code = ErrorCode::UnsupportedVersion.code();
        return Ok(call.reply(&ListConfigResourcesResponse {
            error_code,
            ..Default::default()
        }));
    }
    let image = call.broker.image();
    let mut found = Vec::new();
    if asked.contains(&resource_type::BROKER) {
        let named = |id: String| ConfigResource {
            resource_name: id.into(),
            resource_type: resource_type::BROKER,
        };
        let brokers = call.broker.node.advertised.iter();
        found.extend(brokers.map(|broker| named(broker.id.0.to_string())));
    }
    if asked.contains(&resource_type::TOPIC) {
        let named = |name: String| ConfigResource {
            resource_name: name.into(),
            resource_type: resource_type::TOPIC,
        };
        found.extend(image.topics().map(|topic| named(topic.name.to_string())));
    }
    if asked.contains(&resource_type::GROUP) {
        let named = |name: &str| ConfigResource {
            resource_name: name.to_owned().into(),
            resource_type: resource_type::GROUP,
        };
        found.extend(image.configured_groups().map(named));
    }
    Ok(call.reply(&ListConfigResourcesResponse {
        config_resources: found,
        ..Default::default()
    }))
}
