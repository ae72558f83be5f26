"""Checks of where a group's member begins, what a commit holds, and what is lost or repeated when a member dies."""

from fleet import make_topic, value_of
from harness import Record, eventually, expect, expect_equal, expect_refused

OFFSET_METADATA_TOO_LARGE = 12
UNKNOWN_MEMBER_ID = 25
NO_OFFSET = -1


def position_checks(run, client):
    each = [flavour for flavour in client.flavours if flavour != "cooperative"]
    return [check for f in each for check in (
        (f"group_reset_{f}", "earliest, latest, none, a commit, and seek", lambda f=f: reset(run, client, f)),
        (f"group_at_most_once_{f}", "commit before processing: what a death interrupts is lost", lambda f=f: at_most_once(run, client, f)),
        (f"group_at_least_once_{f}", "commit after processing: what a death interrupts is repeated", lambda f=f: at_least_once(run, client, f)),
    )] + [
        ("group_commit_metadata", "offsets come back with their metadata, too much of it is refused", lambda: metadata(run, client)),
        ("group_manual_assign", "commits without membership, refused while there are members", lambda: manual(run, client)),
    ]


def filled(run, client, name, count=100):
    topic = run.topic(name)
    make_topic(client, topic, 1)
    client.produce(topic, [Record(value=value_of(topic, 0, i)) for i in range(count)])
    return topic


class Quiet:
    """Listens to rebalances and keeps nothing; `owned` is set when something was assigned."""

    owned = ()

    def assigned(self, partitions):
        self.owned = set(partitions)

    def revoked(self, partitions):
        pass

    lost = revoked

    def positions_of(self, _):
        return {}


def joined(client, topic, group, flavour, **more):
    return client.join(listener=Quiet(), group=group, topics=[topic], flavour=flavour, **more)


def take(consumer, count):
    got = []
    eventually(lambda: got.extend(consumer.poll(0.1)) or len(got) >= count, f"{count} records")
    return [offset for _, _, offset, _ in got[:count]]


def reset(run, client, flavour):
    topic = filled(run, client, f"reset-{flavour}")
    group = run.topic(f"reset-{flavour}")
    earliest = joined(client, topic, f"{group}-1", flavour, reset="earliest")
    expect_equal(take(earliest, 100), list(range(100)), "earliest")
    earliest.seek((topic, 0), 97)
    expect_equal(take(earliest, 3), [97, 98, 99], "after seek")
    earliest.commit({(topic, 0): 42})
    earliest.close()
    again = joined(client, topic, f"{group}-1", flavour, reset="earliest")
    expect_equal(take(again, 58), list(range(42, 100)), "from the commit, whatever the reset")
    again.close()
    none = joined(client, topic, f"{group}-3", flavour, reset="none")
    expect_refused(NO_OFFSET, lambda: take(none, 1), "no commit and no reset")
    none.close()
    latest = joined(client, topic, f"{group}-2", flavour, reset="latest")
    got = []

    def sees_new():
        client.produce(topic, [Record(value=b"new")])
        got.extend(offset for _, _, offset, _ in latest.poll(0.1))
        return got

    eventually(sees_new, "what is produced after the member knows where the end is")
    expect(min(got) >= 100, f"latest began at {min(got)}, among the old records")
    latest.close()


def at_most_once(run, client, flavour):
    topic = group = filled(run, client, f"most-{flavour}")
    dying = joined(client, topic, group, flavour)
    done = take(dying, 10)
    dying.commit({(topic, 0): 10})
    done = done[:5]
    dying.close()
    heir = joined(client, topic, group, flavour)
    done += take(heir, 90)
    heir.close()
    expect_equal(done, [*range(5), *range(10, 100)], "processed: 5 to 9 are lost, nothing is repeated")


def at_least_once(run, client, flavour):
    topic = group = filled(run, client, f"least-{flavour}")
    dying = joined(client, topic, group, flavour)
    done = take(dying, 10)
    dying.commit({(topic, 0): 4})
    dying.close()
    heir = joined(client, topic, group, flavour)
    done += take(heir, 96)
    heir.close()
    expect_equal(done, [*range(10), *range(4, 100)], "processed: nothing is lost, 4 to 9 are repeated")


def metadata(run, client):
    topic = filled(run, client, "metadata", 10)
    group = run.topic("metadata")
    for offset, text in ((3, ""), (5, "where \u00e9"), (0, "x" * 4000)):
        client.commit_alone(group, {(topic, 0): (offset, text)})
        expect_equal(client.committed(group), {(topic, 0): (offset, text)}, "committed")
    expect_refused(OFFSET_METADATA_TOO_LARGE, lambda: client.commit_alone(group, {(topic, 0): (1, "x" * 4097)}), "4097 bytes of metadata")
    expect_equal(client.committed(group)[topic, 0][0], 0, "committed after the refusal")


def manual(run, client):
    topic = filled(run, client, "manual")
    group = run.topic("manual")
    client.commit_alone(group, {(topic, 0): (33, "")})
    expect_equal(client.committed(group)[topic, 0][0], 33, "committed")
    expect_equal(client.describe_group(group)["state"], "EMPTY", "state of a group that only commits")
    member = joined(client, topic, group, client.flavours[0])
    expect_equal(take(member, 67), list(range(33, 100)), "a member goes on from there")
    expect_refused(UNKNOWN_MEMBER_ID, lambda: client.commit_alone(group, {(topic, 0): (50, "")}), "a stranger's commit")
    expect_equal(client.committed(group)[topic, 0][0], 33, "committed, after the stranger was refused")
    member.close()
