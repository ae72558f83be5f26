//! What Metadata says.

use kafka_protocol::messages::metadata_request::MetadataRequest;

use super::Client;

/// Names and partition counts of all topics.
pub fn topics(client: &mut Client) -> Vec<(String, usize)> {
    let all = client.ask(9, &MetadataRequest::default().with_topics(None));
    all.topics
        .iter()
        .map(|it| (it.name.as_ref().unwrap().to_string(), it.partitions.len()))
        .collect()
}
