"""The checks every client runs, written once for the Python clients against a small adapter.

An adapter has: `name`, `codecs`, `acks`, `partitions` (how many it can give a topic), `many_topics`
(how many it should make, 0 for none), and the methods used below;
it raises `Refused(code)` for a broker's error and `NotOffered(reason)` for what the client cannot do.
"""

import time
from functools import cache

from harness import Record, Refused, Run, eventually, expect, expect_equal, expect_refused

OFFSET_OUT_OF_RANGE = 1
UNKNOWN_TOPIC_OR_PARTITION = 3
NOT_READY = (3, 5, 6)  # unknown, no leader, not the leader
MESSAGE_TOO_LARGE = 10
TOPIC_ALREADY_EXISTS = 36
INVALID_PARTITIONS = 37
INVALID_CONFIG = 40
MEGABYTE = 1_000_000


def run_all(client):
    run = Run(client.name)
    basics(run, client)
    codecs(run, client)
    positions(run, client)
    payloads(run, client)
    many_topics(run, client)
    errors(run, client)
    admin(run, client)
    run.finish()


def filled_topic(run, client, name, count=200, value_bytes_max=2000, config=None):
    """A topic of one partition with `count` records, one second apart."""
    topic = run.topic(name)
    client.create_topic(topic, 1, config or {})
    sent = run.records(count, 1, value_bytes_max)
    base_ms = int(time.time() * 1000) - 3_600_000
    for i, record in enumerate(sent):
        record.timestamp_ms = base_ms + i * 1000
    client.produce(topic, sent)
    return topic, sent


def same_bodies(got, wanted, what):
    expect_equal(len(got), len(wanted), f"{what}: number of records")
    for i, (a, b) in enumerate(zip(got, wanted)):
        expect_equal(a.body(), b.body(), f"{what}: record {i} (offset {a.offset})")


def round_trip(client, topic, sent, partitions, **how):
    """Produces, then reads each partition from its start and compares byte for byte, offset for offset."""
    client.produce(topic, sent, **how)
    for partition in range(partitions):
        wanted = [r for r in sent if r.partition == partition]
        got = client.read(topic, partition, 0, len(wanted))
        same_bodies(got, wanted, f"partition {partition}")
        expect_equal([r.offset for r in got], list(range(len(wanted))), f"partition {partition}: offsets")


def is_led(client, topic, partition):
    """Asks the leader itself: metadata may name it before it is ready."""
    try:
        return client.bounds(topic, partition) == (0, 0)
    except Refused as refused:
        expect(refused.code in NOT_READY, f"bounds: {refused}")
        return False


def basics(run, client):
    def create():
        topic = run.topic("create")
        client.create_topic(topic, client.partitions, {})
        eventually(lambda: client.partition_count(topic) == client.partitions, "topic in metadata")

    def idempotent():
        topic = run.topic("idempotent")
        client.create_topic(topic, client.partitions, {})
        round_trip(client, topic, run.records(500, client.partitions), client.partitions, idempotent=True)

    run.check("create_topic", f"a topic of {client.partitions} partitions appears in metadata", create)
    run.check("idempotent_producer", "500 records in order, none twice", idempotent)


def codecs(run, client):
    for codec in client.codecs:
        for acks in client.acks:
            def body(codec=codec, acks=acks):
                topic = run.topic(f"{codec}-{acks}")
                client.create_topic(topic, client.partitions, {})
                for partition in range(client.partitions):
                    eventually(lambda: is_led(client, topic, partition), "partition has a leader")  # acks=0 would not tell
                sent = run.records(120, client.partitions)
                round_trip(client, topic, sent, client.partitions, codec=codec, acks=acks)

            run.check(f"produce_{codec}_acks_{acks}", "120 records come back byte-exact", body)


