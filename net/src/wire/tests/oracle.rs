//! The `kafka-protocol` crate, generated from Kafka's message JSON, as an oracle. For every version both know:
//! it reads what we write, field by field the same; it writes the same bytes again; and we read what it writes.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey as TheirKey, RequestKind, ResponseKind};
use uuid::Uuid;

use super::*;
use crate::wire::{ApiKey, api::visit_messages};

/// A message of theirs.
#[derive(Debug)]
enum Theirs {
    Request(RequestKind),
    Response(ResponseKind),
}

impl Theirs {
    fn decode(kind: Kind, key: TheirKey, bytes: &'static [u8], version: i16) -> Self {
        let mut bytes = Bytes::from_static(bytes);
        let message = match kind {
            Kind::Request => Theirs::Request(RequestKind::decode(key, &mut bytes, version).unwrap()),
            Kind::Response => Theirs::Response(ResponseKind::decode(key, &mut bytes, version).unwrap()),
        };
        assert!(
            bytes.is_empty(),
            "{key:?} {kind:?} version {version}: {} bytes left",
            bytes.len()
        );
        message
    }

    fn encode(&self, version: i16) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        match self {
            Theirs::Request(message) => message.encode(&mut bytes, version).unwrap(),
            Theirs::Response(message) => message.encode(&mut bytes, version).unwrap(),
        }
        bytes.to_vec()
    }
}

/// What the crate (0.18) does not decode: what is newer than Kafka 4.1 (ListOffsets 11 is laid out like 10), and two
/// requests that 4.1 has but calls unstable. The bytes of those that look different are in `by_hand.rs`.
const LACKING: &[(Kind, ApiKey, i16)] = &[
    (Kind::Request, ApiKey::ListOffsets, 11),
    (Kind::Response, ApiKey::ListOffsets, 11),
    (Kind::Request, ApiKey::OffsetCommit, 10),
    (Kind::Request, ApiKey::OffsetFetch, 10),
    (Kind::Request, ApiKey::WriteTxnMarkers, 2),
    (Kind::Response, ApiKey::WriteTxnMarkers, 2),
];

struct Compare<'e>(&'e [u8]);

impl Visitor<'static> for Compare<'_> {
    fn visit<M: Message<'static> + Clone + Debug + PartialEq + Default>(&mut self, kind: Kind) {
        let key = TheirKey::try_from(M::API.key()).unwrap();
        for version in M::API
            .versions()
            .filter(|version| !LACKING.contains(&(kind, M::API, *version)))
        {
            let what = format!("{key:?} {kind:?} version {version}");
            let ours = sample::<M>(self.0, version);
            let bytes = encode(&ours, version);
            let theirs = Theirs::decode(kind, key, bytes, version);
            Tree::parse(&format!("{ours:?}")).assert_within(&Tree::parse(&format!("{theirs:?}")), &what);

            let again = theirs.encode(version);
            assert_eq!(again, bytes, "{what}: {ours:?}");
            assert_eq!(decode::<M>(again.leak(), version), Ok(ours), "{what}");

            assert_eq!(
                M::API.request_header_version(version),
                key.request_header_version(version),
                "{what}"
            );
            assert_eq!(
                M::API.response_header_version(version),
                key.response_header_version(version),
                "{what}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn agrees(entropy in entropy()) {
        visit_messages(&mut Compare(&entropy));
    }
}

/// What `Debug` prints of a value, with wrappers (`Some`, newtypes, enum variants) removed. Field names of both sides are
/// Kafka's.
#[derive(Debug, PartialEq)]
enum Tree {
    Struct(BTreeMap<String, Tree>),
    List(Vec<Tree>),
    Scalar(String),
}

impl Tree {
    fn parse(text: &str) -> Self {
        let mut rest = text;
        let tree = Self::parse_one(&mut rest);
        assert_eq!(rest, "", "all of {text}");
        tree
    }

