//! The process that cleans, as the one sees it that kills it: what it has said, and its end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::killed::Plan;
use crate::life::Kind;

/// A process that is silent for that long hangs.
pub const SILENCE_MAX: Duration = Duration::from_secs(600);

/// A process and what it says.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    pub end: u64,
    pub acked: u64,
    pub clean_to: u64,
    pub opened: bool,
    pub passes: u64,
    pub pass_ms: u64,
    pub map_bytes_max: u64,
    pub left: Option<(u64, u64)>,
}

impl Process {
    pub fn begin(plan: &Plan, kind: Kind) -> Process {
        let durable = if plan.lose_unsynced { "0" } else { "1" };
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["life", kind.name()])
            .arg(&plan.dir)
            .args([&plan.keys.to_string(), &plan.records.to_string(), durable])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process can be started");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Process {
            child,
            lines,
            end: 0,
            acked: 0,
            clean_to: 0,
            opened: false,
            passes: 0,
            pass_ms: 0,
            map_bytes_max: 0,
            left: None,
        }
    }

    fn hear(&mut self, line: &str) {
        let (word, numbers) = line.split_once(' ').expect("a word and numbers");
        let numbers: Vec<u64> = numbers
            .split(' ')
            .map(|text| text.parse().expect("a number"))
            .collect();
        match word {
            "open" => (self.opened, self.end, self.clean_to) = (true, numbers[0], numbers[1]),
            "acked" => self.acked = numbers[0],
            "pass" => {
                self.passes += 1;
                self.clean_to = numbers[0];
                self.map_bytes_max = self.map_bytes_max.max(numbers[2]);
                self.pass_ms = numbers[3];
            }
            "left" => (self.end, self.left) = (numbers[0], Some((numbers[1], numbers[2]))),
            other => panic!("what is {other}?"),
        }
    }

    /// Listens until `enough`, or for a time; false if that was over, or the process.
    pub fn listen(&mut self, at_most: Duration, enough: impl Fn(&Process) -> bool) -> bool {
        let until = Instant::now() + at_most;
        while !enough(self) {
            match self
                .lines
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.hear(&line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    /// Until it ends by itself.
    pub fn live_out(mut self) -> Process {
        self.listen(SILENCE_MAX, |_| false);
        let status = self.child.wait().expect("it is a child");
        assert!(status.success(), "{status}");
        self
    }

    /// The most memory it had, KiB.
    pub fn memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(0)
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("it lives");
        let status = self.child.wait().expect("it is a child");
        assert_eq!(status.code(), None, "it ended before: {status}");
        // What it had said.
        self.listen(SILENCE_MAX, |_| false);
    }
}
