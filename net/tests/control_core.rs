//! `--control-core`: a core for the controller and all helper threads, and nothing but shards on the others.

mod common;

use common::groups::QUICK;
use common::{HANGS, TestBroker, create, end_offset, produce, within};
use kafka_protocol::messages::metadata_request::MetadataRequest;
use tautline_core::cpu::{allowed_cores, parse_list};

/// The threads of a process, by name, with the cores they may run on.
fn threads(pid: u32) -> Vec<(String, Vec<usize>)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let threads = tasks.flatten().filter_map(|task| {
        // A thread may end meanwhile.
        let status = std::fs::read_to_string(task.path().join("status")).ok()?;
        let field = |name: &str| {
            Some(
                status
                    .lines()
                    .find_map(|line| line.strip_prefix(name))?
                    .trim()
                    .to_owned(),
            )
        };
        let name = field("Name:")?;
        // The kernel's own, for what a ring can't do at once.
        (!name.starts_with("iou-")).then_some((name, parse_list(&field("Cpus_allowed_list:")?)))
    });
    threads.collect()
}

/// A broker with a shard on the first core and control on the second, unless there is only one.
fn start(more: &[&str]) -> Option<(TestBroker, usize, usize)> {
    let allowed = allowed_cores().expect("the process's cores");
    let &[shard, control, ..] = &allowed[..] else {
        println!("only one core here: nothing to test");
        return None;
    };
    let control_core = control.to_string();
    let arguments = [&["--control-core", &control_core], QUICK, more].concat();
    Some((TestBroker::start(1, &arguments), shard, control))
}

#[test]
fn helpers_and_the_controller_stay_off_the_shards_core() {
    let Some((broker, shard, control)) = start(&[]) else {
        return;
    };
    let client = &mut broker.connect();
    create(client, "t", 4, &[]);
    for partition in 0..4 {
        assert_eq!(produce(client, "t", partition, 2), 0);
        assert_eq!(end_offset(client, "t", partition), 2);
    }
    let own = format!("shard-{shard}-");
    let controllers = format!("shard-{control}-");
    // A thread takes its place when it has begun to run.
    within(HANGS, "every thread is in its place", || {
        let threads = threads(broker.pid());
        let is_placed = |(name, cores): &(String, Vec<usize>)| match name.starts_with(&own) {
            true => *cores == [shard],
            false => *cores == [control],
        };
        let has = |wanted: &str| threads.iter().any(|(name, _)| name.starts_with(wanted));
        let all = [&own, &controllers, "admin", "nudge", "blocking-0", "patient-0"];
        threads.iter().all(is_placed) && all.iter().all(|name| has(name))
    });
    broker.stop();
}

/// With lanes the control core is a broker too: it is the controller, and leads nothing.
#[test]
fn the_control_lane_leads_nothing() {
    let Some((broker, ..)) = start(&["--advertise", "lanes"]) else {
        return;
    };
    let client = &mut broker.connect();
    create(client, "t", 4, &[]);
    let told = client.ask(12, &MetadataRequest::default().with_topics(None));
    let ids: Vec<i32> = told.brokers.iter().map(|it| it.node_id.0).collect();
    assert_eq!((ids, told.controller_id.0), (vec![10_000, 10_001], 10_000));
    let mut leaders = told.topics[0].partitions.iter().map(|it| it.leader_id.0);
    assert!(leaders.all(|leader| leader == 10_001));
    // The node's address is answered by the control core, for all.
    for partition in 0..4 {
        assert_eq!(produce(client, "t", partition, 2), 0);
    }
    broker.stop();
}

/// What was written with a core for control is there without one, and the other way round.
#[test]
fn a_control_core_comes_and_goes() {
    let Some((mut broker, ..)) = start(&[]) else {
        return;
    };
    let client = &mut broker.connect();
    create(client, "t", 3, &[]);
    (0..3).for_each(|partition| assert_eq!(produce(client, "t", partition, 2), 0));
    let with = broker.arguments().to_vec();
    for (round, arguments) in [with[2..].to_vec(), with].into_iter().enumerate() {
        broker.set_arguments(arguments);
        let client = &mut broker.crash_and_restart(1);
        let base = 2 + round as i64;
        (0..3).for_each(|partition| assert_eq!(produce(client, "t", partition, 1), base));
    }
    broker.stop();
}
