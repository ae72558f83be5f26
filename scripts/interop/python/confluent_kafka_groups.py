"""confluent-kafka's consumer groups behind the adapter of groups.py."""

import sys
from contextlib import contextmanager

from confluent_kafka import Consumer, ConsumerGroupState, ConsumerGroupTopicPartitions, ConsumerGroupType, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource

from confluent_kafka_client import ConfluentKafka, checked, only_result
from fleet import HEARTBEAT_INTERVAL_MS, SESSION_TIMEOUT_MS, member_process
from group_positions import NO_OFFSET
from groups import run_groups
from harness import BOOTSTRAP, DEADLINE_S, Refused, Run, expect

QUIET = {"log_level": 0}  # it says much of members that leave and brokers that restart


def spread(partitions):
    return [TopicPartition(topic, partition) for topic, partition in partitions]


def gathered(partitions):
    return {(at.topic, at.partition) for at in partitions}


def with_offsets(offsets):
    return [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]


class GroupConsumer:
    """A member of a group, or, without topics, one that only commits."""

    def __init__(self, group, config, listener=None, subscription=None):
        self.listener = listener
        self.consumer = Consumer({
            "bootstrap.servers": BOOTSTRAP, "group.id": group, "enable.auto.commit": False, "fetch.wait.max.ms": 100,
            "topic.metadata.refresh.interval.ms": 500,
            # By default it may be ten seconds after a restart of the broker: members would be fenced, and process what they still hold.
            "reconnect.backoff.max.ms": 500, **QUIET, **config,
        })
        if subscription:
            self.consumer.subscribe(subscription, on_assign=self.on_assign, on_revoke=self.on_revoke, on_lost=self.on_lost)

    def on_assign(self, _, partitions):
        self.listener.assigned(gathered(partitions))

    def on_revoke(self, _, partitions):
        offsets = self.listener.positions_of(gathered(partitions))
        if offsets:
            self.listener.commit(self, offsets)
        self.listener.revoked(gathered(partitions))

    def on_lost(self, _, partitions):
        self.listener.lost(gathered(partitions))

    def poll(self, seconds):
        """Records one by one: a rebalance comes between two, and must find all before it processed."""
        for i in range(100):
            message = self.consumer.poll(0 if i else seconds)
            if message is None:
                return
            if message.error():
                code = message.error().code()
                raise Refused(NO_OFFSET if code == KafkaError._AUTO_OFFSET_RESET else code, message.error().str())
            yield message.topic(), message.partition(), message.offset(), message.value()

    def commit(self, offsets):
        for at in checked(lambda: self.consumer.commit(offsets=with_offsets(offsets), asynchronous=False)):
            if at.error:
                raise Refused(at.error.code(), at.error.str())

    def generation(self):
        return None  # it is not told

    def seek(self, at, offset):
        checked(lambda: self.consumer.seek(TopicPartition(*at, offset)))

    def close(self):
        self.consumer.close()


class ConfluentKafkaGroups(ConfluentKafka):
    flavours = ("classic", "cooperative", "consumer")
    assignors = {"classic": "range", "cooperative": "cooperative-sticky"}

    def __init__(self):
        super().__init__(QUIET)
        self.retired = []

    def reconnect(self):
        """librdkafka's admin client asks in vain, or crashes, when a group's coordinator it knows was restarted (2.16)."""
        self.retired.append(self.admin)
        self.admin = AdminClient({"bootstrap.servers": BOOTSTRAP, **QUIET})

    def assignor(self, flavour):
        return self.assignors[flavour]

    def join(self, listener, group, flavour, topics=None, pattern=None, instance=None, reset="earliest", session_timeout_ms=SESSION_TIMEOUT_MS):
        config = {"auto.offset.reset": "error" if reset == "none" else reset}
        if flavour == "consumer":
            config["group.protocol"] = "consumer"
        else:
            config |= {"partition.assignment.strategy": self.assignors[flavour], "session.timeout.ms": session_timeout_ms,
                       "heartbeat.interval.ms": HEARTBEAT_INTERVAL_MS}
        if instance:
            config["group.instance.id"] = instance
        return GroupConsumer(group, config, listener, [pattern] if pattern else topics)

    @contextmanager
    def producing(self, topic):
        producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True, "linger.ms": 0, **QUIET})
        errors = []

        def send(batch):
            for partition, value in batch:
                producer.produce(topic, value, partition=partition, on_delivery=lambda e, _: e and errors.append(e))
            expect(producer.flush(DEADLINE_S) == 0 and not errors, f"all produced, errors {errors[:3]}")

        yield send

    @contextmanager
    def alone(self, group):
        """A consumer that belongs to no group and commits for one."""
        consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": group, "enable.auto.commit": False, **QUIET})
        try:
            yield consumer
        finally:
            consumer.close()

    def commit_alone(self, group, offsets):
        partitions = [TopicPartition(*at, offset, metadata) for at, (offset, metadata) in offsets.items()]
        with self.alone(group) as consumer:
            self.each_accepted(checked(lambda: consumer.commit(offsets=partitions, asynchronous=False)))

    def committed_alone(self, group, partitions):
        with self.alone(group) as consumer:
            return {(at.topic, at.partition): (at.offset, at.metadata) for at in checked(lambda: consumer.committed(spread(partitions), DEADLINE_S))}

    @staticmethod
    def each_accepted(partitions):
        for at in partitions:
            if at.error:
                raise Refused(at.error.code(), at.error.str())

    def committed(self, group):
        listed = only_result(self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))
        return {(at.topic, at.partition): (at.offset, at.metadata or "") for at in listed.topic_partitions}

    def alter_offsets(self, group, offsets):
        wanted = ConsumerGroupTopicPartitions(group, with_offsets(offsets))
        self.each_accepted(only_result(self.admin.alter_consumer_group_offsets([wanted])).topic_partitions)

    offers_delete_offsets = False

    def list_groups(self, state=None, kind=None):
        filters = {}
        if state:
            filters["states"] = {ConsumerGroupState[state]}
        if kind:
            filters["types"] = {ConsumerGroupType[kind.upper()]}
        return {one.group_id for one in checked(lambda: self.admin.list_consumer_groups(**filters).result()).valid}

    def describe_group(self, group):
        described = only_result(self.admin.describe_consumer_groups([group]))
        return {
            "state": described.state.name,
            "assignor": described.partition_assignor,
            "members": [
                {"instance": member.group_instance_id, "partitions": gathered(member.assignment.topic_partitions)}
                for member in described.members
            ],
        }

    def alter_group_config(self, group, name, value):
        self.alter_config(group, name, value, ConfigResource.Type.GROUP)

    def delete_group(self, group):
        only_result(self.admin.delete_consumer_groups([group]))


if __name__ == "__main__":
    client = ConfluentKafkaGroups()
    if sys.argv[1:2] == ["member"]:
        member_process(client, sys.argv[2])
    run = Run("confluent-kafka-groups")
    run_groups(run, client)
    run.finish()
