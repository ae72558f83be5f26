//! A compaction that is killed again and again, at random moments all over the work, while a producer goes on with the same log.
//!
//! Each kill waits until its share of the log is clean, and then for a random time of up to a pass and a bit. Two of eight aim at
//! what is short: one comes during the start, one just after a cleaned file got its name. The map for keys is so small that the
//! work takes dozens of passes. In the end a last process cleans all there is, and what is left is read three times: by that
//! process, by another, and by one without the checkpoint.
//!
//! With `lose-unsynced` the process keeps in memory what it was not told to sync, and what the cleaner had not synced, or had not
//! made sure of the name of, is torn or undone after each kill.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::life::{Kind, MAP_BYTES};
use crate::process::{Process, SILENCE_MAX};

/// A pass is thought to take that long before there was one.
const PASS_MS_FIRST: u64 = 1_000;
/// A kill during the start comes within that time.
const START_MS_MAX: u64 = 150;
/// A kill that aims at a swap comes within that time after the new name.
const SWAP_US_MAX: u64 = 4_000;

/// What is to be done.
pub struct Plan {
    pub dir: PathBuf,
    pub records: u64,
    pub keys: u64,
    pub kills: u64,
    pub seed: u64,
    pub lose_unsynced: bool,
}

/// What was seen.
#[derive(Default, Debug)]
struct Seen {
    passes: u64,
    passes_killed: u64,
    kills_at_start: u64,
    kills_at_swap: u64,
    /// Kills that left a file half written.
    left_unfinished: u64,
    /// Kills after which the next process removed segments: with a name and no place yet, or replaced and not yet gone.
    left_segments: u64,
    /// Files that were torn or put back after kills.
    undone: u64,
    rss_kib_max: u64,
    map_bytes_max: u64,
}

/// Xorshift: the same seed, the same choices.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound.max(1)
    }
}

