//! DeleteTopics (20), versions 1-6. KIP-4, KIP-599 (error message, 5), KIP-516 (by id, 6).

use uuid::Uuid;

use super::Str;
use super::schema::wire;

wire! {
    /// Asks to delete topics.
    pub struct DeleteTopicsRequest<'a> for DeleteTopics {
        /// The topics, by name or id.
        topics: Vec<DeleteTopicState<'a>>, 6..;
        /// The topics' names, in versions before 6.
        topic_names: Vec<Str<'a>>, 1..=5;
        /// How long to wait for the deletion.
        timeout_ms: i32, 1..;
    }

    /// A topic to delete.
    pub struct DeleteTopicState<'a> {
        /// Its name; null when given by id.
        name: Option<Str<'a>>, 6.., null 6..;
        /// Its id, or zero.
        topic_id: Uuid, 6..;
    }

    /// What became of the topics.
    pub struct DeleteTopicsResponse<'a> for DeleteTopics {
        /// How long the client is throttled.
        throttle_time_ms: i32, 1..;
        /// Results by topic.
        responses: Vec<DeletableTopicResult<'a>>, 1..;
    }

    /// The result of one topic.
    pub struct DeletableTopicResult<'a> {
        /// Its name; null for an unknown id.
        name: Option<Str<'a>> = Some(Str::default()), 1.., null 6..;
        /// Its id.
        topic_id: Uuid, 6..;
        /// The error code, or 0.
        error_code: i16, 1..;
        /// What the error is about.
        error_message: Option<Str<'a>>, 5.., null 5..;
    }
}
