//! Which cores: lists and ranges as `taskset` and the kernel write them, and words for what a machine has.
//!
//! ```text
//! TERM[,TERM...]     3  0-3  numa:1     cores to take, together; all the process may run on if there is none of these
//!                    all-but:0          cores to leave out
//!                    no-smt             one hardware thread of each physical core
//! ```

use std::collections::BTreeSet;

use tautline_core::cpu::CoreTopology;

/// Highest core number a list may name, so that a range can't ask for more memory than it has characters.
const CORE_MAX: usize = 4095;

/// What `--cores` says, before it is known what the machine has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreExpression {
    named: BTreeSet<usize>,
    numa_nodes: BTreeSet<usize>,
    left_out: BTreeSet<usize>,
    no_smt: bool,
}

impl CoreExpression {
    /// Parses "0-3,6" or "numa:0,all-but:0,no-smt".
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: String| {
            format!("'{text}' is not a list of cores: {why}; write one like 0-3,6 or numa:0,all-but:0,no-smt")
        };
        let mut expression = Self::default();
        for term in text.split(',').map(str::trim) {
            if term == "no-smt" {
                expression.no_smt = true;
            } else if let Some(node) = term.strip_prefix("numa:") {
                expression.numa_nodes.insert(number(node).map_err(wrong)?);
            } else if let Some(cores) = term.strip_prefix("all-but:") {
                expression.left_out.extend(range(cores).map_err(wrong)?);
            } else {
                for core in range(term).map_err(wrong)? {
                    if !expression.named.insert(core) {
                        return Err(wrong(format!("core {core} is in it twice")));
                    }
                }
            }
        }
        Ok(expression)
    }

    /// The cores meant, ascending, of those the process may run on, without the one that is kept for control.
    ///
    /// # Errors
    /// Cores or NUMA nodes that can't be had, and expressions that leave nothing.
    pub fn resolve(&self, allowed: &[CoreTopology], control: Option<usize>) -> Result<Vec<usize>, String> {
        let numbers: Vec<usize> = allowed.iter().map(|core| core.core).collect();
        check_allowed(
            "--cores",
            &self.named.iter().copied().collect::<Vec<_>>(),
            &numbers,
        )?;
        if let Some(control) = control.filter(|core| self.named.contains(core)) {
            return Err(format!(
                "--cores and --control-core both name core {control}: a shard's core is for nothing else, leave it out of one"
            ));
        }
        let nodes: BTreeSet<usize> = allowed.iter().map(node_of).collect();
        if let Some(node) = self.numa_nodes.iter().find(|node| !nodes.contains(node)) {
            return Err(format!(
                "--cores numa:{node}: the cores this process may run on ({}) are on NUMA node {}",
                show(&numbers),
                show(&nodes.into_iter().collect::<Vec<_>>()),
            ));
        }
        let everything = self.named.is_empty() && self.numa_nodes.is_empty();
        let mut taken: Vec<usize> = Vec::new();
        for core in allowed {
            let meant =
                everything || self.named.contains(&core.core) || self.numa_nodes.contains(&node_of(core));
            let shares = |other: &usize| taken.contains(other) || control == Some(*other);
            let second_thread = self.no_smt && core.smt_siblings.iter().any(shares);
            let kept = control == Some(core.core) || self.left_out.contains(&core.core);
            if meant && !kept && !second_thread {
                taken.push(core.core);
            }
        }
        if taken.is_empty() {
            return Err(format!(
                "--cores leaves no core of {}, which this process may run on{}",
                show(&numbers),
                control.map_or(String::new(), |core| format!(
                    ", for shards; core {core} is kept by --control-core"
                )),
            ));
        }
        Ok(taken)
    }
}

/// A kernel that tells no node has one.
fn node_of(core: &CoreTopology) -> usize {
    core.numa_node.unwrap_or(0)
}

fn number(text: &str) -> Result<usize, String> {
    let number = text.trim().parse::<usize>().ok();
    number
        .filter(|core| *core <= CORE_MAX)
        .ok_or_else(|| format!("'{text}' is not a number from 0 to {CORE_MAX}"))
}

/// "3" or "0-3".
fn range(text: &str) -> Result<std::ops::RangeInclusive<usize>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(format!("'{text}' goes backwards"));
    }
    Ok(first..=last)
}

/// Writes a list in order, "0-3,6".
#[must_use]
pub fn show(cores: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &core in cores {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == core => *last = core,
            _ => ranges.push((core, core)),
        }
    }
    let show = |(first, last): &(usize, usize)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    ranges.iter().map(show).collect::<Vec<_>>().join(",")
}

