//! What a broker's process has logged.

use std::io::{BufRead, BufReader};
use std::process::ChildStderr;
use std::sync::{Arc, Condvar, Mutex};

use super::HANGS;

/// The lines so far; it grows while the process runs.
#[derive(Clone, Default)]
pub struct Log(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Log {
    /// The lines in which `text` stands.
    pub fn lines_with(&self, text: &str) -> Vec<String> {
        let lines = self.0.0.lock().expect("nobody panics with the lock");
        lines.iter().filter(|line| line.contains(text)).cloned().collect()
    }

    /// The last line in which `text` stands, when there is one.
    pub fn wait_for(&self, text: &str) -> String {
        let has = |line: &&String| line.contains(text);
        let lines = self.0.0.lock().expect("nobody panics with the lock");
        let missing = |lines: &mut Vec<String>| !lines.iter().any(|line| has(&line));
        let (lines, _) = self
            .0
            .1
            .wait_timeout_while(lines, HANGS, missing)
            .expect("as above");
        lines
            .iter()
            .rev()
            .find(has)
            .unwrap_or_else(|| panic!("no line of the log says {text:?}"))
            .clone()
    }

    /// Keeps the lines of a process, and shows them with the test's own output.
    pub fn follow(&self, output: ChildStderr) {
        let shared = self.0.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                eprintln!("{line}");
                shared.0.lock().expect("nobody panics with the lock").push(line);
                shared.1.notify_all();
            }
        });
    }
}