def positions(run, client):
    @cache
    def data():
        return filled_topic(run, client, "positions")

    def from_start():
        topic, sent = data()
        same_bodies(client.read(topic, 0, "earliest", len(sent)), sent, "from the start")
        expect_equal(client.bounds(topic, 0), (0, len(sent)), "earliest and latest offset")

    def from_offset():
        topic, sent = data()
        at = run.random.randrange(1, len(sent) - 1)
        got = client.read(topic, 0, at, len(sent) - at)
        expect_equal(got[0].offset, at, "first offset")
        same_bodies(got, sent[at:], f"from offset {at}")

    def from_time():
        topic, sent = data()
        got = client.read(topic, 0, 0, len(sent))
        times = [r.timestamp_ms for r in got]
        at = run.random.randrange(1, len(sent) - 1)
        for wanted_ms in (times[at], times[at] - 1, times[at] + 1, times[-1], times[-1] + 1, 0):
            wanted = next((r.offset for r in got if r.timestamp_ms >= wanted_ms), None)
            expect_equal(client.offset_for_time(topic, 0, wanted_ms), wanted, f"offset for {wanted_ms}, near record {at}")
        found = client.offset_for_time(topic, 0, times[at])
        same_bodies(client.read(topic, 0, found, len(sent) - found), sent[found:], f"from the time of record {at}")

    def replay():
        topic, sent = data()
        first = client.read(topic, 0, 0, len(sent))
        second = client.read(topic, 0, 0, len(sent))
        expect_equal([(r.offset, r.timestamp_ms, *r.body()) for r in second],
                     [(r.offset, r.timestamp_ms, *r.body()) for r in first], "second reading")

    run.check("consume_from_start", "all records, in order, from earliest", from_start)
    run.check("consume_from_offset", "all records from a random offset", from_offset)
    run.check("consume_from_time", "offsets for times before, between, at and after; reading from there", from_time)
    run.check("consume_replay", "two readings are the same", replay)


def payloads(run, client):
    def headers_and_nulls():
        topic = run.topic("headers")
        client.create_topic(topic, 1, {})
        sent = [
            Record(key=None, value=b"no key"),
            Record(key=b"tombstone", value=None),
            Record(key=b"", value=b""),
            Record(key=None, value=None),
            Record(key=b"k", value=b"v", headers=[("a", b"1"), ("a", b"2"), ("empty", b""), ("utf-8-\u00e9", "\u00fc".encode())]),
            Record(key=b"b", value=b"v", headers=[("binary", b"\x00\xff")]),
            Record(key=b"n", value=b"v", headers=[("null", None)]),
            Record(key=None, value=None, headers=[("only", b"header")]),
        ]
        sent = [record for record in sent if client.can_send(record)]
        round_trip(client, topic, sent, 1)

    def megabyte():
        topic = run.topic("megabyte")
        client.create_topic(topic, 1, {})
        sent = [Record(key=b"%d" % i, value=run.random.randbytes(MEGABYTE)) for i in range(5)]
        round_trip(client, topic, sent, 1)

    run.check("headers_null_keys_null_values", "absent, empty and repeated are told apart", headers_and_nulls)
    run.check("one_megabyte_messages", f"5 records of {MEGABYTE} bytes", megabyte)


def many_topics(run, client):
    topics, partitions = client.many_topics, min(8, client.partitions * 8)

    def body():
        names = [run.topic(f"many-{i}") for i in range(topics)]
        client.create_topics(names, partitions)
        sent = {(name, p): f"{name}/{p}".encode() for name in names for p in range(partitions)}
        client.produce_to_all(sent)
        expect_equal(client.read_all(list(sent)), sent, "what every partition holds")
        client.delete_topics(names)

    if topics:
        run.check("many_topics", f"{topics} topics x {partitions} partitions written and read by one consumer", body)


