//! Every input of the fuzz corpus through the function that the fuzz target runs, so that what fuzzing found stays found.

use std::fs;
use std::path::Path;

use tautline_core::batch::Batch;
use tautline_store::{KeyCheck, check_keys};

#[path = "../fuzz/entry.rs"]
mod entry;

/// Runs `entry` on the files of a target's corpus.
fn run(target: &str, entry: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut inputs = 0;
    for file in fs::read_dir(&folder).expect("the corpus is in the repository") {
        let path = file.expect("a readable folder").path();
        println!("{}", path.display()); // the last one printed is the one that failed
        let data = fs::read(&path).expect("a readable file");
        entry(&data);
        // And cut anywhere, as a connection might end.
        (0..data.len()).for_each(|length| entry(&data[..length]));
        inputs += 1;
    }
    assert!(inputs > 0, "no corpus in {}", folder.display());
}

#[test]
fn request() {
    run("request", entry::request);
}

#[test]
fn frame() {
    run("frame", entry::frame);
}

#[test]
fn batch() {
    run("batch", entry::batch);
}

#[test]
fn packed() {
    run("packed", entry::packed);
}

/// The corpus has every codec's own form, so that the fuzzer begins behind the headers.
#[test]
fn the_packed_corpus_is_sound() {
    for codec in ["gzip", "snappy-raw", "snappy-xerial", "lz4", "zstd"] {
        let path = format!("{}/fuzz/corpus/packed/{codec}", env!("CARGO_MANIFEST_DIR"));
        let bytes = entry::pack(&fs::read(path).expect("it is in the repository")).expect("a codec");
        let (batch, _) = Batch::parse(&bytes).expect("a batch");
        assert_eq!(check_keys(&batch), KeyCheck::Sound, "{codec}");
    }
}
