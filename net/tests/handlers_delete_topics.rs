//! DeleteTopics against a real broker.

mod common;

use common::{TestBroker, create, end_offset, on_one_and_two_shards, produce, topic_name, topics};
use kafka_protocol::messages::DeleteTopicsResponse;
use kafka_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use tautline_core::error::ErrorCode;
use tautline_core::ids::TopicId;
use uuid::Uuid;

fn codes(response: &DeleteTopicsResponse) -> Vec<i16> {
    response.responses.iter().map(|it| it.error_code).collect()
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    on_one_and_two_shards(|_, client| {
        for version in 1..=5 {
            let id = create(client, "doomed", 4, &[]);
            produce(client, "doomed", 3, 5);
            let names = vec![topic_name("doomed"), topic_name("absent")];
            let response = client.ask(version, &DeleteTopicsRequest::default().with_topic_names(names));
            assert_eq!(codes(&response), [0, ErrorCode::UnknownTopicOrPartition.code()]);
            assert_eq!(response.responses[1].error_message.is_some(), version >= 5);
            assert_eq!(topics(client), []);
            // A new topic of that name is another one, and empty.
            assert_ne!(create(client, "doomed", 4, &[]), id);
            assert_eq!(end_offset(client, "doomed", 3), 0);
            client.ask(
                1,
                &DeleteTopicsRequest::default().with_topic_names(vec![topic_name("doomed")]),
            );
        }
        let by_name = |name: &str| DeleteTopicState::default().with_name(Some(topic_name(name)));
        let by_id = |id: TopicId| DeleteTopicState::default().with_topic_id(id.0);
        let named = create(client, "named", 2, &[]);
        let identified = create(client, "identified", 2, &[]);
        let kept = create(client, "kept", 2, &[]);
        let states = vec![
            by_name("named"),
            by_id(identified),
            by_id(TopicId(Uuid::from_u128(7))),
            DeleteTopicState::default(),
            by_name("kept").with_topic_id(kept.0),
            by_name("twice"),
            by_name("twice"),
        ];
        let response = client.ask(6, &DeleteTopicsRequest::default().with_topics(states));
        let invalid = ErrorCode::InvalidRequest.code();
        let unknown_id = ErrorCode::UnknownTopicId.code();
        assert_eq!(
            codes(&response),
            [0, 0, unknown_id, invalid, invalid, invalid, invalid]
        );
        let told: Vec<_> = response
            .responses
            .iter()
            .map(|it| it.name.as_ref().map(|it| it.to_string()))
            .collect();
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(
            told[..5],
            [name("named"), name("identified"), None, None, name("kept")]
        );
        let ids: Vec<_> = response.responses.iter().map(|it| it.topic_id).collect();
        assert_eq!(ids[..3], [named.0, identified.0, Uuid::from_u128(7)]);
        assert_eq!(topics(client), [("kept".to_owned(), 2)]);
        let both = vec![by_id(kept), by_name("kept")];
        let response = client.ask(6, &DeleteTopicsRequest::default().with_topics(both));
        assert_eq!(
            codes(&response),
            [0, invalid],
            "the name maps to an id that was already supplied"
        );
    });
}

/// KIP-322: clients before version 3 do not know the code.
#[test]
fn deletion_can_be_disabled() {
    let broker = TestBroker::start(1, &["--set", "delete.topic.enable=false"]);
    let client = &mut broker.connect();
    create(client, "kept", 1, &[]);
    for (version, code) in [
        (1, ErrorCode::InvalidRequest),
        (3, ErrorCode::TopicDeletionDisabled),
    ] {
        let request = DeleteTopicsRequest::default().with_topic_names(vec![topic_name("kept")]);
        assert_eq!(codes(&client.ask(version, &request)), [code.code()]);
    }
    assert_eq!(topics(client).len(), 1);
}
