//! Writes the seeds of the fuzz corpus: each request in its lowest, first flexible and highest version, streams of frames, and
//! record batches. Run after adding an API: `cargo test -p tautline-net --lib write_seed_corpus -- --ignored`.

use std::fs;
use std::path::{Path, PathBuf};

use tautline_core::batch::BatchBuilder;
use tautline_core::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

use super::*;
use crate::wire::api::visit_messages;
use crate::wire::encode_request;

struct Seeds {
    folder: PathBuf,
}

impl Visitor<'static> for Seeds {
    fn visit<M: Message<'static> + Clone + Debug + PartialEq + Default>(&mut self, kind: Kind) {
        if kind == Kind::Response {
            return;
        }
        let info = M::API.info();
        let mut versions = vec![info.min, info.flexible.clamp(info.min, info.max), info.max];
        versions.dedup();
        let mut stream = Writer::new();
        for version in versions {
            let message = sample::<M>(&noise(160, version as u64), version);
            let name = format!("{}-{version}", info.name);
            let prefix = [info.key.key() as u8, version as u8];
            self.write("request", &name, &[&prefix, encode(&message, version)].concat());
            encode_request(&message, version, 7, "seed", &mut stream);
        }
        self.write("frame", info.name, stream.bytes());
    }
}

impl Seeds {
    fn write(&self, target: &str, name: &str, bytes: &[u8]) {
        let folder = self.folder.join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// The same bytes each time (a linear congruential generator's).
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Batches by the features they have.
fn batches() -> Vec<(&'static str, Vec<u8>)> {
    let plain = || BatchBuilder::new(1_700_000_000_000).record(Some(b"key"), Some(b"value"));
    let mut headers = plain();
    headers.push(
        1_700_000_000_005,
        None,
        Some(b"v"),
        &[("name", Some(b"x")), ("null", None), ("", Some(b""))],
    );
    let idempotent = plain()
        .producer(ProducerId(9), ProducerEpoch(1), 40)
        .position(Offset(77), LeaderEpoch(2));
    let nulls = BatchBuilder::new(0)
        .record(None, None)
        .record(Some(b""), Some(b""));
    let control = plain()
        .producer(ProducerId(9), ProducerEpoch(1), 0)
        .transactional()
        .control();
    let mut compressed = plain().build();
    compressed[22] |= 4; // attributes say zstd; the records are no longer looked at
    let two = [plain().build(), nulls.build()].concat();
    let mut torn = headers.build();
    torn.truncate(torn.len() - 3);
    vec![
        ("plain", plain().build()),
        ("idempotent", idempotent.build()),
        ("control", control.build()),
        ("compressed", compressed),
        ("two", two),
        ("torn", torn),
    ]
}

#[test]
#[ignore = "writes into the source tree"]
fn write_seed_corpus() {
    let mut seeds = Seeds {
        folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus"),
    };
    visit_messages(&mut seeds);
    batches()
        .iter()
        .for_each(|(name, bytes)| seeds.write("batch", name, bytes));
}
