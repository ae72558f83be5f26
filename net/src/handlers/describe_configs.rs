//! DescribeConfigs (32), versions 1-4: what is configured, where, and what it means. KIP-133, KIP-226 (synonyms), KIP-569
//! (documentation).
//!
//! A topic; a group, which need not exist; a broker by its id; or all brokers, by the empty name: then only what was set for all of them is told.

use std::collections::HashSet;

use tautline_core::error::ErrorCode;
use tautline_core::limits::GROUPS_CONFIGURED_MAX;
use tautline_core::task::yield_if_needed;
use tautline_replica::metadata::Configs;
use tautline_replica::{Refusal, names};

use super::configured::broker_here;
use crate::broker::Broker;
use crate::config::{Described, Source};
use crate::connection::{Call, Reply};
use crate::node::Advertised;
use crate::wire::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym, WireError, resource_type,
};

/// Describes each resource.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: DescribeConfigsRequest<'_> = call.decode()?;
    let mut seen = HashSet::new();
    // A resource asked for again is told once, so that no answer is larger than what there is to tell.
    let resources = request
        .resources
        .iter()
        .filter(|it| seen.insert((it.resource_type, it.resource_name.clone())));
    let mut results = Vec::new();
    let mut groups = 0;
    for resource in resources {
        groups += usize::from(resource.resource_type == resource_type::GROUP);
        let described = if groups > GROUPS_CONFIGURED_MAX {
            // They need not exist.
            let message = format!("More than {GROUPS_CONFIGURED_MAX} groups in one request.");
            Err(Refusal::new(ErrorCode::InvalidRequest, message))
        } else {
            describe(&call.broker, resource)
        };
        results.push(answer(&request, resource, described));
        yield_if_needed().await;
    }
    Ok(call.reply(&DescribeConfigsResponse {
        throttle_time_ms: 0,
        results,
    }))
}

fn describe(broker: &Broker, resource: &DescribeConfigsResource<'_>) -> Result<Vec<Described>, Refusal> {
    let (image, config) = (broker.image(), &broker.node.config);
    let keys = resource.configuration_keys.as_deref().unwrap_or_default();
    let wanted = |name: &str| keys.is_empty() || keys.iter().any(|key| key == name);
    let name = &resource.resource_name[..];
    match resource.resource_type {
        resource_type::TOPIC => {
            names::validate(name)?;
            let code = ErrorCode::UnknownTopicOrPartition;
            let topic = image
                .topic(name)
                .ok_or_else(|| Refusal::new(code, code.message()))?;
            Ok(config.describe_topic(&image, &topic.configs, wanted))
        }
        resource_type::BROKER if name.is_empty() => {
            let mut described = config.describe_broker_default(&image, wanted);
            for it in &mut described {
                it.synonyms
                    .retain(|synonym| synonym.source == Source::DynamicDefaultBroker);
            }
            Ok(described)
        }
        resource_type::BROKER => {
            let asked = broker_here(broker, name)?;
            let mut described = config.describe_broker(&image, wanted);
            let lane = asked.lane().and_then(|_| broker.node.find(asked));
            if let Some(lane) = lane {
                described.iter_mut().for_each(|it| as_lane(it, lane));
            }
            Ok(described)
        }
        resource_type::GROUP if name.is_empty() => Err(Refusal::new(
            ErrorCode::InvalidRequest,
            "Group name must not be empty",
        )),
        resource_type::GROUP => {
            let nothing = Configs::new();
            let configs = image.group_configs(name).unwrap_or(&nothing);
            Ok(config.describe_group(&image, configs, wanted))
        }
        other => Err(Refusal::new(
            ErrorCode::InvalidRequest,
            format!("Unsupported resource type: {other}"),
        )),
    }
}

/// What a lane says otherwise than its node: its name and its address.
fn as_lane(described: &mut Described, lane: &Advertised) {
    let value = match described.name {
        "broker.id" | "node.id" => lane.id.0.to_string(),
        "advertised.listeners" => format!("PLAINTEXT://{}", lane.address),
        _ => return,
    };
    for synonym in &mut described.synonyms {
        if synonym.source == Source::StaticBroker {
            synonym.value.clone_from(&value);
        }
    }
    described.value = Some(value);
}

fn answer<'a>(
    request: &DescribeConfigsRequest<'_>,
    resource: &DescribeConfigsResource<'a>,
    described: Result<Vec<Described>, Refusal>,
) -> DescribeConfigsResult<'a> {
    let (resource_type, resource_name) = (resource.resource_type, resource.resource_name.clone());
    match described {
        Ok(described) => DescribeConfigsResult {
            resource_type,
            resource_name,
            configs: described.into_iter().map(|it| setting(request, it)).collect(),
            ..Default::default()
        },
        Err(refusal) => DescribeConfigsResult {
            error_code: refusal.code.code(),
            error_message: Some(refusal.message.into()),
            resource_type,
            resource_name,
            ..Default::default()
        },
    }
}

fn setting(request: &DescribeConfigsRequest<'_>, it: Described) -> DescribeConfigsResourceResult<'static> {
    let synonyms = it
        .synonyms
        .into_iter()
        .filter(|_| request.include_synonyms)
        .map(|synonym| DescribeConfigsSynonym {
            name: synonym.name.into(),
            value: Some(synonym.value.into()),
            source: synonym.source as i8,
        });
    DescribeConfigsResourceResult {
        name: it.name.into(),
        value: it.value.filter(|_| !it.sensitive).map(Into::into),
        read_only: it.read_only,
        config_source: it.source as i8,
        is_sensitive: it.sensitive,
        synonyms: synonyms.collect(),
        config_type: it.kind as i8,
        documentation: request.include_documentation.then(|| it.documentation.into()),
    }
}
