"""The kcat program behind the checks' adapter: topics come from auto-creation, consumers assign by hand (-p, -o)."""

import re
import subprocess
from itertools import groupby

from checks import run_all
from harness import BOOTSTRAP, DEADLINE_S, NotOffered, Record, Refused, eventually

ERROR_CODES = {
    "Broker: Offset out of range": 1,
    "Broker: Unknown topic or partition": 3,
    "Broker: Message size too large": 10,
}
KEY_END = b"<@key-ends@>"
RECORD_END = b"<@record-ends@>"


def kcat(*arguments, stdin=b""):
    command = ["kcat", "-b", BOOTSTRAP, "-m", "60", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=2 * DEADLINE_S)
    complaint = done.stderr.decode(errors="replace")
    for text, code in ERROR_CODES.items():
        if text in complaint and (done.returncode != 0 or "Delivery failed" in complaint):
            raise Refused(code, complaint.strip())
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}: {complaint.strip()}")
    return done.stdout


def take(text, length):
    """The first `length` bytes, None for kcat's length of -1, and the rest."""
    return (None, text) if length < 0 else (text[:length], text[length:])


def to_records(output):
    """Parses what `-f '%p %o %T %K %S %h\\n%k%s\\n'` printed."""
    records = []
    while output:
        line, output = output.split(b"\n", 1)
        partition, offset, timestamp_ms, key_length, value_length, *headers = line.split(b" ", 5)
        key, output = take(output, int(key_length))
        value, output = take(output, int(value_length))
        output = output[1:]
        headers = [h.split(b"=", 1) for h in headers[0].split(b",")] if headers and headers[0] else []
        headers = [(name.decode(), None if text == b"NULL" else text) for name, text in headers]
        records.append(Record(key, value, headers, int(timestamp_ms), int(partition), int(offset)))
    return records


class Kcat:
    name = "kcat"
    codecs = ("none", "gzip", "snappy", "lz4", "zstd")
    acks = ("0", "1", "all")
    partitions = 1
    many_topics = 0

    # Topics

    def create_topic(self, topic, partitions, config):
        if config or partitions != 1:
            raise NotOffered("no admin requests")
        if self.partition_count(topic):
            raise NotOffered("no create request")
        kcat("-L", "-t", topic)
        eventually(lambda: self.partition_count(topic) == 1, "topic made by asking for it")

    def list_topics(self):
        return set(re.findall(r'topic "(.+?)" with', kcat("-L").decode()))

    def partition_count(self, topic):
        found = re.search(rf'topic "{re.escape(topic)}" with (\d+) partitions', kcat("-L").decode())
        return int(found[1]) if found else 0

    def describe_topic(self, topic):
        raise NotOffered("asking for one topic creates it")

    def no_admin(self, *_):
        raise NotOffered("no admin requests")

    delete_topics = create_partitions = delete_records = describe_configs = alter_config = no_admin

    # Records

    def can_send(self, record):
        values = [value for _, value in record.headers]
        line_is_empty = record.key is None and not record.value
        return not line_is_empty and not any(value and b"\x00" in value for value in values)

    def produce(self, topic, records, codec="none", acks="all", idempotent=False, request_bytes_max=1_100_000):
        """One kcat for each run of records that can share its arguments; kcat cannot set timestamps."""
        settings = ["-z", codec, "-X", f"acks={acks}", "-X", f"enable.idempotence={str(idempotent).lower()}",
                    "-X", f"message.max.bytes={request_bytes_max}"]
        for (headers, no_key, nulls), group in groupby(records, self.shared_arguments):
            flags = [] if no_key else ["-K", KEY_END.decode()]
            flags += ["-Z"] if nulls else []
            for name, value in headers:
                flags += ["-H", name if value is None else f"{name}={value.decode()}"]
            lines = [(b"" if no_key else r.key + KEY_END) + (r.value or b"") + RECORD_END for r in group]
            kcat("-P", "-t", topic, "-p", 0, "-D", RECORD_END.decode(), *settings, *flags, stdin=b"".join(lines))

    def shared_arguments(self, record):
        return record.headers, record.key is None, record.value is None

    def consume(self, topic, partition, start, count, *extra):
        output = kcat("-C", "-q", "-t", topic, "-p", partition, "-o", start, "-c", count,
                      "-X", "fetch.wait.max.ms=100", "-f", "%p %o %T %K %S %h\\n%k%s\\n", *extra)
        return to_records(output)

    def read(self, topic, partition, start, count):
        return self.consume(topic, partition, "beginning" if start == "earliest" else start, count)

    def read_with_reset(self, topic, partition, offset, reset, count):
        return self.consume(topic, partition, offset, count, "-X", f"auto.offset.reset={reset}")

    def query(self, topic, partition, time_or_end):
        return int(kcat("-Q", "-t", f"{topic}:{partition}:{time_or_end}").decode().split()[-1])

    def bounds(self, topic, partition):
        return self.query(topic, partition, -2), self.query(topic, partition, -1)

    def offset_for_time(self, topic, partition, timestamp_ms):
        found = self.query(topic, partition, timestamp_ms)
        return None if found < 0 else found


if __name__ == "__main__":
    print(re.search(r"Version .*?librdkafka [0-9.]+", subprocess.run(["kcat", "-V"], capture_output=True, text=True).stdout)[0])
    run_all(Kcat())
