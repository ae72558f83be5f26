//! Log compaction at the size of millions of records.
//!
//! `compaction DIR [records] [keys] [codec]` says how long it takes and what it does to a producer on the same core (`pace.rs`).
//! Codecs are none, gzip, snappy, lz4 and zstd.
//!
//! `compaction killed DIR [records] [keys] [kills] [seed] [lose-unsynced]` kills it again and again, and says what is left
//! (`killed.rs`).

mod killed;
mod life;
mod pace;
mod process;
mod records;

use std::path::PathBuf;

use tautline_core::batch::Compression;

use crate::killed::Plan;

/// What is written if nothing else is asked for, and how often it is killed.
const RECORDS: u64 = 10_000_000;
const KEYS: u64 = 1_000_000;
const KILLS: u64 = 50;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| {
        args.get(at)
            .map_or(default, |text| text.parse().expect("a number"))
    };
    let dir = |at: usize| PathBuf::from(args.get(at).expect("a directory"));
    match args.first().map(String::as_str) {
        Some("killed") => killed::run(&Plan {
            dir: dir(1),
            records: number(2, RECORDS),
            keys: number(3, KEYS),
            kills: number(4, KILLS),
            seed: number(5, u64::from(std::process::id())),
            lose_unsynced: args.get(6).is_some_and(|word| word == "lose-unsynced"),
        }),
        Some("life") => life::run(&args[1..]),
        _ => {
            let codec = match args.get(3).map_or("none", |text| text.as_str()) {
                "none" => Compression::None,
                "gzip" => Compression::Gzip,
                "snappy" => Compression::Snappy,
                "lz4" => Compression::Lz4,
                "zstd" => Compression::Zstd,
                other => panic!("no codec {other}"),
            };
            pace::measure(dir(0), number(1, RECORDS), number(2, KEYS), codec);
            let _ = std::fs::remove_dir_all(dir(0));
        }
    }
}
