//! Features: KIP-584, KIP-1022.

use super::*;

fn update(name: &str, level: i16, change: Option<FeatureChange>) -> FeatureUpdate {
    FeatureUpdate {
        name: name.to_owned(),
        level,
        change,
    }
}

fn decide(controller: &mut Controller, updates: &[FeatureUpdate]) -> Result<(), Refusal> {
    let decision = controller.update_features(updates);
    controller.apply(&decision.records).unwrap();
    let [result] = &decision.results[..] else {
        panic!("one result for all")
    };
    result.clone()
}

const UP: Option<FeatureChange> = Some(FeatureChange::Upgrade);
const DOWN: Option<FeatureChange> = Some(FeatureChange::Downgrade);

#[test]
fn a_new_cluster_has_default_levels_and_an_old_one_keeps_its_own() {
    let mut controller = controller();
    assert_eq!(controller.image().feature_level("group.version"), 1);
    let epoch = controller.image().features_epoch();
    assert!(epoch >= 0);
    decide(&mut controller, &[update("group.version", 0, DOWN)]).unwrap();
    assert_eq!(controller.image().features().count(), FEATURES.len() - 1);
    assert_eq!(controller.image().features_epoch(), epoch + 1);
    let (_, records) = controller.register_broker(NODE).unwrap();
    controller.apply(&records).unwrap();
    assert_eq!(
        controller.image().feature_level("group.version"),
        0,
        "also after a start"
    );
}

#[test]
fn levels_go_the_way_that_is_said_and_no_further_than_supported() {
    let mut controller = controller();
    for (wrong, why) in [
        (update("group.version", 0, UP), "Can't downgrade the version"),
        (update("group.version", 2, UP), "only supports versions 0-1"),
        (update("group.version", -1, DOWN), "less than 0"),
        (update("group.version", 1, None), "upgrade type"),
        (update("no.such", 1, UP), "does not support this feature"),
    ] {
        let refusal = decide(&mut controller, std::slice::from_ref(&wrong)).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InvalidUpdateVersion);
        assert!(refusal.message.contains(why), "{refusal}");
        assert!(refusal.message.starts_with("Invalid update version"), "{refusal}");
    }
    let epoch = controller.image().features_epoch();
    decide(&mut controller, &[update("group.version", 1, UP)]).unwrap();
    assert_eq!(controller.image().features_epoch(), epoch, "nothing changed");
    decide(&mut controller, &[update("group.version", 0, DOWN)]).unwrap();
    let refusal = decide(&mut controller, &[update("group.version", 1, DOWN)]).unwrap_err();
    assert!(
        refusal.message.contains("Can't downgrade to a newer version"),
        "{refusal}"
    );
}

#[test]
fn one_wrong_update_stops_all() {
    let mut controller = controller();
    let updates = [update("group.version", 0, DOWN), update("no.such", 1, UP)];
    assert!(decide(&mut controller, &updates).is_err());
    assert_eq!(controller.image().feature_level("group.version"), 1);
}

#[test]
fn internal_topics_do_not_grow() {
    let mut controller = controller();
    create(&mut controller, &[NewTopic::with_defaults("__consumer_offsets")])[0]
        .clone()
        .unwrap();
    let more = NewPartitions {
        name: "__consumer_offsets".to_owned(),
        partition_count: 100,
        assignments: None,
    };
    let refusal = controller.create_partitions(&[more]).results[0]
        .clone()
        .unwrap_err();
    assert_eq!(refusal.code, ErrorCode::InvalidTopicException);
}
