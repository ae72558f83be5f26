"""kafka-python (pure Python) behind the checks' adapter; consumers assign by hand and never join a group."""

import re
import time

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigFilterType, ConfigResource, ConfigResourceType
from kafka.errors import BrokerResponseError, CommitFailedError, OffsetOutOfRangeError

from checks import run_all
from harness import BOOTSTRAP, DEADLINE_S, Record, Refused, expect

DEFAULT_CONFIG = 5


def checked(call):
    """Turns the client's exception for a broker's answer into `Refused`."""
    try:
        return call()
    except CommitFailedError as error:
        raise Refused(error.args[0].errno, str(error)) from error
    except BrokerResponseError as error:
        raise Refused(error.errno, str(error)) from error


def to_record(r):
    return Record(r.key, r.value, list(r.headers), r.timestamp, r.partition, r.offset)


class KafkaPython:
    name = "kafka-python"
    codecs = ("none", "gzip", "snappy", "lz4", "zstd")
    acks = ("0", "1", "all")
    partitions = 3
    many_topics = 25

    def __init__(self):
        self.admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)

    # Topics

    def create_topic(self, topic, partitions, config):
        checked(lambda: self.admin.create_topics(
            {topic: {"num_partitions": partitions, "replication_factor": 1, "configs": config}}))

    def create_topics(self, topics, partitions):
        checked(lambda: self.admin.create_topics({t: {"num_partitions": partitions, "replication_factor": 1} for t in topics}))

    def delete_topics(self, topics):
        checked(lambda: self.admin.delete_topics(topics))

    def list_topics(self):
        return set(self.admin.list_topics())

    def partition_count(self, topic):
        found = self.admin.describe_topics([topic])[0]
        return len(found["partitions"])

    def describe_topic(self, topic):
        found = self.admin.describe_topics([topic])[0]
        if found["error_code"]:
            raise Refused(found["error_code"])
        return found

    def create_partitions(self, topic, total):
        checked(lambda: self.admin.create_partitions({topic: total}))

    def delete_records(self, topic, partition, before):
        at = TopicPartition(topic, partition)
        return checked(lambda: self.admin.delete_records({at: before}))[at]["low_watermark"]

    def describe_configs(self, topic):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        entries = self.admin.describe_configs([resource], config_filter=ConfigFilterType.ALL)["topic"][topic]
        return {name: (e["value"], e["config_source"] in (DEFAULT_CONFIG, "DEFAULT_CONFIG")) for name, e in entries.items()}

    def alter_config(self, topic, name, value):
        if value is None:
            return checked(lambda: self.admin.reset_configs([ConfigResource(ConfigResourceType.TOPIC, topic, [name])]))
        answer = self.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {name: value})])["topic"][topic]
        if refused := re.match(r"\[Error (\d+)\]", str(answer)):  # it hands a refusal back as text
            raise Refused(int(refused[1]), answer)

    # Records

    def can_send(self, record):
        return all(value is not None for _, value in record.headers) and (record.key, record.value) != (None, None)

    def produce(self, topic, records, codec="none", acks="all", idempotent=False, request_bytes_max=1_100_000):
        producer = KafkaProducer(
            bootstrap_servers=BOOTSTRAP, compression_type=None if codec == "none" else codec, linger_ms=5,
            acks="all" if acks == "all" else int(acks), enable_idempotence=idempotent, max_request_size=request_bytes_max,
        )
        try:
            sent = [producer.send(topic, r.value, r.key, r.headers, r.partition, r.timestamp_ms) for r in records]
            producer.flush(DEADLINE_S)
            for future in sent:
                checked(lambda: future.get(DEADLINE_S))
        finally:
            producer.close()

    def produce_to_all(self, sent):
        producer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
        futures = [producer.send(topic, value, partition=partition) for (topic, partition), value in sent.items()]
        producer.flush(DEADLINE_S)
        for future in futures:
            future.get(DEADLINE_S)
        producer.close()

    def consumer(self, partitions, reset="none"):
        consumer = KafkaConsumer(
            bootstrap_servers=BOOTSTRAP, group_id=None, enable_auto_commit=False, auto_offset_reset=reset,
            fetch_max_wait_ms=100, allow_auto_create_topics=False,
        )
        consumer.assign([TopicPartition(topic, partition) for topic, partition in partitions])
        return consumer

    def take(self, consumer, count):
        taken, deadline = [], time.monotonic() + DEADLINE_S
        try:
            while len(taken) < count:
                expect(time.monotonic() < deadline, f"{count} records within the deadline, got {len(taken)}")
                for records in consumer.poll(1000).values():
                    taken.extend(records)
            return taken[:count]
        except OffsetOutOfRangeError as error:
            raise Refused(OffsetOutOfRangeError.errno, str(error)) from error
        finally:
            consumer.close()

    def read(self, topic, partition, start, count):
        consumer = self.consumer([(topic, partition)])
        at = TopicPartition(topic, partition)
        if start == "earliest":
            consumer.seek_to_beginning(at)
        else:
            consumer.seek(at, start)
        return [to_record(r) for r in self.take(consumer, count)]

    def read_with_reset(self, topic, partition, offset, reset, count):
        consumer = self.consumer([(topic, partition)], "none" if reset == "error" else reset)
        consumer.seek(TopicPartition(topic, partition), offset)
        return [to_record(r) for r in self.take(consumer, count)]

    def read_all(self, partitions):
        consumer = self.consumer(partitions)
        consumer.seek_to_beginning()
        return {(r.topic, r.partition): r.value for r in self.take(consumer, len(partitions))}

    def bounds(self, topic, partition):
        at = TopicPartition(topic, partition)
        consumer = self.consumer([(topic, partition)])
        try:
            return consumer.beginning_offsets([at])[at], consumer.end_offsets([at])[at]
        finally:
            consumer.close()

    def offset_for_time(self, topic, partition, timestamp_ms):
        at = TopicPartition(topic, partition)
        consumer = self.consumer([(topic, partition)])
        try:
            found = consumer.offsets_for_times({at: timestamp_ms})[at]
            return found.offset if found else None
        finally:
            consumer.close()


if __name__ == "__main__":
    print(f"kafka-python {kafka.__version__}")
    run_all(KafkaPython())
