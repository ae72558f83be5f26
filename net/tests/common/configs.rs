//! Configurations, read and changed by requests.

use kafka_protocol::messages::alter_configs_request::{
    AlterConfigsRequest, AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource as IncrementalResource, AlterableConfig as IncrementalConfig,
    IncrementalAlterConfigsRequest,
};

use super::{Client, text};

/// A kind of resource: a topic.
pub const TOPIC: i8 = 2;
/// A broker, or with an empty name all of them.
pub const BROKER: i8 = 4;
/// The log levels of a broker.
pub const BROKER_LOGGER: i8 = 8;
/// A subscription to clients' metrics.
pub const CLIENT_METRICS: i8 = 16;
/// A group.
pub const GROUP: i8 = 32;
/// A source: set on the topic.
pub const DYNAMIC_TOPIC: i8 = 1;
/// Set on this broker while it runs.
pub const DYNAMIC_BROKER: i8 = 2;
/// Set for all brokers while they run.
pub const DYNAMIC_DEFAULT_BROKER: i8 = 3;
/// Set at start.
pub const STATIC_BROKER: i8 = 4;
/// Set nowhere.
pub const DEFAULT: i8 = 5;
/// An operation: set the value.
pub const SET: i8 = 0;
/// Return to the default.
pub const DELETE: i8 = 1;
/// Add to a list.
pub const APPEND: i8 = 2;
/// Take from a list.
pub const SUBTRACT: i8 = 3;

/// The configuration of a resource, by keys or all of it.
pub fn describe(
    client: &mut Client,
    version: i16,
    kind: i8,
    name: &str,
    keys: Option<&[&str]>,
) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(keys.map(|keys| keys.iter().map(|key| text(key)).collect()));
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true)
        .with_include_documentation(version >= 3);
    let mut response = client.ask(version, &request);
    assert_eq!(response.results.len(), 1);
    response.results.pop().unwrap()
}

/// One configuration of a resource.
pub fn one(client: &mut Client, kind: i8, name: &str, key: &str) -> DescribeConfigsResourceResult {
    let mut result = describe(client, 4, kind, name, Some(&[key]));
    assert_eq!(
        (result.error_code, result.configs.len()),
        (0, 1),
        "{key}: {result:?}"
    );
    result.configs.pop().unwrap()
}

/// The value of one configuration, and where it comes from.
pub fn value_and_source(client: &mut Client, kind: i8, name: &str, key: &str) -> (String, i8) {
    let found = one(client, kind, name, key);
    (found.value.unwrap().to_string(), found.config_source)
}

/// A configuration, what to do with it, and a value.
pub type Change<'a> = (&'a str, i8, Option<&'a str>);

/// A kind of resource, its name, and changes.
pub type Changes<'a> = (i8, &'a str, &'a [Change<'a>]);

/// Changes single configurations; gives the errors of the resources.
pub fn change(client: &mut Client, resources: &[Changes<'_>], validate_only: bool) -> Vec<i16> {
    let resources = resources.iter().map(|(kind, name, changes)| {
        let configs = changes.iter().map(|(key, operation, value)| {
            IncrementalConfig::default()
                .with_name(text(key))
                .with_config_operation(*operation)
                .with_value(value.map(text))
        });
        IncrementalResource::default()
            .with_resource_type(*kind)
            .with_resource_name(text(name))
            .with_configs(configs.collect())
    });
    let request = IncrementalAlterConfigsRequest::default()
        .with_resources(resources.collect())
        .with_validate_only(validate_only);
    let answers = [0, 1].map(|version| {
        // Version 0 checks only: what is asked for is done once.
        let request = if version == 0 {
            request.clone().with_validate_only(true)
        } else {
            request.clone()
        };
        client.ask(version, &request).responses
    });
    let [checked, done] = answers.map(|it| it.iter().map(|it| it.error_code).collect::<Vec<_>>());
    assert_eq!(checked, done);
    done
}

/// Replaces the configuration of one resource; gives its error.
pub fn replace(
    client: &mut Client,
    version: i16,
    kind: i8,
    name: &str,
    configs: &[(&str, Option<&str>)],
) -> i16 {
    let configs = configs.iter().map(|(key, value)| {
        AlterableConfig::default()
            .with_name(text(key))
            .with_value(value.map(text))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(configs.collect());
    let response = client.ask(
        version,
        &AlterConfigsRequest::default().with_resources(vec![resource]),
    );
    response.responses[0].error_code
}