    fn parse_one(rest: &mut &str) -> Self {
        *rest = rest.trim_start();
        if let Some(list) = rest.strip_prefix('[') {
            *rest = list;
            let mut elements = Vec::new();
            while !skip(rest, "]") {
                elements.push(Self::parse_one(rest));
                skip(rest, ",");
            }
            return Tree::List(elements);
        }
        if rest.starts_with('"') || rest.starts_with("b\"") {
            let (mut escaped, start) = (false, rest.find('"').unwrap() + 1);
            let end = rest[start..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            let (string, behind) = rest.split_at(start + end.unwrap() + 1);
            *rest = behind;
            return match string.strip_prefix('b') {
                Some(bytes) => Tree::List(unescaped(bytes).map(Tree::Scalar).collect()),
                None => Tree::Scalar(string.to_owned()),
            };
        }
        let (word, behind) = rest.split_at(
            rest.find([',', ')', ']', '}', '{', '(', ':'])
                .unwrap_or(rest.len()),
        );
        *rest = behind;
        if skip(rest, "(") {
            let inner = Self::parse_one(rest);
            assert!(skip(rest, ")"));
            return inner;
        }
        if !skip(rest, "{") {
            return Tree::Scalar(word.trim().to_owned());
        }
        let mut fields = BTreeMap::new();
        while !skip(rest, "}") {
            let colon = rest.find(':').unwrap();
            let name = rest[..colon].trim().to_owned();
            *rest = &rest[colon + 1..];
            fields.insert(name, Self::parse_one(rest));
            skip(rest, ",");
        }
        Tree::Struct(fields)
    }

    /// No value: null, empty, or the default of a nullable field that a version does not have.
    fn is_empty(&self) -> bool {
        match self {
            Tree::Struct(_) => false,
            Tree::List(elements) => elements.is_empty(),
            Tree::Scalar(text) => text == "None" || text == "\"\"",
        }
    }

    /// What a field holds that the version does not have. Theirs may not have it at all: one struct of ours can stand for
    /// an old and a new one of theirs (OffsetFetch), or be newer (WriteTxnMarkers).
    fn is_nil(&self) -> bool {
        self.is_empty()
            || matches!(self, Tree::Scalar(text) if text == "0" || *text == Uuid::nil().to_string())
    }

    /// Each field of ours has a field of theirs of the same name and value. Records are compared as bytes, elsewhere.
    fn assert_within(&self, theirs: &Tree, what: &str) {
        match (self, theirs) {
            (Tree::Struct(ours), Tree::Struct(theirs)) => {
                let known = |(name, value): &(&String, &Tree)| theirs.contains_key(*name) || !value.is_nil();
                for (name, value) in ours.iter().filter(|(name, _)| *name != "records").filter(known) {
                    let their_value = theirs
                        .get(name)
                        .unwrap_or_else(|| panic!("{what}: {name} is not Kafka's name"));
                    value.assert_within(their_value, &format!("{what}, {name}"));
                }
            }
            (Tree::List(ours), Tree::List(theirs)) if ours.len() == theirs.len() => {
                ours.iter()
                    .zip(theirs)
                    .for_each(|(ours, theirs)| ours.assert_within(theirs, what));
            }
            (ours, theirs) => assert!(
                ours == theirs || ours.is_empty() && theirs.is_empty(),
                "{what}: {ours:?}, {theirs:?}"
            ),
        }
    }
}

/// The bytes of a byte string as it is printed, each as a number: so our own are printed.
fn unescaped(quoted: &str) -> impl Iterator<Item = String> {
    let mut rest = quoted.trim_matches('"').chars();
    std::iter::from_fn(move || {
        let byte = match rest.next()? {
            '\\' => match rest.next()? {
                'n' => b'\n',
                'r' => b'\r',
                't' => b'\t',
                '0' => 0,
                'x' => {
                    let digits: String = rest.by_ref().take(2).collect();
                    u8::from_str_radix(&digits, 16).unwrap()
                }
                itself => itself as u8,
            },
            plain => plain as u8,
        };
        Some(byte.to_string())
    })
}

fn skip(rest: &mut &str, token: &str) -> bool {
    let found = rest.trim_start().strip_prefix(token);
    found.inspect(|behind| *rest = behind).is_some()
}
