//! Why bytes from a client, or from a peer, are not a message. Every decoder returns this and none panics.

use crate::wire::ApiKey;

/// A frame that is not the message it claims to be.
///
/// None of these has an answer in the protocol except an unsupported version of ApiVersions (KIP-511): the connection
/// is closed with one log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A value needs more bytes than the frame has left.
    #[error("byte {at}: {needed} more bytes expected, {remaining} left in the frame")]
    Truncated {
        /// Position in the frame of the value's first byte.
        at: usize,
        /// How many bytes the value takes.
        needed: usize,
        /// How many the frame has.
        remaining: usize,
    },
    /// An array says it has more elements than the rest of the frame can hold.
    #[error("byte {at}: an array of {count} elements cannot fit the {remaining} bytes left in the frame")]
    ArrayTooLong {
        /// Position in the frame behind the count.
        at: usize,
        /// The claimed number of elements.
        count: usize,
        /// How many bytes the frame has left.
        remaining: usize,
    },
    /// A string longer than Kafka's own clients and brokers can send: older versions, and records, have 16 bits for its length.
    #[error("byte {at}: a string of {length} bytes")]
    StringTooLong {
        /// Position in the frame of its length.
        at: usize,
        /// The length as sent.
        length: usize,
    },
    /// A length below -1.
    #[error("byte {at}: negative length {length}")]
    NegativeLength {
        /// Position in the frame of the length.
        at: usize,
        /// The length as sent.
        length: i32,
    },
    /// A null where this version of the message allows none.
    #[error("byte {at}: null where a value is required")]
    UnexpectedNull {
        /// Position in the frame behind the null.
        at: usize,
    },
    /// A variable-length integer of more than 32 bits.
    #[error("byte {at}: a variable-length integer of more than 32 bits")]
    VarintTooLong {
        /// Position in the frame of its first byte.
        at: usize,
    },
    /// A string that is not UTF-8.
    #[error("byte {at}: a string that is not UTF-8")]
    NotUtf8 {
        /// Position in the frame of its first byte.
        at: usize,
    },
    /// A tagged field whose value is shorter than its stated size.
    #[error("byte {at}: tagged field {tag} ends {excess} bytes before its stated size")]
    TaggedFieldSize {
        /// Position in the frame behind the value.
        at: usize,
        /// The field's tag.
        tag: u32,
        /// How many bytes were left over.
        excess: usize,
    },
    /// The decoded form would take more memory than the frame may ask for.
    #[error("byte {at}: decoding the frame would take more memory than its size allows")]
    MemoryLimit {
        /// Position in the frame of the array that went over.
        at: usize,
    },
    /// More elements than one request may have.
    #[error("more than {max} batches in one request")]
    TooManyBatches {
        /// How many there may be.
        max: usize,
    },
    /// Bytes behind the end of the message.
    #[error("byte {at}: {excess} bytes behind the end of the message")]
    TrailingBytes {
        /// Where the message ended.
        at: usize,
        /// How many bytes follow.
        excess: usize,
    },
    /// A request this broker does not know.
    #[error("unknown API key {key} (version {version})")]
    UnknownApi {
        /// The key as sent.
        key: i16,
        /// The version as sent.
        version: i16,
    },
    /// A known request in a version this broker does not speak.
    #[error("{api:?} version {version} is not supported")]
    UnsupportedVersion {
        /// The request.
        api: ApiKey,
        /// The version as sent.
        version: i16,
    },
}
