"""The checks of consumer groups for the Python clients, written once against a small adapter.

The adapter has `flavours`, what the client speaks of: `classic` (eager), `cooperative` (KIP-429) and `consumer` (KIP-848);
the methods used here and in fleet.py; and raises `Refused(code)` and `NotOffered(reason)` as for checks.py.
"""

import os
import time

from fleet import HEARTBEAT_WITHIN_S, KILL_SESSION_TIMEOUT_MS, DoomedMember, Fleet, Ledger, Load, Member, make_topic, restart_broker
from group_admin import admin_checks
from group_positions import position_checks
from harness import NotOffered, Refused, eventually, expect, expect_equal

COORDINATOR_NOT_READY = (14, 15, 16)  # it loads, is not there, is elsewhere


def run_groups(run, client):
    checks = []
    for flavour in client.flavours:
        checks += [
            (f"group_scale_{flavour}", "1, 5, 2 members under load", lambda f=flavour: scale(run, client, f)),
            (f"group_kill_{flavour}", "a member is killed, its partitions move", lambda f=flavour: kill(run, client, f)),
            (f"group_static_{flavour}", "static members restart and nothing moves", lambda f=flavour: static(run, client, f)),
            (f"group_regex_{flavour}", "a topic made later is consumed", lambda f=flavour: regex(run, client, f)),
        ]
        if flavour != "classic":
            checks.append((f"group_sticky_{flavour}", "only what must move moves", lambda f=flavour: sticky(run, client, f)))
    run.check_together(checks + position_checks(run, client) + admin_checks(run, client))
    run.check("group_restart", "groups and commits outlive the broker's restart and its kill -9", lambda: restart(run, client))


def scale(run, client, flavour):
    fleet = Fleet(run, client, "scale", flavour)
    for count in (1, 5, 2):
        if (more := count - len(fleet.members)) > 0:
            fleet.join(more)
        else:
            fleet.leave(run.choose(fleet.members, -more))
        fleet.settle()
        fleet.progress()
    return fleet.finish()


def kill(run, client, flavour):
    fleet = Fleet(run, client, "kill", flavour)
    if flavour == "consumer":
        client.alter_group_config(fleet.group, "consumer.session.timeout.ms", str(KILL_SESSION_TIMEOUT_MS))
    fleet.join(2)
    doomed = DoomedMember(fleet.ledger, **fleet.joining(session_timeout_ms=KILL_SESSION_TIMEOUT_MS))
    fleet.members.append(doomed)
    fleet.settle()
    fleet.progress()
    killed, stalled_s = doomed.kill()
    fleet.members.remove(doomed)
    fleet.settle()
    moved_after_s = time.monotonic() - killed
    expect(moved_after_s > KILL_SESSION_TIMEOUT_MS / 1000 - HEARTBEAT_WITHIN_S - stalled_s,
           f"moved {moved_after_s:.1f} s after the kill, before the session timed out (stalled before for {stalled_s:.1f} s)")
    fleet.progress()
    return f"{fleet.finish()}, moved after {moved_after_s:.1f} s"


def static(run, client, flavour):
    fleet = Fleet(run, client, "static", flavour)
    for i in range(3):
        fleet.join(instance=f"instance-{i}")
    fleet.settle()
    fleet.progress()
    for i, member in enumerate(list(fleet.members)):
        others = [other for other in fleet.members if other is not member]
        owned, events, generation = set(member.owned), [len(other.events) for other in others], fleet.generation()
        fleet.leave([member])
        back, = fleet.join(instance=f"instance-{i}")
        eventually(lambda: back.owned == owned or back.error, f"instance-{i} has its partitions again, {owned}")
        fleet.progress()
        expect_equal([len(other.events) for other in others], events, "rebalances the other members saw")
        expect_equal(fleet.generation(), generation, "generation after the restart")
    described = client.describe_group(fleet.group)
    expect_equal(sorted(m["instance"] for m in described["members"]), ["instance-0", "instance-1", "instance-2"], "instances")
    return fleet.finish()


def sticky(run, client, flavour):
    fleet = Fleet(run, client, "sticky", flavour)
    first = fleet.join(1) + fleet.join(1)
    before = fleet.settle()
    marks = [len(member.events) for member in first]
    third, = fleet.join()
    fleet.settle()
    for member, mark in zip(first, marks):
        member.events = member.events[mark:]
        expect(set(p for _, p in member.owned) <= set(before[member.name]), f"{member.name} was given a partition it had not")
    revoked = set().union(*(member.moved("revoked", "lost") for member in first))
    expect_equal(revoked, third.owned, "revoked from the first two, and given to the third")
    fleet.progress()
    marks = [len(member.events) for member in first]
    fleet.leave([third])
    fleet.settle()
    for member, mark in zip(first, marks):
        member.events = member.events[mark:]
        expect_equal(member.moved("revoked", "lost"), set(), f"revoked from {member.name} when the third left")
    fleet.progress()
    return fleet.finish()


def regex(run, client, flavour):
    group, ledger = run.topic(f"regex-{flavour}"), Ledger()
    topics = [f"{group}-{name}" for name in ("before", "after")]
    make_topic(client, f"{run.topic('not')}-{flavour}", 1)
    make_topic(client, topics[0], 2)
    members = [Member(client, ledger, f"member-{i}", group=group, pattern=f"^{group}-.*", flavour=flavour) for i in range(2)]
    loads = []
    for topic in topics:
        if topic != topics[0]:
            make_topic(client, topic, 2)
        loads.append(Load(client, topic, 2))
        wanted = {(load.topic, p) for load in loads for p in range(2)}
        eventually(lambda: set().union(*(m.owned for m in members)) == wanted or any(m.error for m in members), f"{len(loads)} topics are assigned")
    ends = {at: end for load in loads for at, end in load.stop().items()}
    eventually(lambda: all(ledger.committed[at] >= end for at, end in ends.items()), "all of all topics is committed")
    for member in members:
        member.leave()
    return f"{sum(ends.values())} records, {ledger.verify(ends)} processed again"


def committed_alone(client, group, partitions):
    try:
        return client.committed_alone(group, partitions)
    except Refused as refused:
        expect(refused.code in COORDINATOR_NOT_READY, f"committed offsets: {refused}")
        return refused  # some clients leave it to the caller to ask again


def restart(run, client):
    if not os.environ.get("RESTART_COMMAND"):
        raise NotOffered("no RESTART_COMMAND")
    fleets = [Fleet(run, client, "restart", flavour) for flavour in client.flavours]
    idle = run.topic("restart-idle")
    left = {(fleets[0].topic, p): (7 + p, f"left by {p}") for p in range(3)}
    client.commit_alone(idle, left)
    for fleet in fleets:
        fleet.join(2)
        fleet.settle()
    for signal in (("TERM", "KILL")):
        for fleet in fleets:
            fleet.progress()
        restart_broker(signal)
        client.reconnect()
        eventually(lambda: committed_alone(client, idle, left) == left, f"what was committed before {signal} is committed")
        for fleet in fleets:
            fleet.progress()
            fleet.settle()
    return "; ".join(fleet.finish() for fleet in fleets)
