//! A request in the hands of its handler, and what comes of it.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use tautline_core::buffer::Slice;
use tautline_core::ids::ShardId;
use tautline_core::ids::{PartitionIndex, TopicId};
use tautline_core::stage::Stamps;

use super::{ConnectionState, Entrance, Held, Response};
use crate::broker::Broker;
use crate::wire::{self, ApiKey, Message, Reader, WireError, Writer};

/// What a handler gives back.
pub enum Reply {
    /// A response to send, in pieces.
    Send(Response),
    /// A response to send, in one piece.
    SendOne(Slice),
    /// No response: acks=0.
    Nothing,
    /// The connection is closed, with this line in the log.
    Close(String),
}

/// A reply, and how it came to be.
pub struct Answer {
    /// What is sent.
    pub reply: Reply,
    /// Where the request's time went.
    pub stamps: Stamps,
    /// Its number, given by the client.
    pub correlation_id: i32,
    /// The partition that was acknowledged last, or the first that was read.
    pub partition: Option<(TopicId, PartitionIndex)>,
}

/// A request whose header was read.
pub struct Call {
    /// The shard that serves the connection.
    pub broker: Rc<Broker>,
    /// The connection.
    pub connection: Rc<ConnectionState>,
    /// The API.
    pub api: ApiKey,
    /// The version, which is one that is supported.
    pub version: i16,
    /// Where its time went so far.
    pub stamps: Stamps,
    correlation_id: i32,
    frame: Slice,
    body_at: usize,
    held: Option<Rc<Held>>,
}

impl Call {
    /// A request in `frame` whose body begins at `body_at`, and what it holds of the budget.
    pub fn new(
        broker: Rc<Broker>,
        connection: Rc<ConnectionState>,
        header: &wire::RequestHeader<'_>,
        frame: Slice,
        body_at: usize,
        held: Option<Rc<Held>>,
        stamps: Stamps,
    ) -> Call {
        let (api, version, correlation_id) = (header.api, header.version, header.correlation_id);
        Call {
            broker,
            connection,
            api,
            version,
            stamps,
            correlation_id,
            frame,
            body_at,
            held,
        }
    }

    /// The client's name for itself.
    pub fn client_id(&self) -> String {
        let header = wire::RequestHeader::decode(&mut Reader::new(&self.frame));
        let client_id = header.ok().and_then(|header| header.client_id);
        client_id.unwrap_or_default().into_owned()
    }

    /// Where the client is, as Kafka tells it of members of groups: `/address`.
    pub fn client_host(&self) -> String {
        let peer = &self.connection.peer;
        match peer.parse().map(|peer: SocketAddr| peer.ip().to_canonical()) {
            Ok(IpAddr::V4(address)) => format!("/{address}"),
            Ok(IpAddr::V6(address)) => {
                // As Java writes it.
                let parts: Vec<String> = address
                    .segments()
                    .iter()
                    .map(|part| format!("{part:x}"))
                    .collect();
                format!("/{}", parts.join(":"))
            }
            Err(_) => format!("/{peer}"),
        }
    }

    /// Whether the answer is to tell of what a shard owns, where each broker answers for itself.
    pub fn answers_for(&self, shard: ShardId) -> bool {
        self.connection.entrance == Entrance::Node || shard == self.broker.shard()
    }

    /// Lets go of the request's bytes and of their place in the budget, before a wait for what other clients do. Nothing can
    /// be decoded any more.
    pub fn release(&mut self) {
        self.frame = Slice::default();
        if let Some(held) = self.held.take() {
            held.release();
        }
    }

    /// Reads the request's body.
    ///
    /// # Errors
    /// When the body is not what the version says.
    pub fn decode<'a, M: Message<'a>>(&'a self) -> Result<M, WireError> {
        M::decode(&mut Reader::new(&self.frame[self.body_at..]), self.version)
    }

    /// The request's bytes that lie where `part`, decoded from it, lies: without a copy.
    pub fn slice_of(&self, part: &[u8]) -> Slice {
        let start = part.as_ptr() as usize - self.frame.as_ptr() as usize;
        self.frame.slice(start..start + part.len())
    }

    /// The request's correlation id.
    pub fn correlation_id(&self) -> i32 {
        self.correlation_id
    }

    /// Ends it with a reply.
    pub fn answer(&self, reply: Reply, partition: Option<(TopicId, PartitionIndex)>) -> Answer {
        self.answer_with(self.stamps, reply, partition)
    }

    /// [`Call::answer`] with stamps that were kept elsewhere.
    pub fn answer_with(
        &self,
        stamps: Stamps,
        reply: Reply,
        partition: Option<(TopicId, PartitionIndex)>,
    ) -> Answer {
        Answer {
            reply,
            stamps,
            correlation_id: self.correlation_id,
            partition,
        }
    }

    /// Counts the error codes of a response.
    pub fn count_errors(&self, response: &Writer) {
        self.broker.metrics.errors(self.api, response.errors());
    }

    /// Encodes a response.
    pub fn reply<'a, M: Message<'a>>(&self, response: &M) -> Reply {
        let mut writer = Writer::new();
        wire::encode_response(response, self.version, self.correlation_id, &mut writer);
        self.count_errors(&writer);
        let (bytes, splices) = writer.into_parts();
        debug_assert!(splices.is_empty(), "only fetch responses carry payloads");
        Reply::SendOne(Slice::from_vec(bytes))
    }
}
