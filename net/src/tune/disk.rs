//! The data directory's filesystem and the device below it.

use std::path::{Path, PathBuf};

use super::finding::Finding;
use super::mounts::{self, Mount};
use super::plan::Plan;
use super::tree::Tree;

/// Requests that a device should take: a submit sleeps when all are in use.
const REQUESTS_MIN: i64 = 128;
/// Filesystems whose overwrites of written extents, direct and durable, go straight to the device.
const OVERWRITING: [&str; 2] = ["ext4", "xfs"];

/// What names of virtual disks begin with.
const VIRTUAL: [&str; 2] = ["vd", "xvd"];

pub(super) fn look(tree: &Tree, plan: &Plan, found: &mut Vec<Finding>) {
    let why = "what carries the data decides what a durable write costs";
    let directory = existing(&plan.data_dir, tree);
    let mount = tree
        .text("/proc/self/mountinfo")
        .and_then(|text| mounts::of(&text, &directory));
    let Some(mount) = mount else {
        found.push(Finding::unknown(
            "disk.mount",
            plan.data_dir.display().to_string(),
            why,
        ));
        return;
    };
    filesystem(&mount, found);
    match device_of(tree, &mount) {
        Some(device) => queue(tree, &device, found),
        None => found.push(Finding::unknown("disk.device", mount.source, why)),
    }
}

/// The directory with its links followed, or of those above it the nearest that exists.
fn existing(directory: &Path, tree: &Tree) -> PathBuf {
    if !tree.is_machine() {
        return directory.to_owned();
    }
    let real = directory.ancestors().find_map(|it| it.canonicalize().ok());
    real.unwrap_or_else(|| directory.to_owned())
}

fn filesystem(mount: &Mount, found: &mut Vec<Finding>) {
    let (point, is) = (mount.point.as_str(), mount.filesystem.as_str());
    let finding = Finding::new(
        "disk.filesystem",
        point,
        is,
        "ext4 or xfs",
        "segments are written ahead of need and then overwritten in place with O_DIRECT: others copy on write, buffer, or journal the \
         data, and every acknowledgement pays for it",
    );
    found.push(
        finding
            .good_if(OVERWRITING.contains(&is))
            .by_hand("put --data-dir on an ext4 or xfs filesystem", "put it back"),
    );
    let has = |option: &str| mount.options.iter().any(|it| it == option);
    let remount = |finding: Finding, set: &str, unset: &str| {
        finding.run(
            &["mount", "-o", &format!("remount,{set}"), point],
            &["mount", "-o", &format!("remount,{unset}"), point],
        )
    };
    let lazy = has("lazytime");
    let finding = Finding::new(
        "disk.lazytime",
        point,
        if lazy { "lazytime" } else { "times are journaled" },
        "lazytime",
        "a write that changes the file's time joins the journal, and waits when the journal is being committed",
    );
    found.push(remount(finding, "lazytime", "nolazytime"));
    let discards = has("discard");
    let finding = Finding::new(
        "disk.discard",
        point,
        if discards {
            "discard at each deletion"
        } else {
            "no discard"
        },
        "no discard",
        "a deleted segment is discarded at once, and the device stalls writes meanwhile; fstrim does the same at a quiet time",
    );
    found.push(remount(finding, "nodiscard", "discard"));
    let lying = ["nobarrier", "barrier=0"].iter().any(|option| has(option));
    let finding = Finding::new(
        "disk.barriers",
        point,
        if lying { "off" } else { "on" },
        "on",
        "without them a power failure loses what was acknowledged as durable",
    );
    found.push(finding.by_hand(
        format!("mount -o remount,barrier {point}, and take it out of /etc/fstab"),
        "do not",
    ));
    let journals = has("data=journal");
    let finding = Finding::new(
        "disk.journal",
        point,
        if journals {
            "data is journaled"
        } else {
            "metadata only"
        },
        "metadata only",
        "journaled data is written twice, and O_DIRECT is not used",
    );
    found.push(finding.by_hand(
        "mount it with data=ordered, in /etc/fstab",
        "mount it with data=journal",
    ));
}

/// The name of the whole disk that a mount is on.
fn device_of(tree: &Tree, mount: &Mount) -> Option<String> {
    let base = format!("/sys/dev/block/{}", mount.device);
    let base = if tree.has(&format!("{base}/queue")) {
        base
    } else {
        // A partition lies in its disk's directory.
        format!("{base}/..")
    };
    let real = tree.path(&base).canonicalize().ok()?;
    let name = real.file_name()?.to_str()?.to_owned();
    tree.has(&format!("/sys/block/{name}/queue")).then_some(name)
}

fn queue(tree: &Tree, device: &str, found: &mut Vec<Finding>) {
    let file = |name: &str| format!("/sys/block/{device}/queue/{name}");
    let says = tree.text(&file("rotational"));
    // A virtual machine's disk says that it rotates, whatever is below it.
    let rotates = says.is_some_and(|it| it == "1") && !VIRTUAL.iter().any(|it| device.starts_with(it));
    if let Some((is, all)) = tree.choice(&file("scheduler")) {
        let should = match rotates {
            true => "mq-deadline",
            false => "none",
        };
        let finding = Finding::new(
            "disk.scheduler",
            device,
            is.clone(),
            should,
            "the broker keeps one write of a log in flight and orders them itself: a scheduler only adds a lock and a wait; a disk \
             that rotates is better off with deadlines",
        );
        // One that is not built in can't be had, and others are no harm to speak of.
        let can = all.iter().any(|it| it == should);
        let finding = finding.good_if(is == should || !can);
        found.push(finding.write(file("scheduler"), is, should));
    }
    if let Some(is) = tree.number(&file("nr_requests")) {
        let finding = Finding::new(
            "disk.requests",
            device,
            is.to_string(),
            format!("{REQUESTS_MIN} at least"),
            "when all requests of the device are in use, the next submission sleeps, and a whole core with it",
        );
        let finding = finding.good_if(is >= REQUESTS_MIN);
        found.push(finding.write(file("nr_requests"), is.to_string(), REQUESTS_MIN.to_string()));
    }
    if let Some(is) = tree.text(&file("rq_affinity")) {
        let finding = Finding::new(
            "disk.completion",
            device,
            is.clone(),
            "2",
            "a write ends on the very core that began it, where its shard waits, and not on a neighbour",
        );
        found.push(finding.write(file("rq_affinity"), is, "2"));
    }
    cache(tree, device, found);
}

/// A volatile cache makes each acknowledgement wait for the medium.
fn cache(tree: &Tree, device: &str, found: &mut Vec<Finding>) {
    let file = |name: &str| format!("/sys/block/{device}/queue/{name}");
    let Some(is) = tree.text(&file("write_cache")) else {
        return;
    };
    let forced = tree.text(&file("fua")).is_some_and(|it| it == "1");
    let is = match (is.as_str(), forced) {
        ("write through", _) => is,
        (_, true) => "volatile cache, single writes can be forced through it".to_owned(),
        (_, false) => "volatile cache, flushed as a whole for each durable write".to_owned(),
    };
    let finding = Finding::new(
        "disk.cache",
        device,
        is.clone(),
        "write through",
        "a device with power-loss protection acknowledges from its own memory, others in the time of their medium",
    );
    let finding = finding.by_hand(
        "use a device with power-loss protection; never set write_cache by hand on one without",
        "nothing to undo",
    );
    found.push(finding.only_to_consider());
}
