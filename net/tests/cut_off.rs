//! Clients that go away in the middle of what they asked for: what was decided for them is carried out all the same.

mod common;

use common::raw::{framed, request, send_and_end};
use common::{TestBroker, create, produce, topic_name};
use kafka_protocol::messages::TransactionalId;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use kafka_protocol::protocol::Encodable;

/// A length that no frame has: the broker closes the connection as soon as it has read it.
const NO_LENGTH: [u8; 4] = [0xff; 4];

fn body_of(message: &impl Encodable, version: i16) -> Vec<u8> {
    let mut body = bytes::BytesMut::new();
    message
        .encode(&mut body, version)
        .expect("the version has all of that");
    body.to_vec()
}

fn create_topic(name: &str) -> Vec<u8> {
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(2)
        .with_replication_factor(1);
    let create = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(10_000);
    framed(&request(19, 2, 1, &body_of(&create, 2)))
}

/// A record that is in the metadata log and not in the image would have the next decision contradict it, and the next start fail.
#[test]
fn a_topic_whose_creator_is_gone_is_there_also_after_a_restart() {
    const TOPICS: usize = 20;
    for shards in [1, 2] {
        let mut broker = TestBroker::start(shards, &[]);
        let name = |n: usize| format!("abandoned-{n}");
        for n in 0..TOPICS {
            let mut bytes = create_topic(&name(n));
            bytes.extend_from_slice(&NO_LENGTH);
            send_and_end(broker.address(), &bytes);
            // And one that stays until its decision is made, after the other.
            create(&mut broker.connect(), &format!("waited-for-{n}"), 1, &[]);
        }
        let mut client = broker.connect();
        for n in 0..TOPICS {
            produce(&mut client, &name(n), 1, 1);
        }
        let mut client = broker.crash_and_restart(shards);
        for n in 0..TOPICS {
            assert_eq!(produce(&mut client, &name(n), 1, 1), 1, "{}", name(n));
            assert_eq!(produce(&mut client, &format!("waited-for-{n}"), 0, 1), 0);
        }
        broker.stop();
    }
}

#[test]
fn blocks_of_producer_ids_are_given_out_once_though_those_who_asked_are_gone() {
    let mut broker = TestBroker::start(1, &[]);
    let init = InitProducerIdRequest::default()
        .with_transactional_id(None::<TransactionalId>)
        .with_transaction_timeout_ms(60_000);
    let mut bytes = framed(&request(22, 0, 1, &body_of(&init, 0)));
    bytes.extend_from_slice(&NO_LENGTH);
    let mut ids = Vec::new();
    for _ in 0..4 {
        // Every start begins with a block of its own.
        send_and_end(broker.address(), &bytes);
        let mut client = broker.connect();
        ids.push(client.ask(0, &init).producer_id.0);
        broker.crash_and_restart(1);
    }
    println!("{ids:?}");
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    broker.stop();
}