pub fn run(plan: &Plan) {
    let mut random = Random(plan.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    println!(
        "{} records, {} keys, {} kills, seed {}{}",
        plan.records,
        plan.keys,
        plan.kills,
        plan.seed,
        if plan.lose_unsynced {
            ", losing what is not synced"
        } else {
            ""
        }
    );
    Process::begin(plan, Kind::Fill).live_out();
    let mut seen = Seen::default();
    let (mut acked, mut clean_to, mut pass_ms) = (plan.records, 0, PASS_MS_FIRST);
    let begun = Instant::now();
    let mut before = BTreeSet::new();
    for kill in 0..plan.kills {
        let mut life = Process::begin(plan, Kind::Clean);
        let at_start = kill % 8 == 7;
        if at_start {
            seen.kills_at_start += 1;
            let wait_ms = random.below(START_MS_MAX);
            life.listen(Duration::from_millis(wait_ms), |_| false);
        } else {
            // The last one comes before all is clean.
            let share = plan.records * kill / (plan.kills + 1);
            assert!(life.listen(SILENCE_MAX, |life| life.opened), "it starts");
            seen.left_segments += u64::from(!before.is_subset(&segments(&plan.dir)));
            assert!(
                life.listen(SILENCE_MAX, |life| life.clean_to >= share),
                "it goes on"
            );
            let wait_ms = random.below(pass_ms + pass_ms / 4);
            life.listen(Duration::from_millis(wait_ms), |_| false);
            if kill % 8 == 3 {
                seen.kills_at_swap += 1;
                wait_for_a_name(&plan.dir);
                std::thread::sleep(Duration::from_micros(random.below(SWAP_US_MAX)));
            }
        }
        seen.rss_kib_max = seen.rss_kib_max.max(life.memory_kib());
        life.kill();
        before = segments(&plan.dir);
        if life.opened {
            // A relaxed log may lose its end, never what is clean.
            let kept = if plan.lose_unsynced { clean_to } else { acked };
            assert!(
                life.end >= kept,
                "the log ends at {}, {kept} were there",
                life.end
            );
            assert!(
                life.clean_to >= clean_to,
                "{} were clean, {clean_to} before",
                life.clean_to
            );
            (acked, clean_to) = (acked.max(life.acked), life.clean_to);
        }
        seen.passes += life.passes;
        seen.passes_killed += u64::from(life.opened);
        seen.map_bytes_max = seen.map_bytes_max.max(life.map_bytes_max);
        seen.left_unfinished += u64::from(
            names(&log_dir(&plan.dir))
                .iter()
                .any(|name| name.ends_with(".cleaning")),
        );
        pass_ms = if life.pass_ms > 0 { life.pass_ms } else { pass_ms };
        if plan.lose_unsynced {
            seen.undone += lose_unsynced(&plan.dir, &mut random);
            before.clear();
        }
        if kill % 10 == 9 {
            println!(
                "{} kills, {clean_to} clean, {:.0} s",
                kill + 1,
                begun.elapsed().as_secs_f64()
            );
        }
    }
    let last = Process::begin(plan, Kind::Finish).live_out();
    seen.passes += last.passes;
    let left = last.left.expect("it said so");
    assert!(
        plan.lose_unsynced || last.end >= acked,
        "{} were acknowledged, {} are there",
        acked,
        last.end
    );
    assert!(last.end >= clean_to);
    assert_eq!(
        left,
        (plan.keys, plan.keys),
        "the last record of each key, and nothing else"
    );
    check_files(&plan.dir);
    let again = Process::begin(plan, Kind::Check).live_out();
    assert_eq!((again.end, again.left), (last.end, last.left));
    for name in ["checkpoint", "checkpoint-closing"] {
        let _ = fs::remove_file(log_dir(&plan.dir).join(name));
    }
    let again = Process::begin(plan, Kind::Check).live_out();
    assert_eq!(again.end, last.end);
    // Without the checkpoint nothing is known to be clean, and nothing is cleaned: all that is there was read and right.
    assert_eq!(again.left, Some((plan.keys, 0)));
    assert!(seen.map_bytes_max <= MAP_BYTES as u64);
    println!(
        "{} kills in {:.0} s: {} records written, {} left, the last of each key; {seen:?}",
        plan.kills,
        begun.elapsed().as_secs_f64(),
        last.end,
        left.0
    );
    let _ = fs::remove_dir_all(&plan.dir);
}

fn log_dir(dir: &Path) -> PathBuf {
    dir.join("topics").join("t").join("0")
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    entries.filter_map(name).collect()
}

fn segments(dir: &Path) -> BTreeSet<String> {
    let names = names(&log_dir(dir)).into_iter();
    names.filter(|name| name.ends_with(".log")).collect()
}

/// Waits until one more cleaned file has its name.
fn wait_for_a_name(dir: &Path) {
    let begun = Instant::now();
    let before = segments(dir);
    let is_new = |name: &String| name.contains('-') && !before.contains(name);
    while !segments(dir).iter().any(is_new) {
        assert!(begun.elapsed() < SILENCE_MAX, "it goes on");
        std::thread::yield_now();
    }
}

/// Segments, an index beside each, a checkpoint, and a file that waits to be the next segment: nothing else.
fn check_files(dir: &Path) {
    let all = names(&log_dir(dir));
    let is_alone = |name: &&String| match name.rsplit_once('.') {
        Some((stem, "log")) => !all.contains(&format!("{stem}.index")),
        Some((stem, "index")) => !all.contains(&format!("{stem}.log")),
        _ => !name.starts_with("checkpoint"),
    };
    let stray: Vec<&String> = all.iter().filter(is_alone).collect();
    // The one that was made ahead of need has no index.
    assert!(stray.len() <= 1, "{stray:?} of {all:?}");
    assert!(stray.iter().all(|name| name.ends_with(".log")), "{stray:?}");
    assert!(names(&dir.join("trash")).is_empty());
    assert!(names(&dir.join("stray")).is_empty());
}

/// What a power cut could have made of the files: those under way are torn or gone, what lies beside segments is torn, and what went
/// to the trash is back. Gives how many files it has met.
fn lose_unsynced(dir: &Path, random: &mut Random) -> u64 {
    let (log, trash) = (log_dir(dir), dir.join("trash"));
    let mut met = 0;
    for name in names(&log) {
        let path = log.join(&name);
        let torn = match name.rsplit_once('.') {
            Some((_, "cleaning")) => random.below(3) > 0,
            Some((_, "index" | "aborted")) => random.below(4) == 0,
            _ => false,
        };
        if torn {
            met += 1;
            match random.below(3) {
                0 => fs::remove_file(&path).expect("it is there"),
                1 => fs::write(&path, b"").expect("it is there"),
                _ => fs::write(&path, vec![0xa5; random.below(100_000) as usize]).expect("it is there"),
            }
        }
    }
    for name in names(&trash) {
        let Some(old) = name.splitn(3, '-').nth(2) else {
            continue;
        };
        let path = log.join(old);
        if random.below(2) == 0 && !path.exists() {
            met += 1;
            fs::rename(trash.join(&name), path).expect("both are there");
        }
    }
    met
}
