"""Consumer groups under load: a producer that runs meanwhile, members that commit after processing, and a ledger of both.

What the ledger holds against a group: a record that nobody processed, a record that is not what was produced there, and a
record that was processed although its processing had been committed. A member commits what it has processed every
`COMMIT_EVERY` records, when it is idle, and, before it gives a partition up, that partition's position.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter

from harness import Refused, eventually, expect, expect_equal

PARTITIONS = 10
SESSION_TIMEOUT_MS = 20_000  # long enough for members on a busy machine
KILL_SESSION_TIMEOUT_MS = 6000  # the least that brokers allow by default
HEARTBEAT_INTERVAL_MS = 500
HEARTBEAT_WITHIN_S = 2  # a member that has time has sent a heartbeat by then
COMMIT_EVERY = 50
LOAD_RECORDS, LOAD_PAUSE_S = 20, 0.02


def value_of(topic, partition, offset):
    return f"{topic}/{partition}/{offset}".encode()


def make_topic(client, topic, partitions):
    """Creates a topic and waits until it is in metadata: some clients give up on a topic they are not told of."""
    client.create_topic(topic, partitions, {})
    eventually(lambda: client.partition_count(topic) == partitions, "the new topic in metadata")


class Ledger:
    """What all members together have processed and committed."""

    def __init__(self):
        self.lock = threading.Lock()
        self.times = Counter()  # (topic, partition, offset): how often processed
        self.committed = Counter()  # (topic, partition): the next offset
        self.violations = []

    def processed(self, member, topic, partition, offset, value):
        with self.lock:
            if value != value_of(topic, partition, offset):
                self.violations.append(f"{member} got {value} at {topic}/{partition}/{offset}")
            if offset < self.committed[topic, partition]:
                self.violations.append(f"{member} processed {topic}/{partition}/{offset}, committed up to {self.committed[topic, partition]}")
            self.times[topic, partition, offset] += 1

    def commit(self, positions):
        with self.lock:
            for at, offset in positions.items():
                self.committed[at] = max(self.committed[at], offset)

    def verify(self, ends):
        """All that was produced was processed; the answer counts what was processed more than once, never after a commit."""
        expect_equal(self.violations[:3], [], f"violations ({len(self.violations)} in all)")
        missing = [(*at, offset) for at, end in ends.items() for offset in range(end) if not self.times[(*at, offset)]]
        expect_equal(missing[:3], [], f"records that nobody processed ({len(missing)} of {sum(ends.values())})")
        return sum(count > 1 for count in self.times.values())


class Load(threading.Thread):
    """Produces to every partition until it is stopped; `ends` is what was acknowledged."""

    def __init__(self, client, topic, partitions=PARTITIONS):
        super().__init__(daemon=True)
        self.client, self.topic, self.partitions = client, topic, partitions
        self.ends = {(topic, p): 0 for p in range(partitions)}
        self.stopping = threading.Event()
        self.error = None
        self.start()

    def run(self):
        try:
            with self.client.producing(self.topic) as send:
                while not self.stopping.wait(LOAD_PAUSE_S):
                    next_, batch = dict(self.ends), []
                    for i in range(LOAD_RECORDS):
                        at = (self.topic, i % self.partitions)
                        batch.append((at[1], value_of(*at, next_[at])))
                        next_[at] += 1
                    send(batch)
                    self.ends = next_
        except Exception as error:
            self.error = error

    def stop(self):
        self.stopping.set()
        self.join()
        expect(self.error is None, f"the load failed: {self.error!r}")
        return self.ends


class Member(threading.Thread):
    """One member of a group, in a thread of its own. `ledger` may be anything with `processed` and `commit`."""

    def __init__(self, client, ledger, name, **joining):
        super().__init__(daemon=True)
        self.client, self.ledger, self.name, self.joining = client, ledger, name, joining
        self.owned, self.positions, self.events, self.refused = set(), {}, [], []
        self.processed = self.uncommitted = 0
        self.generation = self.error = None
        self.leaving = threading.Event()
        self.start()

    def run(self):
        try:
            consumer = self.client.join(listener=self, **self.joining)
            while not self.leaving.is_set():
                before = self.processed
                for topic, partition, offset, value in consumer.poll(0.1):
                    self.generation = consumer.generation()  # before the record counts: who sees it counted may ask
                    self.ledger.processed(self.name, topic, partition, offset, value)
                    self.positions[topic, partition] = offset + 1
                    self.processed += 1
                    self.uncommitted += 1
                if self.uncommitted >= COMMIT_EVERY or (self.uncommitted and self.processed == before):
                    self.commit(consumer, self.positions)
            self.commit(consumer, self.positions)
            consumer.close()
        except Exception as error:
            self.error = error

    def commit(self, consumer, positions):
        """A refusal leaves the positions for the next commit, or for whoever is given the partition."""
        if positions:
            try:
                consumer.commit(dict(positions))
                self.committed(positions)
            except Refused as refused:
                self.not_committed(refused.code)

    def committed(self, positions):
        self.ledger.commit(positions)
        self.uncommitted = 0

    def not_committed(self, code):
        self.refused.append(code)

    # What the client tells of rebalances.

    def assigned(self, partitions):
        self.events.append(("assigned", set(partitions)))
        self.owned |= set(partitions)

    def revoked(self, partitions):
        self.events.append(("revoked", set(partitions)))
        self.give_up(partitions)

    def lost(self, partitions):
        self.events.append(("lost", set(partitions)))
        self.give_up(partitions)

    def give_up(self, partitions):
        for at in partitions:
            self.positions.pop(at, None)
        self.owned = self.owned - set(partitions)

    def positions_of(self, partitions):
        return {at: self.positions[at] for at in partitions if at in self.positions}

    def moved(self, *kinds):
        return set().union(*(partitions for kind, partitions in self.events if kind in kinds))

    def leave(self):
        """Commits, and leaves the group as the client does it by itself."""
        self.leaving.set()
        self.join()
        expect(self.error is None, f"{self.name} failed: {self.error!r}")


class Told:
    """The ledger of a member in a process of its own: each line is out before what follows it."""

    def __init__(self):
        self.lock = threading.Lock()

    def say(self, *told):
        with self.lock:
            print(json.dumps(told), flush=True)

    def processed(self, _, topic, partition, offset, value):
        self.say("processed", topic, partition, offset, value.decode())

    def commit(self, positions):
        self.say("commit", *([*at, offset] for at, offset in positions.items()))


def member_process(client, joining):
    """The whole program of a member that is going to be killed. It says what the time is whenever it has some."""
    told = Told()
    member = Member(client, told, "doomed", **json.loads(joining))
    owned = None
    while member.is_alive():
        if owned != (owned := sorted(member.owned)):
            told.say("owned", *owned)
        told.say("alive", time.monotonic())
        member.join(0.02)
    raise member.error


class DoomedMember:
    """A member in a process of its own, which only `kill -9` ends."""

    def __init__(self, ledger, **joining):
        self.ledger, self.name, self.owned, self.processed, self.error = ledger, "doomed", set(), 0, None
        self.alive = []  # when it had time to say so, by the clock that processes share
        self.process = subprocess.Popen([sys.executable, sys.argv[0], "member", json.dumps(joining)], stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            if not line.endswith("\n"):
                break
            kind, *told = json.loads(line)
            if kind == "processed":
                topic, partition, offset, value = told
                self.ledger.processed(self.name, topic, partition, offset, value.encode())
                self.processed += 1
            elif kind == "commit":
                self.ledger.commit({(topic, partition): offset for topic, partition, offset in told})
            elif kind == "alive":
                self.alive += told
            else:
                self.owned = {tuple(at) for at in told}

    def kill(self):
        """When that was, and for how long it may have had no time for a heartbeat before: a machine can be that busy."""
        killed = time.monotonic()
        self.process.kill()
        self.process.wait()
        self.reader.join()
        alive = [*self.alive, killed]
        return killed, max(now - before for before, now in zip(alive, alive[1:]) if now > killed - HEARTBEAT_WITHIN_S)


class Fleet:
    """The members of one group on one topic, and their load."""

    def __init__(self, run, client, name, flavour, partitions=PARTITIONS, load=True):
        self.run, self.client, self.flavour = run, client, flavour
        self.topic = self.group = run.topic(f"{name}-{flavour}")
        self.partitions = {(self.topic, p) for p in range(partitions)}
        self.ledger, self.members, self.count = Ledger(), [], 0
        make_topic(client, self.topic, partitions)
        self.load = Load(client, self.topic, partitions) if load else None

    def joining(self, **more):
        return {"group": self.group, "topics": [self.topic], "flavour": self.flavour, **more}

    def join(self, count=1, **more):
        added = []
        for _ in range(count):
            self.count += 1
            added.append(Member(self.client, self.ledger, f"member-{self.count}", **self.joining(**more)))
        self.members += added
        return added

    def leave(self, members):
        for member in members:
            member.leaving.set()
        for member in members:
            member.leave()
            self.members.remove(member)

    def is_settled(self):
        """Every partition has one owner, and the shares differ by one at most."""
        for member in self.members:
            expect(member.error is None, f"{member.name} failed: {member.error!r}")
        owned = [set(member.owned) for member in self.members]
        sizes = [len(one) for one in owned]
        return sum(sizes) == len(self.partitions) and set().union(*owned) == self.partitions and max(sizes) - min(sizes) <= 1

    def settle(self):
        eventually(self.is_settled, lambda: f"{len(self.members)} members share {len(self.partitions)} partitions: {self.shares()}")
        return self.shares()

    def shares(self):
        return {member.name: sorted(p for _, p in member.owned) for member in self.members}

    def generation(self):
        """That of all members, which must agree."""
        eventually(lambda: len({member.generation for member in self.members}) == 1,
                   lambda: f"members agree on the generation: {({m.name: m.generation for m in self.members})}")
        return self.members[0].generation

    def progress(self):
        """Every member processes something more."""
        before = {member: member.processed for member in self.members}
        eventually(lambda: all(member.processed > count for member, count in before.items()), lambda: f"every member goes on: {({m.name: (m.processed, before[m], len(m.owned), m.error) for m in self.members})}")

    def finish(self):
        """Ends the load, waits until all of it is committed, lets all leave, and judges."""
        ends = self.load.stop()
        eventually(lambda: self.ledger.violations or all(self.ledger.committed[at] >= end for at, end in ends.items()),
                   "all that was produced is committed")
        self.leave(list(self.members))
        twice = self.ledger.verify(ends)
        stored = self.client.committed(self.group)
        expect_equal({at: offset for at, (offset, _) in stored.items()}, ends, "the group's committed offsets")
        return f"{sum(ends.values())} records, {twice} processed again"


def restart_broker(signal="TERM"):
    """Runs RESTART_COMMAND, which returns when the broker is ready again."""
    done = subprocess.run(os.environ["RESTART_COMMAND"], shell=True, env={**os.environ, "RESTART_SIGNAL": signal}, capture_output=True, text=True)
    expect(done.returncode == 0, f"RESTART_COMMAND failed: {done.stdout[-300:]} {done.stderr[-300:]}")
