#!/usr/bin/env python3
"""The three delivery guarantees, and what each costs when a consumer dies: needs `pip install confluent-kafka` and a broker.

    scripts/examples/guarantees.py [at-most-once|at-least-once|exactly-once ...] [--bootstrap HOST:PORT] [--kills N]

A worker takes numbers from one topic, doubles them and writes them to another, in batches of 100. It is killed (SIGKILL) again and
again in the middle of its work and started anew. At the end the numbers that came out are counted.
"""
import argparse, os, random, signal, subprocess, sys, time
from collections import Counter

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

BATCH = 100
PARTITIONS = 4
GUARANTEES = ("at-most-once", "at-least-once", "exactly-once")


def consumer(bootstrap, group):
    return Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "group.instance.id": "worker",  # a worker that comes back takes its partitions again without a rebalance
        "session.timeout.ms": 6000,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
    })


def work(guarantee, bootstrap, run):
    """Takes batches until it is killed."""
    source = consumer(bootstrap, f"group-{run}")
    source.subscribe([f"in-{run}"])
    settings = {"bootstrap.servers": bootstrap, "linger.ms": 1}
    if guarantee == "exactly-once":
        settings["transactional.id"] = f"worker-{run}"
    sink = Producer(settings)
    if guarantee == "exactly-once":
        sink.init_transactions()
    while True:
        records = source.consume(BATCH, timeout=0.2)
        if not records:
            continue
        ends = [TopicPartition(r.topic(), r.partition(), r.offset() + 1) for r in records]
        offsets = list({(e.topic, e.partition): e for e in ends}.values())  # the last of each partition
        if guarantee == "at-most-once":
            source.commit(offsets=offsets, asynchronous=False)  # first the position, then the work
        if guarantee == "exactly-once":
            sink.begin_transaction()
        for r in records:
            sink.produce(f"out-{run}", key=r.value(), value=str(int(r.value()) * 2))
        if guarantee == "exactly-once":
            # Position and results become visible together, or neither does.
            sink.send_offsets_to_transaction(offsets, source.consumer_group_metadata())
            sink.commit_transaction()
        else:
            sink.flush()
        if guarantee == "at-least-once":
            source.commit(offsets=offsets, asynchronous=False)  # first the work, then the position


def position(group, run):
    """How many numbers the group has left behind it."""
    committed = group.committed([TopicPartition(f"in-{run}", p) for p in range(PARTITIONS)], timeout=30)
    return sum(max(p.offset, 0) for p in committed)


def results(bootstrap, run):
    """The numbers that came out, and how often."""
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "isolation.level": "read_committed",
                       "enable.auto.commit": False, "enable.partition.eof": True})
    reader.assign([TopicPartition(f"out-{run}", p, 0) for p in range(PARTITIONS)])
    seen, ended = Counter(), set()
    while len(ended) < PARTITIONS:
        record = reader.poll(10)
        if record is None:
            raise SystemExit("the results could not be read")
        if record.error():
            ended.add(record.partition())
        else:
            seen[int(record.key())] += 1
    reader.close()
    return seen


def show(guarantee, bootstrap, count, kills):
    run = f"{guarantee}-{random.randrange(1 << 32):08x}"
    topics = [NewTopic(f"{side}-{run}", PARTITIONS, 1) for side in ("in", "out")]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for created in admin.create_topics(topics).values():
        created.result()
    feed = Producer({"bootstrap.servers": bootstrap})
    for n in range(count):
        feed.produce(f"in-{run}", key=str(n), value=str(n))
        feed.poll(0)
    feed.flush()

    group = consumer(bootstrap, f"group-{run}")  # only to ask, it never joins
    began, killed = time.monotonic(), 0
    while True:
        worker = subprocess.Popen([sys.executable, __file__, "--work", guarantee, "--bootstrap", bootstrap, "--run", run])
        # The first kill comes as soon as the worker works, others at any moment of it.
        before, due = position(group, run), None
        while (at := position(group, run)) < count:
            if at > before and due is None:
                due = time.monotonic() + random.uniform(0, 0.5)
            if due is not None and killed < kills and time.monotonic() > due:
                break
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        if at >= count:
            break
        killed += 1
    took = time.monotonic() - began
    group.close()

    seen = results(bootstrap, run)
    lost = count - len(seen)
    twice = sum(times - 1 for times in seen.values())
    print(f"{guarantee:14} {count} numbers, worker killed {killed} times: {lost} lost, {twice} too many, {took:.1f} s", flush=True)
    if guarantee == "exactly-once" and (lost or twice) or guarantee == "at-least-once" and lost or guarantee == "at-most-once" and twice:
        raise SystemExit(f"{guarantee} was broken")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("guarantees", nargs="*", metavar="GUARANTEE", help=", ".join(GUARANTEES))
    parser.add_argument("--bootstrap", default=os.environ.get("BOOTSTRAP", "127.0.0.1:9092"))
    parser.add_argument("--count", type=int, default=40_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--work", choices=GUARANTEES, help=argparse.SUPPRESS)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        work(asked.work, asked.bootstrap, asked.run)
    for guarantee in asked.guarantees or GUARANTEES:
        if guarantee not in GUARANTEES:
            parser.error(f"no such guarantee: {guarantee}")
        show(guarantee, asked.bootstrap, asked.count, asked.kills)


if __name__ == "__main__":
    main()
