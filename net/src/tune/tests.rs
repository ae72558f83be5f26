//! Whole machines as trees of files, checked and set.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use clap::Parser;
use tempfile::TempDir;

use super::finding::{Finding, Step, Verdict};
use super::flags::TuneFlags;
use super::plan::Plan;
use super::tree::Tree;
use super::{apply, exit_code, look, report};

/// A machine of four physical cores with two threads each, and everything as a distribution leaves it.
struct Machine {
    directory: TempDir,
}

impl Machine {
    fn new() -> Machine {
        let machine = Machine {
            directory: tempfile::tempdir().expect("a temporary directory"),
        };
        let cpu = "sys/devices/system/cpu";
        for (file, text) in [
            (format!("{cpu}/online"), "0-7"),
            (format!("{cpu}/isolated"), ""),
            (format!("{cpu}/nohz_full"), "(null)"),
            ("proc/cmdline".to_owned(), "quiet"),
        ] {
            machine.put(&file, text);
        }
        for core in 0..8 {
            let (low, high) = (core % 4, core % 4 + 4);
            machine.put(
                &format!("{cpu}/cpu{core}/topology/thread_siblings_list"),
                &format!("{low},{high}"),
            );
            machine.put(&format!("{cpu}/cpu{core}/node0/cpulist"), "0-7");
            machine.put(&format!("{cpu}/cpu{core}/online"), "1");
            machine.put(&format!("{cpu}/cpu{core}/cpufreq/scaling_governor"), "powersave");
            for (n, (name, us)) in [("POLL", 0), ("C1", 2), ("C6", 133)].into_iter().enumerate() {
                let state = format!("{cpu}/cpu{core}/cpuidle/state{n}");
                machine.put(&format!("{state}/name"), name);
                machine.put(&format!("{state}/latency"), &us.to_string());
                machine.put(&format!("{state}/disable"), "0");
            }
        }
        machine.put("sys/devices/system/node/node0/cpulist", "0-7");
        machine.devices();
        machine.settings();
        machine
    }

