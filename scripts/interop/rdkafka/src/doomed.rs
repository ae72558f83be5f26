//! The other end of a member in a process of its own: it tells what it does on its standard output, and the parent keeps account.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::ledger::{Account, Partition, Positions};
use crate::member::{Joining, Member, SESSION_MS, Shared};

/// The account of a member in a process of its own: each line is out before what follows it.
struct Told;

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line} .").and_then(|()| out.flush()).is_err() {
        std::process::exit(1); // nobody listens any more
    }
}

impl Account for Told {
    fn processed(&self, _: &str, at: &Partition, offset: i64, value: &str) {
        say(&format!("processed {} {} {offset} {value}", at.0, at.1));
    }

    fn committed(&self, positions: &Positions) {
        for (at, offset) in positions {
            say(&format!("committed {} {} {offset}", at.0, at.1));
        }
    }
}

impl Shared {
    pub fn heard(&self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let at = |i: usize| (words[i].to_string(), words[i + 1].parse().unwrap_or(-1));
        match words[..] {
            ["owned", .., "."] => {
                let owned = (1..words.len() - 1).step_by(2).map(at).collect();
                self.state.lock().unwrap().owned = owned;
            }
            ["processed", _, _, offset, value, "."] => {
                self.account
                    .processed(&self.name, &at(1), offset.parse().unwrap_or(-1), value);
                self.state.lock().unwrap().processed += 1;
            }
            ["alive", at, "."] => {
                let at = Duration::from_micros(at.parse().unwrap_or(0));
                self.state.lock().unwrap().alive.push(at);
            }
            ["committed", _, _, offset, "."] => self
                .account
                .committed(&BTreeMap::from([(at(1), offset.parse().unwrap_or(-1))])),
            _ => {} // cut off in the middle
        }
    }
}

/// What the command line says of a member that is going to be killed, if this is one's process.
pub fn wanted() -> Option<Joining> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [mode, bootstrap, group, flavour, subscription, session_ms] = words.try_into().ok()?;
    (mode == "member").then(|| Joining {
        bootstrap,
        group,
        flavour,
        subscription,
        instance: None,
        session_ms: session_ms.parse().unwrap_or(SESSION_MS),
    })
}

/// The clock that processes share.
pub fn clock() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970")
}

/// The whole program of such a member. It says what the time is whenever it has some.
pub fn run(how: Joining) -> ! {
    let member = Member::start("doomed", Arc::new(Told), how);
    let mut before = usize::MAX;
    loop {
        let now = member.rebalances();
        if now != before {
            before = now;
            let owned: String = member
                .owned()
                .iter()
                .map(|at| format!(" {} {}", at.0, at.1))
                .collect();
            say(&format!("owned{owned}"));
        }
        say(&format!("alive {}", clock().as_micros()));
        thread::sleep(Duration::from_millis(20));
    }
}