/// Checks that the process may run on all of `cores`.
///
/// # Errors
/// Names those it may not run on, and those it may.
pub fn check_allowed(flag: &str, cores: &[usize], allowed: &[usize]) -> Result<(), String> {
    let outside: Vec<_> = cores
        .iter()
        .copied()
        .filter(|core| !allowed.contains(core))
        .collect();
    if outside.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{flag} {} asks for core {}, but this process may only run on {}: choose among those, or widen its affinity \
         (taskset, cgroup cpuset)",
        show(cores),
        show(&outside),
        show(allowed),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two sockets of two physical cores with two threads each: 0 and 4 are one physical core, and so on.
    fn machine() -> Vec<CoreTopology> {
        let core = |core: usize| CoreTopology {
            core,
            numa_node: Some(core % 4 / 2),
            smt_siblings: vec![(core + 4) % 8],
        };
        (0..8).map(core).collect()
    }

    fn cores(text: &str) -> Result<String, String> {
        with_control(text, None)
    }

    fn with_control(text: &str, control: Option<usize>) -> Result<String, String> {
        let taken = CoreExpression::parse(text)?.resolve(&machine(), control)?;
        Ok(show(&taken))
    }

    #[test]
    fn lists_and_ranges() {
        assert_eq!(cores("0-3,6").unwrap(), "0-3,6");
        assert_eq!(cores(" 6 , 0 - 1 ").unwrap(), "0-1,6");
        assert_eq!(show(&[]), "");
    }

    #[test]
    fn words_are_combined() {
        for (text, expected) in [
            ("numa:0", "0-1,4-5"),
            ("numa:1", "2-3,6-7"),
            ("numa:0,numa:1", "0-7"),
            ("numa:0,7", "0-1,4-5,7"),
            ("all-but:0", "1-7"),
            ("all-but:0-2,all-but:7", "3-6"),
            // A core that is not there is left out already: one file serves several machines.
            ("all-but:64", "0-7"),
            ("no-smt", "0-3"),
            ("all-but:0,no-smt", "1-4"),
            ("numa:1,no-smt", "2-3"),
            ("no-smt,4-7", "4-7"),
            ("0,4,no-smt", "0"),
        ] {
            assert_eq!(cores(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn the_control_core_is_no_shards() {
        assert_eq!(with_control("numa:0", Some(0)).unwrap(), "1,4-5");
        // Nor is the other half of it, where halves are not wanted.
        assert_eq!(with_control("no-smt", Some(0)).unwrap(), "1-3");
        let default = CoreExpression::default().resolve(&machine(), Some(7)).unwrap();
        assert_eq!(show(&default), "0-6");
        let error = with_control("0-1", Some(1)).unwrap_err();
        assert!(error.contains("both name core 1"), "{error}");
        let error = with_control("all-but:1-7", Some(0)).unwrap_err();
        assert!(
            error.contains("leaves no core of 0-7") && error.contains("--control-core"),
            "{error}"
        );
    }

    #[test]
    fn wrong_lists_say_why() {
        for (text, why) in [
            ("", "'' is not a number"),
            ("a", "'a' is not a number"),
            ("1,", "'' is not a number"),
            ("3-1", "'3-1' goes backwards"),
            ("0-2,1", "core 1 is in it twice"),
            ("0-99999999999", "is not a number from 0 to 4095"),
            ("-1", "'' is not a number"),
            ("numa:x", "'x' is not a number"),
            ("numa:", "'' is not a number"),
            ("all-but:", "'' is not a number"),
            ("all-but:3-2", "'3-2' goes backwards"),
            ("smt", "'smt' is not a number"),
            (
                "numa:2",
                "numa:2: the cores this process may run on (0-7) are on NUMA node 0-1",
            ),
            ("all-but:0-7", "leaves no core of 0-7"),
        ] {
            let message = cores(text).unwrap_err();
            assert!(message.contains(why), "{text:?}: {message}");
        }
    }

    #[test]
    fn a_machine_that_tells_nothing_has_one_node() {
        let cores = [CoreTopology {
            core: 3,
            numa_node: None,
            smt_siblings: Vec::new(),
        }];
        let taken = CoreExpression::parse("numa:0,no-smt")
            .unwrap()
            .resolve(&cores, None);
        assert_eq!(taken, Ok(vec![3]));
    }

    #[test]
    fn cores_outside_the_affinity_set_are_named_with_it() {
        assert_eq!(check_allowed("--cores", &[0, 1], &[0, 1, 2]), Ok(()));
        let message = check_allowed("--cores", &[0, 1, 4, 5], &[0, 1, 2, 7]).unwrap_err();
        assert!(message.contains("--cores 0-1,4-5 asks for core 4-5"), "{message}");
        assert!(message.contains("may only run on 0-2,7"), "{message}");
    }
}
