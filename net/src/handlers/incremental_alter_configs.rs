//! IncrementalAlterConfigs (44), versions 0-1: changes single configurations of topics and brokers. KIP-339.

use tautline_core::error::ErrorCode;
use tautline_replica::Refusal;
use tautline_replica::controller::{ConfigChange, ConfigOp};

use super::configured::{alter, answer, resource};
use crate::broker::Broker;
use crate::connection::{Call, Reply};
use crate::wire::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource, IncrementalAlterConfigsResponse,
    IncrementalAlterableConfig, WireError, config_operation,
};

/// Makes the changes, or says whether they could be made.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: IncrementalAlterConfigsRequest<'_> = call.decode()?;
    let changes = request
        .resources
        .iter()
        .map(|it| change(&call.broker, it))
        .collect();
    let decide = |changes| {
        call.broker
            .incremental_alter_configs(changes, request.validate_only)
    };
    let results = alter(changes, decide).await;
    let asked = request.resources.iter().zip(results);
    let responses = asked
        .map(|(it, result)| answer(it.resource_type, &it.resource_name, result))
        .collect();
    Ok(call.reply(&IncrementalAlterConfigsResponse {
        throttle_time_ms: 0,
        responses,
    }))
}

fn change(
    broker: &Broker,
    asked: &IncrementalAlterConfigsResource<'_>,
) -> Result<ConfigChange<ConfigOp>, Refusal> {
    let resource = resource(broker, asked.resource_type, &asked.resource_name)?;
    let entries = asked
        .configs
        .iter()
        .map(|it| Ok((it.name.to_string(), operation(it)?)));
    Ok(ConfigChange {
        resource,
        entries: entries.collect::<Result<_, Refusal>>()?,
    })
}

fn operation(asked: &IncrementalAlterableConfig<'_>) -> Result<ConfigOp, Refusal> {
    let value = asked.value.as_deref().map(String::from);
    match asked.config_operation {
        config_operation::SET => Ok(ConfigOp::Set(value)),
        config_operation::DELETE => Ok(ConfigOp::Delete),
        config_operation::APPEND => Ok(ConfigOp::Append(value)),
        config_operation::SUBTRACT => Ok(ConfigOp::Subtract(value)),
        other => Err(Refusal::new(
            ErrorCode::InvalidRequest,
            format!("Unknown operations type {other}"),
        )),
    }
}
