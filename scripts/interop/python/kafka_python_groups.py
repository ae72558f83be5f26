"""kafka-python's consumer groups behind the adapter of groups.py."""

import sys
import threading
from contextlib import contextmanager

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import KafkaError, NoOffsetForPartitionError, RetriableError
from kafka.structs import OffsetAndMetadata

import kafka.errors
from fleet import HEARTBEAT_INTERVAL_MS, SESSION_TIMEOUT_MS, member_process
from group_positions import NO_OFFSET
from groups import run_groups
from harness import BOOTSTRAP, DEADLINE_S, Refused, Run
from kafka_python_client import KafkaPython, checked

NO_ANSWER = -2
POLL_MS = 1000  # a poll that ends gives up the rejoining it has begun, and so short ones keep a group from ever settling
ASSIGNORS = {"classic": RangePartitionAssignor, "cooperative": CooperativeStickyAssignor}


def gathered(partitions):
    return {(at.topic, at.partition) for at in partitions}


def with_offsets(offsets, metadata=""):
    return {TopicPartition(*at): OffsetAndMetadata(offset, metadata, -1) for at, offset in offsets.items()}


class Rebalances(AsyncConsumerRebalanceListener):
    """Hands on what the client tells, and commits as it can in there: awaiting."""

    def __init__(self, consumer, listener):
        self.consumer, self.listener = consumer, listener

    async def on_partitions_assigned(self, partitions):
        self.listener.assigned(gathered(partitions))

    async def on_partitions_revoked(self, partitions):
        offsets = self.listener.positions_of(gathered(partitions))
        if offsets:
            try:
                await self.consumer.commit_async(with_offsets(offsets))
                self.listener.committed(offsets)
            except KafkaError as error:
                self.listener.not_committed(getattr(error, "errno", error))
        self.listener.revoked(gathered(partitions))

    async def on_partitions_lost(self, partitions):
        self.listener.lost(gathered(partitions))


class GroupConsumer:
    def __init__(self, group, listener=None, topics=None, pattern=None, **config):
        self.consumer = KafkaConsumer(
            bootstrap_servers=BOOTSTRAP, group_id=group, enable_auto_commit=False, fetch_max_wait_ms=100, metadata_max_age_ms=500,
            heartbeat_interval_ms=HEARTBEAT_INTERVAL_MS, **config)
        self.consumer.subscribe(topics=topics or (), pattern=pattern, listener=Rebalances(self.consumer, listener))

    def poll(self, _):
        try:
            polled = self.consumer.poll(POLL_MS, max_records=100)
        except NoOffsetForPartitionError as error:
            raise Refused(NO_OFFSET, str(error)) from error
        except RetriableError:
            return []  # it leaves it to the caller to ask again
        return [(r.topic, r.partition, r.offset, r.value) for records in polled.values() for r in records]

    def commit(self, offsets):
        try:
            checked(lambda: self.consumer.commit(with_offsets(offsets)))
        except RetriableError as error:
            raise Refused(NO_ANSWER, str(error)) from error

    def generation(self):
        return self.consumer.group_metadata().generation_id

    def seek(self, at, offset):
        self.consumer.seek(TopicPartition(*at), offset)

    def close(self):
        self.consumer.close()


class OneAtATime:
    """The admin client for several threads: more than a few requests at once it refuses itself."""

    def __init__(self, admin):
        self.admin, self.lock = admin, threading.Lock()

    def __getattr__(self, name):
        def call(*arguments, **named):
            with self.lock:
                return getattr(self.admin, name)(*arguments, **named)

        return call


class KafkaPythonGroups(KafkaPython):
    flavours = ("classic", "cooperative")

    def __init__(self):
        super().__init__()
        self.admin = OneAtATime(self.admin)

    def reconnect(self):
        pass  # it connects again by itself

    def assignor(self, flavour):
        return ASSIGNORS[flavour].name

    def join(self, listener, group, flavour, topics=None, pattern=None, instance=None, reset="earliest", session_timeout_ms=SESSION_TIMEOUT_MS):
        return GroupConsumer(group, listener, topics, pattern, group_instance_id=instance, session_timeout_ms=session_timeout_ms, auto_offset_reset=reset,
                             partition_assignment_strategy=[ASSIGNORS[flavour]])

    @contextmanager
    def producing(self, topic):
        producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, enable_idempotence=True, linger_ms=0)

        def send(batch):
            sent = [producer.send(topic, value, partition=partition) for partition, value in batch]
            for future in sent:
                future.get(DEADLINE_S)

        try:
            yield send
        finally:
            producer.close()

    def refused_results(self, results):
        for result in results:
            if result.errno:
                raise Refused(result.errno, result.__name__)

    def alter(self, group, offsets):
        self.refused_results(checked(lambda: self.admin.alter_group_offsets(group, offsets)).values())

    @contextmanager
    def alone(self, group, partitions):
        """A consumer that belongs to no group and commits for one."""
        consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=group, enable_auto_commit=False)
        try:
            consumer.assign([TopicPartition(*at) for at in partitions])
            yield consumer
        finally:
            consumer.close()

    def commit_alone(self, group, offsets):
        with self.alone(group, offsets) as consumer:
            checked(lambda: consumer.commit({TopicPartition(*at): OffsetAndMetadata(*value, -1) for at, value in offsets.items()}))

    def committed_alone(self, group, partitions):
        with self.alone(group, partitions) as consumer:
            found = {at: consumer.committed(TopicPartition(*at), metadata=True) for at in partitions}
            return {at: (stored.offset, stored.metadata) for at, stored in found.items()}

    def committed(self, group):
        listed = checked(lambda: self.admin.list_group_offsets(group))[group]
        return {(at.topic, at.partition): (stored.offset, stored.metadata or "") for at, stored in listed.items()}

    def alter_offsets(self, group, offsets):
        self.alter(group, with_offsets(offsets))

    offers_delete_offsets = True

    def delete_offsets(self, group, partitions):
        at = [TopicPartition(*at) for at in partitions]
        self.refused_results(checked(lambda: self.admin.delete_group_offsets(group, at)).values())

    def list_groups(self, state=None, kind=None):
        filters = {"states_filter": state and [state], "types_filter": kind and [kind]}
        return {one["group_id"] for one in checked(lambda: self.admin.list_groups(**filters))}

    def describe_group(self, group):
        described = checked(lambda: self.admin.describe_groups([group]))[group]
        return {
            "state": described["group_state"].upper(),
            "assignor": described["protocol_data"],
            "members": [
                {
                    "instance": member["group_instance_id"],
                    "partitions": {(one["topic"], p) for one in (member["member_assignment"] or {"assigned_partitions": []})["assigned_partitions"] for p in one["partitions"]},
                }
                for member in described["members"]
            ],
        }

    def delete_group(self, group):
        for result in checked(lambda: self.admin.delete_groups([group])).values():
            if result != "OK":
                raise Refused(getattr(kafka.errors, result).errno, result)


if __name__ == "__main__":
    client = KafkaPythonGroups()
    if sys.argv[1:2] == ["member"]:
        member_process(client, sys.argv[2])
    run = Run("kafka-python-groups")
    run_groups(run, client)
    run.finish()
