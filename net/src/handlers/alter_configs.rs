//! AlterConfigs (33), versions 0-2: replaces the whole configuration of topics and brokers. KIP-133.

use tautline_replica::Refusal;
use tautline_replica::controller::ConfigChange;

use super::configured::{alter, answer, resource};
use crate::broker::Broker;
use crate::connection::{Call, Reply};
use crate::wire::{AlterConfigsRequest, AlterConfigsResource, AlterConfigsResponse, WireError};

/// Replaces the configurations, or says whether they could be.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: AlterConfigsRequest<'_> = call.decode()?;
    let changes = request
        .resources
        .iter()
        .map(|it| change(&call.broker, it))
        .collect();
    let decide = |changes| call.broker.alter_configs(changes, request.validate_only);
    let results = alter(changes, decide).await;
    let asked = request.resources.iter().zip(results);
    let responses = asked
        .map(|(it, result)| answer(it.resource_type, &it.resource_name, result))
        .collect();
    Ok(call.reply(&AlterConfigsResponse {
        throttle_time_ms: 0,
        responses,
    }))
}

fn change(
    broker: &Broker,
    asked: &AlterConfigsResource<'_>,
) -> Result<ConfigChange<Option<String>>, Refusal> {
    let resource = resource(broker, asked.resource_type, &asked.resource_name)?;
    let entries = asked
        .configs
        .iter()
        .map(|it| (it.name.to_string(), it.value.as_deref().map(String::from)));
    Ok(ConfigChange {
        resource,
        entries: entries.collect(),
    })
}
