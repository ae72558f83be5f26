//! The response to a Fetch: what stands between the records is written, the records go as they are.

use tautline_core::buffer::Slice;
use tautline_core::error::ErrorCode;
use tautline_store::Part;

use super::scratch::{Asked, Scratch, Topic};
use crate::broker::Findings;
use crate::connection::{Call, Reply, Response};
use crate::wire::{FetchResponseEncoder, FetchResponseHead, Segment, Writer};

/// Encodes the answers that are told; neighbours of one topic stand under one heading.
pub(super) fn encode(call: &Call, head: FetchResponseHead, scratch: &mut Scratch) -> Reply {
    let Scratch {
        topics,
        asked,
        findings,
        answers,
        told,
        writer,
        ..
    } = scratch;
    let is_same_topic = |&a: &usize, &b: &usize| one_topic(topics, &asked[a], &asked[b]);
    let headings = told.chunk_by(is_same_topic).count();
    let (version, correlation_id) = (call.version, call.correlation_id());
    let mut response = FetchResponseEncoder::begin(writer, version, correlation_id, head, headings);
    for partitions in told.chunk_by(is_same_topic) {
        let topic = &topics[asked[partitions[0]].topic];
        response.topic(topic.name.as_str(), topic.id, partitions.len());
        partitions
            .iter()
            .for_each(|&place| response.partition(&answers[place]));
    }
    response.finish(&[]);
    call.count_errors(writer);
    let written = call.broker.request_memory.response(writer.bytes());
    Reply::Send(interleave(&written, writer, told, findings))
}

/// An error of the whole request.
pub(super) fn refuse(call: &Call, error: ErrorCode, scratch: &mut Scratch) -> Reply {
    scratch.told.clear();
    let head = FetchResponseHead {
        error_code: error.code(),
        ..Default::default()
    };
    encode(call, head, scratch)
}

fn one_topic(topics: &[Topic], a: &Asked, b: &Asked) -> bool {
    a.topic == b.topic || topics[a.topic].is_named_as(&topics[b.topic])
}

/// Puts the records of those that are told between the written bytes.
fn interleave(written: &Slice, writer: &Writer, told: &[usize], findings: &mut Findings) -> Response {
    let Findings {
        partitions, parts, ..
    } = findings;
    let mut payloads = told.iter().flat_map(|&place| partitions[place].parts.clone());
    let mut response = Response::new();
    for segment in writer.segments() {
        match segment {
            Segment::Written(range) => response.push(Part::Memory(written.slice(range))),
            Segment::Payload { mut size_bytes } => {
                while size_bytes > 0 {
                    let next = payloads.next();
                    let part = &mut parts[next.expect("the payloads add up to what was announced")];
                    size_bytes -= part.len();
                    response.push(std::mem::take(part));
                }
            }
        }
    }
    response
}
