"""Checks of what an administrator sees of groups and does to their offsets."""

from fleet import Fleet
from harness import eventually, expect, expect_equal, expect_refused

UNKNOWN_MEMBER_ID = 25
NON_EMPTY_GROUP = 68
GROUP_ID_NOT_FOUND = 69
GROUP_SUBSCRIBED_TO_TOPIC = 86


def admin_checks(run, client):
    each = [flavour for flavour in client.flavours if flavour != "cooperative"]
    return [check for f in each for check in (
        (f"group_list_describe_{f}", "state, protocol, members and their partitions", lambda f=f: describe(run, client, f)),
        (f"group_offsets_{f}", "listed, altered and deleted, refused while members are there", lambda f=f: offsets(run, client, f)),
        (f"group_delete_{f}", "refused while members are there, then gone", lambda f=f: delete(run, client, f)),
    )]


def describe(run, client, flavour):
    fleet = Fleet(run, client, "describe", flavour, partitions=4)
    fleet.join(2)
    fleet.settle()
    fleet.progress()
    kind = "consumer" if flavour == "consumer" else "classic"
    eventually(lambda: fleet.group in client.list_groups("STABLE"), "listed as stable")
    expect(fleet.group not in client.list_groups("EMPTY"), "not listed as empty")
    expect(fleet.group in client.list_groups(None, kind), f"listed as {kind}")
    expect(fleet.group not in client.list_groups(None, "classic" if kind == "consumer" else "consumer"), "not listed as the other type")
    described = client.describe_group(fleet.group)
    expect_equal(described["state"], "STABLE", "state")
    expect_equal(described["assignor"], "uniform" if kind == "consumer" else client.assignor(flavour), "assignor")
    shares = sorted(sorted(partition for _, partition in member["partitions"]) for member in described["members"])
    expect_equal(shares, sorted(fleet.shares().values()), "partitions of the members")
    done = fleet.finish()
    eventually(lambda: client.describe_group(fleet.group)["state"] == "EMPTY", "empty after all have left")
    expect(fleet.group in client.list_groups("EMPTY"), "listed as empty")
    expect(fleet.group not in client.list_groups("STABLE"), "no longer listed as stable")
    return done


def offsets(run, client, flavour):
    fleet = Fleet(run, client, "offsets", flavour, partitions=4)
    fleet.join()
    fleet.settle()
    fleet.progress()
    at = (fleet.topic, 0)
    expect_refused(UNKNOWN_MEMBER_ID, lambda: client.alter_offsets(fleet.group, {at: 1}), "alter with a member there")
    if client.offers_delete_offsets:
        expect_refused(GROUP_SUBSCRIBED_TO_TOPIC, lambda: client.delete_offsets(fleet.group, [at]), "delete with a member there")
    done = fleet.finish()
    client.alter_offsets(fleet.group, {at: 1})
    expect_equal(client.committed(fleet.group)[at][0], 1, "altered")
    if client.offers_delete_offsets:
        client.delete_offsets(fleet.group, [at])
        expect_equal(sorted(client.committed(fleet.group)), sorted(fleet.partitions - {at}), "partitions with offsets")
    return done


def delete(run, client, flavour):
    fleet = Fleet(run, client, "delete", flavour, partitions=2)
    fleet.join()
    fleet.settle()
    fleet.progress()
    expect_refused(NON_EMPTY_GROUP, lambda: client.delete_group(fleet.group), "with a member there")
    done = fleet.finish()
    client.delete_group(fleet.group)
    expect(fleet.group not in client.list_groups(None), "not listed after it was deleted")
    expect_equal(client.committed(fleet.group), {}, "offsets of a deleted group")
    expect_refused(GROUP_ID_NOT_FOUND, lambda: client.delete_group(fleet.group), "again")
    return done
