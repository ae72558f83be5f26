//! A topic's name, for the response to a request that may be gone by then.

use std::sync::Arc;

use tautline_replica::metadata::TopicImage;

/// See the module. That of a topic there is costs no memory.
pub(super) enum Name {
    Known(Arc<TopicImage>),
    Unknown(String),
}

impl Name {
    /// The name of a topic that was found, or else the one it was asked for by.
    pub fn new(found: Option<Arc<TopicImage>>, asked: &str) -> Name {
        match found {
            Some(topic) => Name::Known(topic),
            None => Name::Unknown(asked.to_owned()),
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Name::Known(topic) => &topic.name,
            Name::Unknown(name) => name,
        }
    }
}
