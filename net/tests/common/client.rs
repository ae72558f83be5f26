//! A client that waits for each answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request};

use super::{HANGS, text};

/// One connection.
pub struct Client {
    stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_read_timeout(Some(HANGS)).expect("a TCP socket");
        Client {
            stream,
            correlation_id: 0,
        }
    }

    /// Sends a request in a version, and reads its response to the last byte. A version newer than the codec's newest is taken
    /// to have the same fields (ListOffsets 11 only means more by them).
    pub fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request);
        self.receive::<R>(version)
    }

    /// Sends a request in a version, whose response may take its time.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(text("test")));
        let version = version.min(R::VERSIONS.max);
        let mut body = BytesMut::new();
        header
            .encode(&mut body, R::header_version(version))
            .expect("a header");
        request
            .encode(&mut body, version)
            .expect("a request of that version");
        let mut frame = BytesMut::new();
        frame.put_u32(body.len() as u32);
        frame.put(body);
        self.stream.write_all(&frame).expect("the broker reads");
    }

    /// The response to the request that was sent last.
    pub fn receive<R: Request>(&mut self, version: i16) -> R::Response {
        self.receive_behind::<R>(version, 0)
    }

    /// The response to a request behind which so many were sent.
    pub fn receive_behind<R: Request>(&mut self, version: i16, sent_behind: i32) -> R::Response {
        let version = version.min(R::VERSIONS.max);
        let mut size = [0; 4];
        self.stream.read_exact(&mut size).expect("the broker answers");
        let mut frame = vec![0; u32::from_be_bytes(size) as usize];
        self.stream.read_exact(&mut frame).expect("the whole answer");
        let mut frame = Bytes::from(frame);
        let header =
            ResponseHeader::decode(&mut frame, R::Response::header_version(version)).expect("a header");
        assert_eq!(
            header.correlation_id,
            self.correlation_id - sent_behind,
            "the answer is that of the request"
        );
        let response = R::Response::decode(&mut frame, version).expect("a response of that version");
        assert_eq!(frame.remaining(), 0, "the response ends where its frame ends");
        response
    }
}