    fn devices(&self) {
        self.put(
            "proc/interrupts",
            "      CPU0 CPU1\n 24: 1 0 IO-APIC 5-edge ACPI:Ged\n 30: 9 9 PCI-MSIX 0-edge eth0-rx-0\n \
             31: 9 9 PCI-MSIX 1-edge eth0-rx-1\n 40: 9 9 PCI-MSIX 0-edge nvme0q1\n 41: 9 9 PCI-MSIX 0-edge nvme0q2\nNMI: 0 0 x\n",
        );
        for (irq, cores) in [(24, "0-7"), (30, "0-7"), (31, "0-7"), (40, "1"), (41, "0-7")] {
            self.put(&format!("proc/irq/{irq}/smp_affinity_list"), cores);
        }
        self.put("proc/irq/default_smp_affinity", "ff");
        for irq in ["30", "31"] {
            self.put(&format!("sys/class/net/eth0/device/msi_irqs/{irq}"), "msix");
        }
        for queue in ["rx-0", "rx-1", "tx-0"] {
            self.put(&format!("sys/class/net/eth0/queues/{queue}/rps_cpus"), "00");
        }
        self.put("sys/class/net/lo/queues/rx-0/rps_cpus", "ff");
        self.put("sys/class/net/eth0/gro_flush_timeout", "20000");
        let disk = "sys/devices/pci0/nvme0n1";
        self.put(&format!("{disk}/queue/scheduler"), "none [mq-deadline] kyber");
        self.put(&format!("{disk}/queue/rotational"), "0");
        self.put(&format!("{disk}/queue/nr_requests"), "64");
        self.put(&format!("{disk}/queue/rq_affinity"), "1");
        self.put(&format!("{disk}/queue/write_cache"), "write back");
        self.put(&format!("{disk}/queue/fua"), "1");
        self.put(&format!("{disk}/nvme0n1p1/partition"), "1");
        for (link, target) in [
            ("sys/block/nvme0n1", "../devices/pci0/nvme0n1"),
            ("sys/dev/block/259:1", "../../devices/pci0/nvme0n1/nvme0n1p1"),
        ] {
            let link = self.path(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(target, link).unwrap();
        }
        self.put(
            "proc/self/mountinfo",
            "27 1 254:0 / / rw - btrfs /dev/vda rw\n28 27 259:1 / /data rw,relatime - ext4 /dev/nvme0n1p1 rw,discard\n",
        );
    }

    fn settings(&self) {
        for (file, text) in [
            (
                "sys/kernel/mm/transparent_hugepage/enabled",
                "[always] madvise never",
            ),
            (
                "sys/kernel/mm/transparent_hugepage/defrag",
                "always defer [madvise] never",
            ),
            ("proc/swaps", "Filename Type Size\n/dev/sda2 partition 1"),
            ("proc/sys/vm/swappiness", "60"),
            ("proc/sys/vm/dirty_ratio", "20"),
            ("proc/sys/vm/stat_interval", "1"),
            ("proc/sys/kernel/numa_balancing", "1"),
            ("proc/sys/net/core/somaxconn", "128"),
            ("proc/sys/kernel/io_uring_disabled", "0"),
            (
                "sys/devices/system/clocksource/clocksource0/current_clocksource",
                "hpet",
            ),
            (
                "sys/devices/system/clocksource/clocksource0/available_clocksource",
                "tsc hpet acpi_pm",
            ),
            ("sys/devices/virtual/workqueue/cpumask", "ff"),
            ("sys/bus/workqueue/devices/writeback/cpumask", "ff"),
            ("proc/42/comm", "irqbalance"),
            ("proc/self/cgroup", "0::/system.slice/tautline.service"),
            (
                "sys/fs/cgroup/system.slice/tautline.service/cpu.max",
                "200000 100000",
            ),
            (
                "proc/self/limits",
                "Limit Soft Hard Units\nMax locked memory 65536 65536 bytes\nMax open files 1024 unlimited files",
            ),
        ] {
            self.put(file, text);
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    fn put(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    fn get(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap().trim().to_owned()
    }

    fn tree(&self) -> Tree {
        Tree::new(self.directory.path())
    }

    fn plan(&self, flags: &[&str]) -> anyhow::Result<Plan> {
        Plan::new(&parse(self.directory.path(), flags), &self.tree())
    }

    fn look(&self, flags: &[&str]) -> Vec<Finding> {
        look(&self.tree(), &self.plan(flags).unwrap())
    }
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    tune: TuneFlags,
}

fn parse(root: &Path, flags: &[&str]) -> TuneFlags {
    let root = root.to_str().unwrap();
    let all = ["tune", "--root", root, "--data-dir", "/data/tautline"];
    let mode: &[&str] = if flags.contains(&"--apply") {
        &[]
    } else {
        &["--check"]
    };
    Cli::try_parse_from(all.iter().chain(mode).chain(flags))
        .unwrap()
        .tune
}

/// The verdicts of a check, by subject.
fn of(findings: &[Finding], check: &str) -> Vec<(String, String, String, Verdict)> {
    let found = findings.iter().filter(|finding| finding.check == check);
    let rows = found.map(|it| (it.subject.clone(), it.is.clone(), it.should.clone(), it.verdict));
    rows.collect()
}

fn verdicts(findings: &[Finding], check: &str) -> Vec<Verdict> {
    of(findings, check)
        .into_iter()
        .map(|(_, _, _, verdict)| verdict)
        .collect()
}

const AWAY: &[&str] = &["--cores", "1-3", "--control-core", "0"];

#[test]
fn a_machine_as_it_comes_is_looked_through() {
    use Verdict::{Change, Consider, Good, Unknown};
    let machine = Machine::new();
    let findings = machine.look(AWAY);
    for (check, expected) in [
        ("cores.spare", &[Good][..]),
        ("smt.shards", &[Good]),
        ("smt.siblings", &[Consider]),
        ("power.governor", &[Change]),
        ("power.sleep-states", &[Good, Change, Good]),
        ("isolation.isolcpus", &[Consider]),
        ("isolation.nohz-full", &[Consider]),
        ("isolation.rcu-nocbs", &[Consider]),
        ("kernel.workqueues", &[Change, Change]),
        ("irq.default", &[Change]),
        ("irq.balancer", &[Change]),
        ("network.queues", &[Consider]),
        ("network.steering", &[]),
        ("network.delays", &[Consider]),
        ("network.coalescing", &[Unknown]),
        ("network.backlog", &[Change]),
        ("disk.filesystem", &[Good]),
        ("disk.lazytime", &[Change]),
        ("disk.discard", &[Change]),
        ("disk.barriers", &[Good]),
        ("disk.journal", &[Good]),
        ("disk.scheduler", &[Change]),
        ("disk.requests", &[Change]),
        ("disk.completion", &[Change]),
        ("disk.cache", &[Consider]),
        ("memory.huge-pages", &[Change, Good]),
        ("memory.swappiness", &[Change]),
        ("memory.dirty", &[Consider]),
        // One node: nothing to balance.
        ("memory.numa-balancing", &[Good]),
        ("kernel.statistics", &[Change]),
        ("clock.source", &[Change]),
        ("limits.memlock", &[Change]),
        ("limits.open-files", &[Good]),
        ("limits.cpu-quota", &[Change]),
        ("limits.io-uring", &[Good]),
    ] {
        assert_eq!(
            verdicts(&findings, check),
            expected,
            "{check}: {:?}",
            of(&findings, check)
        );
    }
    for finding in &findings {
        assert!(!finding.why.is_empty() && !finding.subject.is_empty());
        let told = !finding.steps.is_empty() || finding.by_hand.is_some();
        match finding.verdict {
            Change | Consider => assert!(told, "{finding:?}"),
            Good => assert!(!told, "{finding:?}"),
            Unknown => {}
        }
    }
}

#[test]
fn interrupts_go_away_from_shards_or_onto_them() {
    let machine = Machine::new();
    let rows = |flags: &[&str]| {
        let findings = machine.look(flags);
        let mut rows: Vec<_> = of(&findings, "irq.affinity")
            .into_iter()
            .map(|(subject, is, should, _)| format!("{subject}: {is} -> {should}"))
            .collect();
        rows.sort();
        rows
    };
    assert_eq!(
        rows(AWAY),
        [
            "network: 30 (eth0-rx-0) and 1 more: cores 0-7 -> cores 0,4-7",
            "other: 24 (ACPI:Ged) and 1 more: cores 0-7 -> cores 0,4-7",
            "other: 40 (nvme0q1): cores 1 -> cores 1",
        ]
    );
    assert_eq!(
        rows(&["--cores", "2-3", "--irqs", "onto"]),
        [
            "network: 30 (eth0-rx-0): cores 0-7 -> cores 2",
            "network: 31 (eth0-rx-1): cores 0-7 -> cores 3",
            "other: 24 (ACPI:Ged) and 1 more: cores 0-7 -> cores 0-1,4-7",
            "other: 40 (nvme0q1): cores 1 -> cores 1",
        ]
    );
    // Every core runs a shard: then there is no other place.
    assert!(
        rows(&[])
            .iter()
            .any(|row| row == "other: 24 (ACPI:Ged) and 1 more: cores 0-7 -> cores 0-7")
    );
    let error = machine
        .plan(&["--irqs", "away"])
        .err()
        .expect("there is nowhere to go");
    assert!(error.to_string().contains("all-but:0"), "{error}");
}

#[test]
fn shards_that_share_or_never_sleep_are_told_apart() {
    let machine = Machine::new();
    let findings = machine.look(&["--cores", "0,4"]);
    assert_eq!(verdicts(&findings, "smt.shards"), [Verdict::Change]);
    assert_eq!(verdicts(&findings, "smt.siblings"), []);
    let busy = machine.look(&["--cores", "1-3", "--poll", "busy"]);
    assert!(
        verdicts(&busy, "power.sleep-states")
            .iter()
            .all(|it| *it == Verdict::Good)
    );
    let offline = machine.look(&["--cores", "1-3", "--control-core", "0", "--offline-siblings"]);
    let siblings = offline.iter().find(|it| it.check == "smt.siblings").unwrap();
    assert_eq!(
        (siblings.subject.as_str(), siblings.steps.len()),
        ("cores 5-7", 3)
    );
}

#[test]
fn what_the_kernel_does_not_tell_is_unknown_and_no_error() {
    let machine = Machine {
        directory: tempfile::tempdir().unwrap(),
    };
    let error = machine.plan(&[]).err().expect("there is nothing");
    assert!(error.to_string().contains("cpu/online"), "{error}");
    machine.put("sys/devices/system/cpu/online", "0-1");
    let findings = machine.look(&["--cores", "1"]);
    let unknown = findings
        .iter()
        .filter(|it| it.verdict == Verdict::Unknown)
        .count();
    assert!(unknown >= 6, "{findings:?}");
    assert!(findings.iter().all(|it| it.steps.is_empty()));
    let error = machine
        .plan(&["--cores", "2"])
        .err()
        .expect("there is no such core");
    assert!(format!("{error:#}").contains("may only run on 0-1"), "{error:#}");
}

#[test]
fn other_filesystems_and_lies_are_told() {
    let machine = Machine::new();
    machine.put(
        "proc/self/mountinfo",
        "28 27 0:31 / /data rw,relatime - overlay overlay rw,nobarrier,data=journal\n",
    );
    let findings = machine.look(AWAY);
    for check in ["disk.filesystem", "disk.barriers", "disk.journal"] {
        assert_eq!(verdicts(&findings, check), [Verdict::Change], "{check}");
    }
    assert_eq!(verdicts(&findings, "disk.device"), [Verdict::Unknown]);
}

#[test]
fn only_a_disk_that_rotates_wants_a_scheduler() {
    let machine = Machine::new();
    machine.put("sys/devices/pci0/nvme0n1/queue/rotational", "1");
    let findings = machine.look(AWAY);
    assert_eq!(verdicts(&findings, "disk.scheduler"), [Verdict::Good]);
    // Virtual ones say that they do.
    machine.put("sys/block/vda/queue/scheduler", "[mq-deadline] none");
    machine.put("sys/block/vda/queue/rotational", "1");
    let link = machine.path("sys/dev/block/259:1");
    fs::remove_file(&link).unwrap();
    symlink("../../block/vda", link).unwrap();
    let findings = machine.look(AWAY);
    let expected = (
        "vda".to_owned(),
        "mq-deadline".to_owned(),
        "none".to_owned(),
        Verdict::Change,
    );
    assert_eq!(of(&findings, "disk.scheduler"), [expected]);
}

#[test]
fn what_is_set_is_as_it_should_be_and_can_be_undone() {
    let machine = Machine::new();
    let flags = [AWAY, &["--apply", "--offline-siblings"]].concat();
    let script = machine.path("undo.sh");
    let before = machine.look(&flags);
    let applied = apply::apply(&machine.tree(), &before, &script).unwrap();
    // Commands (mount) are for the machine itself; everything else was written.
    let refused: Vec<_> = applied.outcomes.iter().filter(|it| it.error.is_some()).collect();
    assert!(
        refused.iter().all(|it| it.command.starts_with("mount ")),
        "{refused:?}"
    );
    assert_eq!(applied.failed(), 2);
    assert_eq!(
        format!("{:?}", exit_code(&before, Some(&applied))),
        format!("{:?}", std::process::ExitCode::from(4))
    );
    let cpu = "sys/devices/system/cpu";
    for (file, value) in [
        (format!("{cpu}/cpu2/cpufreq/scaling_governor"), "performance"),
        (format!("{cpu}/cpu0/cpufreq/scaling_governor"), "powersave"),
        (format!("{cpu}/cpu3/cpuidle/state2/disable"), "1"),
        (format!("{cpu}/cpu3/cpuidle/state1/disable"), "0"),
        (format!("{cpu}/cpu5/online"), "0"),
        (format!("{cpu}/cpu4/online"), "1"),
        ("proc/irq/30/smp_affinity_list".to_owned(), "0,4-7"),
        ("proc/irq/40/smp_affinity_list".to_owned(), "1"),
        ("proc/irq/default_smp_affinity".to_owned(), "f1"),
        ("sys/devices/virtual/workqueue/cpumask".to_owned(), "f1"),
        ("sys/block/nvme0n1/queue/scheduler".to_owned(), "none"),
        ("proc/sys/vm/swappiness".to_owned(), "1"),
        // To be considered only.
        ("proc/sys/vm/dirty_ratio".to_owned(), "20"),
    ] {
        assert_eq!(machine.get(&file), value, "{file}");
    }
    // The way back: each line of the script writes what was there.
    let undo = fs::read_to_string(&script).unwrap();
    for line in [
        "echo powersave > /sys/devices/system/cpu/cpu2/cpufreq/scaling_governor || status=1 # power.governor",
        "echo 0-7 > /proc/irq/30/smp_affinity_list || status=1 # irq.affinity",
        "echo mq-deadline > /sys/block/nvme0n1/queue/scheduler || status=1 # disk.scheduler",
        "mount -o remount,nolazytime /data || status=1 # disk.lazytime",
    ] {
        assert!(undo.lines().any(|it| it == line), "{line}\n{undo}");
    }
    // Looking again finds nothing to set but what could not be, and another run keeps the script of the first.
    let after = machine.look(AWAY);
    let left: Vec<_> = after
        .iter()
        .filter(|it| it.verdict == Verdict::Change)
        .filter(|it| !it.steps.is_empty())
        .collect();
    assert!(
        left.iter().all(|it| matches!(it.steps[0], Step::Run { .. })),
        "{left:?}"
    );
    let error = apply::apply(&machine.tree(), &after, &script).unwrap_err();
    assert!(error.to_string().contains("is there already"), "{error}");
    assert_eq!(fs::read_to_string(&script).unwrap(), undo);
}

#[test]
fn the_undo_script_restores_every_file() {
    let machine = Machine::new();
    let script = machine.path("undo.sh");
    let flags = [AWAY, &["--apply", "--offline-siblings"]].concat();
    let findings = machine.look(&flags);
    let files: Vec<String> = findings
        .iter()
        .flat_map(|it| &it.steps)
        .filter_map(|step| match step {
            Step::Write { path, .. } => Some(path.trim_start_matches('/').to_owned()),
            Step::Run { .. } => None,
        })
        .collect();
    let before: Vec<String> = files.iter().map(|file| machine.get(file)).collect();
    apply::apply(&machine.tree(), &findings, &script).unwrap();
    // The script means the machine's own files: here those below the root.
    let root = machine.directory.path().display();
    let undo = fs::read_to_string(&script).unwrap();
    let undo = undo
        .replace("> /", &format!("> {root}/"))
        .replace("mount ", "true ");
    fs::write(&script, undo).unwrap();
    let ended = std::process::Command::new("sh").arg(&script).status().unwrap();
    assert!(ended.success());
    for (file, before) in files.iter().zip(before) {
        let now = machine.get(file);
        // A file that offers a choice shows it in brackets; the script writes the word.
        assert!(
            before == now || before.contains(&format!("[{now}]")),
            "{file}: {before} {now}"
        );
    }
}

#[test]
fn what_can_not_be_written_is_told() {
    let machine = Machine::new();
    let script = machine.path("undo.sh");
    let findings = machine.look(AWAY);
    fs::remove_file(machine.path("proc/sys/vm/swappiness")).unwrap();
    let applied = apply::apply(&machine.tree(), &findings, &script).unwrap();
    let missing = applied
        .outcomes
        .iter()
        .find(|it| it.check == "memory.swappiness")
        .unwrap();
    assert!(
        missing.error.as_ref().unwrap().contains("No such file"),
        "{missing:?}"
    );
    let text = report::text(&machine.plan(AWAY).unwrap(), &findings, Some(&applied));
    assert!(
        text.contains("NOT SET   memory.swappiness: echo 1 > /proc/sys/vm/swappiness: No such file"),
        "{text}"
    );
}

#[test]
fn reports_say_what_is_what_should_be_why_and_how_to_undo() {
    let machine = Machine::new();
    let (plan, findings) = (machine.plan(AWAY).unwrap(), machine.look(AWAY));
    let text = report::text(&plan, &findings, None);
    for line in [
        "shards on cores 1-3, control on core 0, data in /data/tautline\n",
        "CHANGE    power.governor, cores 1-3: powersave -> performance\n",
        "          set   echo performance > /sys/devices/system/cpu/cpu1/cpufreq/scaling_governor\n",
        "          undo  echo powersave > /sys/devices/system/cpu/cpu1/cpufreq/scaling_governor\n",
        "consider  isolation.isolcpus, cores 1-3: none -> 1-3\n",
        "          hand  boot with isolcpus=managed_irq,domain,1-3\n",
        "good      disk.filesystem, /data: ext4\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&report::json(&plan, &findings, None).unwrap()).unwrap();
    assert_eq!(json["shard_cores"], serde_json::json!([1, 2, 3]));
    assert_eq!(json["control_core"], 0);
    assert!(json["applied"].is_null());
    let found = json["findings"].as_array().unwrap();
    assert_eq!(found.len(), findings.len());
    let governor = found.iter().find(|it| it["check"] == "power.governor").unwrap();
    assert_eq!(
        (&governor["verdict"], &governor["is"]),
        (&"change".into(), &"powersave".into())
    );
    assert_eq!(governor["steps"][0]["write"]["after"], "performance");
    // Exit codes: something to change, or nothing.
    let code = |findings: &[Finding]| format!("{:?}", exit_code(findings, None));
    assert_eq!(code(&findings), format!("{:?}", std::process::ExitCode::from(3)));
    let good: Vec<Finding> = findings
        .into_iter()
        .filter(|it| it.verdict != Verdict::Change)
        .collect();
    assert_eq!(code(&good), format!("{:?}", std::process::ExitCode::SUCCESS));
}
