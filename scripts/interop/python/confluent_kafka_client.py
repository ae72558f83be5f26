"""confluent-kafka (librdkafka) behind the checks' adapter; consumers assign by hand and never join a group."""

import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicCollection, TopicPartition, libversion
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource, NewPartitions, NewTopic

from checks import run_all
from harness import BOOTSTRAP, DEADLINE_S, Record, Refused, expect


def checked(call):
    """Turns the client's exception for a broker's answer into `Refused`."""
    try:
        return call()
    except KafkaException as error:
        raise Refused(error.args[0].code(), error.args[0].str()) from error


def only_result(futures):
    return checked(lambda: next(iter(futures.values())).result())


def to_record(message):
    timestamp_type, timestamp_ms = message.timestamp()
    return Record(message.key(), message.value(), message.headers() or [], timestamp_ms, message.partition(), message.offset())


class ConfluentKafka:
    name = "confluent-kafka"
    codecs = ("none", "gzip", "snappy", "lz4", "zstd")
    acks = ("0", "1", "all")
    partitions = 3
    many_topics = 25

    def __init__(self, more=None):
        self.admin = AdminClient({"bootstrap.servers": BOOTSTRAP, **(more or {})})

    # Topics

    def create_topic(self, topic, partitions, config):
        only_result(self.admin.create_topics([NewTopic(topic, partitions, 1, config=config)]))

    def create_topics(self, topics, partitions):
        for future in self.admin.create_topics([NewTopic(t, partitions, 1) for t in topics]).values():
            checked(future.result)

    def delete_topics(self, topics):
        for future in self.admin.delete_topics(topics).values():
            checked(future.result)

    def list_topics(self):
        return set(self.admin.list_topics(timeout=DEADLINE_S).topics)

    def partition_count(self, topic):
        found = self.admin.list_topics(timeout=DEADLINE_S).topics.get(topic)
        return len(found.partitions) if found else 0

    def describe_topic(self, topic):
        return only_result(self.admin.describe_topics(TopicCollection([topic])))

    def create_partitions(self, topic, total):
        only_result(self.admin.create_partitions([NewPartitions(topic, total)]))

    def delete_records(self, topic, partition, before):
        return only_result(self.admin.delete_records([TopicPartition(topic, partition, before)])).low_watermark

    def describe_configs(self, topic):
        entries = only_result(self.admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]))
        return {e.name: (e.value, e.source == ConfigSource.DEFAULT_CONFIG.value) for e in entries.values()}

    def alter_config(self, of, name, value, kind=ConfigResource.Type.TOPIC):
        operation = AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
        entry = ConfigEntry(name, value, incremental_operation=operation)
        only_result(self.admin.incremental_alter_configs([ConfigResource(kind, of, incremental_configs=[entry])]))

    # Records

    def can_send(self, record):
        return True

    def produce(self, topic, records, codec="none", acks="all", idempotent=False, request_bytes_max=1_100_000):
        producer = Producer({
            "bootstrap.servers": BOOTSTRAP, "compression.type": codec, "acks": acks, "linger.ms": 5,
            "enable.idempotence": idempotent, "message.max.bytes": request_bytes_max,
            "max.in.flight.requests.per.connection": 5 if idempotent else 1,
        })
        errors = []
        for r in records:
            producer.produce(
                topic, value=r.value, key=r.key, partition=r.partition, headers=r.headers, timestamp=r.timestamp_ms or 0,
                on_delivery=lambda e, _: e and errors.append(e),
            )
            producer.poll(0)
        expect(producer.flush(DEADLINE_S) == 0, "all produced within the deadline")
        if errors:
            raise Refused(errors[0].code(), errors[0].str())

    def produce_to_all(self, sent):
        producer = Producer({"bootstrap.servers": BOOTSTRAP})
        errors = []
        for (topic, partition), value in sent.items():
            producer.produce(topic, value, partition=partition, on_delivery=lambda e, _: e and errors.append(e))
        expect(producer.flush(DEADLINE_S) == 0 and not errors, f"all produced, errors {errors[:3]}")

    def consumer(self, assignment, reset="error"):
        consumer = Consumer({
            "bootstrap.servers": BOOTSTRAP, "group.id": "none", "enable.auto.commit": False, "auto.offset.reset": reset,
            "fetch.wait.max.ms": 100, "allow.auto.create.topics": False,
        })
        consumer.assign(assignment)
        return consumer

    def take(self, consumer, count):
        taken, deadline = [], time.monotonic() + DEADLINE_S
        try:
            while len(taken) < count:
                expect(time.monotonic() < deadline, f"{count} records within the deadline, got {len(taken)}")
                message = consumer.poll(1.0)
                if message is None:
                    continue
                if message.error():
                    code = message.error().code()
                    raise Refused(1 if code == KafkaError._AUTO_OFFSET_RESET else code, message.error().str())
                taken.append(message)
            return taken
        finally:
            consumer.close()

    def read(self, topic, partition, start, count):
        offset = OFFSET_BEGINNING if start == "earliest" else start
        return [to_record(m) for m in self.take(self.consumer([TopicPartition(topic, partition, offset)]), count)]

    def read_with_reset(self, topic, partition, offset, reset, count):
        return [to_record(m) for m in self.take(self.consumer([TopicPartition(topic, partition, offset)], reset), count)]

    def read_all(self, partitions):
        assignment = [TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in partitions]
        return {(m.topic(), m.partition()): m.value() for m in self.take(self.consumer(assignment), len(partitions))}

    def bounds(self, topic, partition):
        consumer = self.consumer([])
        try:
            return checked(lambda: consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=DEADLINE_S))
        finally:
            consumer.close()

    def offset_for_time(self, topic, partition, timestamp_ms):
        consumer = self.consumer([])
        try:
            found = consumer.offsets_for_times([TopicPartition(topic, partition, timestamp_ms)], timeout=DEADLINE_S)[0].offset
            return None if found < 0 else found
        finally:
            consumer.close()


if __name__ == "__main__":
    print(f"librdkafka {libversion()[0]}")
    run_all(ConfluentKafka())
