//! The partitions of a request, taken to the shards that own them and brought back in the request's order.
//!
//! One message goes to each shard concerned, whatever the number of partitions; the shards work at the same time, each on a
//! bounded number of partitions at a time.

use std::collections::HashSet;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, TopicId};
use tautline_core::task::yield_if_needed;
use tautline_replica::metadata::TopicImage;

use crate::broker::{Broker, Partition};

/// Partitions of one request that a shard works on at a time.
const PARTITIONS_AT_A_TIME: usize = 64;

/// What a request asks of one topic: the topic, if it exists, and a question a partition.
pub(super) struct Asked<Q> {
    pub topic: Option<Arc<TopicImage>>,
    pub partitions: Vec<(PartitionIndex, Q)>,
}

/// A question on its way to the owner, with its place in the request.
struct Sent<Q> {
    place: (usize, usize),
    topic: TopicId,
    index: PartitionIndex,
    question: Q,
}

type Answered<A> = ((usize, usize), Result<A, ErrorCode>);

/// Has each question answered by `work` on the shard that owns the partition.
///
/// Without `work` being asked, the answer is UNKNOWN_TOPIC_OR_PARTITION where there is no such partition, INVALID_REQUEST where
/// a partition is asked about again (so that no answer is larger than what there is to tell), and NOT_LEADER_OR_FOLLOWER where
/// the log is not open.
pub(super) async fn on_owners<Q, A, W, F>(
    broker: &Rc<Broker>,
    topics: Vec<Asked<Q>>,
    work: W,
) -> Vec<Vec<Result<A, ErrorCode>>>
where
    Q: Send + 'static,
    A: Send + 'static,
    W: Fn(Rc<Partition>, Q) -> F + Clone + Send + 'static,
    F: Future<Output = Result<A, ErrorCode>> + 'static,
{
    let mut seen = HashSet::new();
    let mut by_shard: Vec<Vec<Sent<Q>>> = broker.shards().map(|_| Vec::new()).collect();
    let mut answers: Vec<Vec<Result<A, ErrorCode>>> = Vec::with_capacity(topics.len());
    for (row, Asked { topic, partitions }) in topics.into_iter().enumerate() {
        let mut answered = Vec::with_capacity(partitions.len());
        for (column, (index, question)) in partitions.into_iter().enumerate() {
            answered.push(Err(
                match topic.as_ref().filter(|topic| topic.has_partition(index)) {
                    None => ErrorCode::UnknownTopicOrPartition,
                    Some(topic) if !seen.insert((topic.id, index)) => ErrorCode::InvalidRequest,
                    Some(topic) => {
                        let sent = Sent {
                            place: (row, column),
                            topic: topic.id,
                            index,
                            question,
                        };
                        by_shard[usize::from(broker.owner(topic.id, index).0)].push(sent);
                        ErrorCode::NotLeaderOrFollower
                    }
                },
            ));
        }
        answers.push(answered);
        yield_if_needed().await;
    }
    let asked = broker
        .shards()
        .zip(by_shard)
        .filter(|(_, sent)| !sent.is_empty())
        .map(|(shard, sent)| {
            let work = work.clone();
            broker.on_shard(shard, move |broker| answer_here(broker, sent, work))
        });
    for ((row, column), answer) in join_all(asked).await.into_iter().flatten() {
        answers[row][column] = answer;
    }
    answers
}

/// Answers the questions about this shard's partitions.
async fn answer_here<Q, A, W, F>(broker: Rc<Broker>, sent: Vec<Sent<Q>>, work: W) -> Vec<Answered<A>>
where
    W: Fn(Rc<Partition>, Q) -> F,
    F: Future<Output = Result<A, ErrorCode>>,
{
    let answer = |sent: Sent<Q>| {
        let working = broker
            .find_partition(sent.topic, sent.index)
            .map(|partition| work(partition, sent.question));
        async move {
            let answer = match working {
                Ok(working) => working.await,
                Err(error) => Err(error),
            };
            // A request may name every partition there is: others come in between.
            yield_if_needed().await;
            (sent.place, answer)
        }
    };
    stream::iter(sent)
        .map(answer)
        .buffer_unordered(PARTITIONS_AT_A_TIME)
        .collect()
        .await
}