def errors(run, client):
    def unknown_topic():
        topic = run.topic("nowhere")
        expect_refused(UNKNOWN_TOPIC_OR_PARTITION, lambda: client.describe_topic(topic), "describe an unknown topic")
        expect(topic not in client.list_topics(), "describing a topic must not create it")

    def too_large():
        topic = run.topic("too-large")
        client.create_topic(topic, 1, {})
        large = [Record(value=run.random.randbytes(1_500_000))]
        expect_refused(MESSAGE_TOO_LARGE, lambda: client.produce(topic, large, request_bytes_max=4_000_000), "a record of 1.5 MB")
        round_trip(client, topic, [Record(value=b"the connection still works")], 1)

    def out_of_range():
        topic, sent = filled_topic(run, client, "out-of-range", 20)
        beyond = len(sent) + 1000
        got = client.read_with_reset(topic, 0, beyond, "earliest", len(sent))
        same_bodies(got, sent, "reset to earliest")
        expect_refused(OFFSET_OUT_OF_RANGE, lambda: client.read_with_reset(topic, 0, beyond, "error", 1), "no reset policy")

    run.check("error_unknown_topic", "describe answers UNKNOWN_TOPIC_OR_PARTITION and creates nothing", unknown_topic)
    run.check("error_record_too_large", "MESSAGE_TOO_LARGE, and the next produce works", too_large)
    run.check("error_offset_out_of_range", "reset to earliest, or OFFSET_OUT_OF_RANGE without a policy", out_of_range)


def admin(run, client):
    def exists():
        topic = run.topic("twice")
        client.create_topic(topic, 1, {})
        expect_refused(TOPIC_ALREADY_EXISTS, lambda: client.create_topic(topic, 1, {}), "create again")

    def invalid_config():
        topic = run.topic("invalid")
        expect_refused(INVALID_CONFIG, lambda: client.create_topic(topic, 1, {"no.such.config": "1"}), "an unknown config")
        expect_refused(INVALID_CONFIG, lambda: client.create_topic(topic, 1, {"retention.ms": "soon"}), "a value of the wrong type")
        expect(topic not in client.list_topics(), "a refused topic must not exist")

    def create_partitions():
        topic = run.topic("grow")
        client.create_topic(topic, 2, {})
        client.create_partitions(topic, 5)
        eventually(lambda: client.partition_count(topic) == 5, "five partitions in metadata")
        round_trip(client, topic, run.records(50, 5), 5)
        expect_refused(INVALID_PARTITIONS, lambda: client.create_partitions(topic, 3), "fewer partitions")

    def delete_records():
        topic, sent = filled_topic(run, client, "truncate", 100)
        expect_equal(client.delete_records(topic, 0, 40), 40, "low watermark in the answer")
        expect_equal(client.bounds(topic, 0), (40, 100), "earliest and latest offset")
        same_bodies(client.read(topic, 0, "earliest", 60), sent[40:], "what is left")
        expect_refused(OFFSET_OUT_OF_RANGE, lambda: client.delete_records(topic, 0, 101), "beyond the end")

    def configs():
        topic = run.topic("configs")
        client.create_topic(topic, 1, {"retention.ms": "86400000"})
        before = client.describe_configs(topic)
        expect_equal(before["retention.ms"], ("86400000", False), "retention.ms as created (value, is default)")
        expect_equal(before["cleanup.policy"], ("delete", True), "cleanup.policy (value, is default)")
        client.alter_config(topic, "retention.ms", "3600000")
        eventually(lambda: client.describe_configs(topic)["retention.ms"] == ("3600000", False), "altered value")
        client.alter_config(topic, "retention.ms", None)
        eventually(lambda: client.describe_configs(topic)["retention.ms"] == ("604800000", True), "back to the default")
        expect_refused(INVALID_CONFIG, lambda: client.alter_config(topic, "retention.ms", "soon"), "a value of the wrong type")

    def delete_topic():
        topic, _ = filled_topic(run, client, "deleted", 10)
        client.delete_topics([topic])
        eventually(lambda: topic not in client.list_topics(), "gone from metadata")
        expect_refused(UNKNOWN_TOPIC_OR_PARTITION, lambda: client.delete_topics([topic]), "delete again")
        client.create_topic(topic, 1, {})
        round_trip(client, topic, run.records(10), 1)

    run.check("error_topic_exists", "TOPIC_ALREADY_EXISTS", exists)
    run.check("error_invalid_config", "INVALID_CONFIG, and no topic is made", invalid_config)
    run.check("create_partitions", "2 grow to 5, all usable; shrinking is refused", create_partitions)
    run.check("delete_records", "the log starts at 40 after deleting up to 40", delete_records)
    run.check("describe_alter_configs", "created, altered, and back to the default", configs)
    run.check("delete_topic", "gone, and can be made anew with offsets from 0", delete_topic)
