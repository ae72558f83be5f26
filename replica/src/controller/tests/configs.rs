//! AlterConfigs and IncrementalAlterConfigs.

use super::*;

fn change(resource: ConfigResource, entries: Vec<(&str, ConfigOp)>) -> ConfigChange<ConfigOp> {
    let entries = entries
        .into_iter()
        .map(|(name, op)| (name.to_owned(), op))
        .collect();
    ConfigChange { resource, entries }
}

fn topic_resource(name: &str) -> ConfigResource {
    ConfigResource::Topic(name.to_owned())
}

fn alter(controller: &mut Controller, name: &str, op: ConfigOp) -> Result<(), ErrorCode> {
    let changes = [change(topic_resource("t"), vec![(name, op)])];
    let decision = controller.incremental_alter_configs(&changes, &Rules);
    controller.apply(&decision.records).unwrap();
    decision.results[0].clone().map_err(|refusal| refusal.code)
}

#[test]
fn incremental_changes_set_delete_append_subtract() {
    let mut controller = with_topic("t");
    let text = |text: &str| Some(text.to_owned());
    let value = |controller: &Controller, name: &str| {
        controller.image().topic("t").unwrap().configs.get(name).cloned()
    };
    alter(&mut controller, "retention.ms", ConfigOp::Set(text("7"))).unwrap();
    assert_eq!(value(&controller, "retention.ms"), text("7"));
    alter(&mut controller, "retention.ms", ConfigOp::Delete).unwrap();
    assert_eq!(value(&controller, "retention.ms"), None);
    // Appending starts from the default, and adds nothing twice.
    alter(
        &mut controller,
        "cleanup.policy",
        ConfigOp::Append(text("compact, delete")),
    )
    .unwrap();
    assert_eq!(value(&controller, "cleanup.policy"), text("delete,compact"));
    alter(
        &mut controller,
        "cleanup.policy",
        ConfigOp::Subtract(text("delete")),
    )
    .unwrap();
    assert_eq!(value(&controller, "cleanup.policy"), text("compact"));
    assert_eq!(
        alter(
            &mut controller,
            "cleanup.policy",
            ConfigOp::Subtract(text("compact"))
        ),
        Err(ErrorCode::InvalidConfig)
    );
    assert_eq!(
        alter(&mut controller, "retention.ms", ConfigOp::Append(text("1"))),
        Err(ErrorCode::InvalidConfig)
    );
    assert_eq!(
        alter(&mut controller, "nope", ConfigOp::Set(text("1"))),
        Err(ErrorCode::InvalidConfig)
    );
    for op in [
        ConfigOp::Set(None),
        ConfigOp::Append(None),
        ConfigOp::Subtract(None),
    ] {
        assert_eq!(
            alter(&mut controller, "cleanup.policy", op),
            Err(ErrorCode::InvalidRequest)
        );
    }
    let long = "9".repeat(32_768);
    assert_eq!(
        alter(&mut controller, "retention.ms", ConfigOp::Set(Some(long))),
        Err(ErrorCode::InvalidConfig)
    );
}

#[test]
fn changes_name_existing_resources_once() {
    let controller = with_topic("t");
    let delete = || vec![("retention.ms", ConfigOp::Delete)];
    let refused = |changes: &[ConfigChange<ConfigOp>]| {
        code(&controller.incremental_alter_configs(changes, &Rules).results[0])
    };
    assert_eq!(
        refused(&[change(topic_resource("no"), delete())]),
        ErrorCode::UnknownTopicOrPartition
    );
    assert_eq!(
        refused(&[change(topic_resource(""), delete())]),
        ErrorCode::InvalidRequest
    );
    assert_eq!(
        refused(&[change(ConfigResource::Broker(NodeId(9)), delete())]),
        ErrorCode::BrokerIdNotRegistered
    );
    let twice = || change(topic_resource("t"), delete());
    assert_eq!(refused(&[twice(), twice()]), ErrorCode::InvalidRequest);
    let doubled = vec![
        ("retention.ms", ConfigOp::Delete),
        ("retention.ms", ConfigOp::Delete),
    ];
    assert_eq!(
        refused(&[change(topic_resource("t"), doubled)]),
        ErrorCode::InvalidRequest
    );
}

#[test]
fn full_changes_replace_what_was_set() {
    let mut controller = with_topic("t");
    let full = |entries: &[(&str, Option<&str>)]| {
        let entries = entries
            .iter()
            .map(|(name, value)| (name.to_string(), value.map(str::to_owned)));
        [ConfigChange {
            resource: topic_resource("t"),
            entries: entries.collect(),
        }]
    };
    let decision = controller.alter_configs(
        &full(&[("retention.ms", Some("7")), ("cleanup.policy", Some("compact"))]),
        &Rules,
    );
    controller.apply(&decision.records).unwrap();
    let decision = controller.alter_configs(&full(&[("retention.ms", Some("7"))]), &Rules);
    let removed = MetadataRecord::RemoveConfig {
        resource: topic_resource("t"),
        name: "cleanup.policy".to_owned(),
    };
    assert_eq!(decision.records, [removed]);
    let refused = |changes: &[ConfigChange<Option<String>>]| {
        code(&controller.alter_configs(changes, &Rules).results[0])
    };
    assert_eq!(
        refused(&full(&[("retention.ms", None)])),
        ErrorCode::InvalidRequest
    );
    assert_eq!(
        refused(&full(&[("retention.ms", Some("x"))])),
        ErrorCode::InvalidConfig
    );
}

#[test]
fn broker_configs_have_a_default_and_a_broker_of_their_own() {
    let mut controller = controller();
    let set = |resource, value: &str| {
        change(
            resource,
            vec![("retention.ms", ConfigOp::Set(Some(value.to_owned())))],
        )
    };
    let changes = [
        set(ConfigResource::BrokerDefault, "1"),
        set(ConfigResource::Broker(NODE), "2"),
    ];
    let decision = controller.incremental_alter_configs(&changes, &Rules);
    controller.apply(&decision.records).unwrap();
    assert_eq!(controller.image().broker_defaults()["retention.ms"], "1");
    assert_eq!(
        controller.image().broker_configs(NODE).unwrap()["retention.ms"],
        "2"
    );
}
