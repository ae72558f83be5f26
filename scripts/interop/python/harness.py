"""Runs named checks, counts them, and makes their data from one printed seed."""

import os
import random
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

BOOTSTRAP = os.environ.get("BOOTSTRAP", "127.0.0.1:9092")
DEADLINE_S = 60.0


@dataclass
class Record:
    """A record as it is sent or as it came back; `timestamp_ms` None lets the client choose."""

    key: bytes | None = None
    value: bytes | None = None
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)
    timestamp_ms: int | None = None
    partition: int = 0
    offset: int = -1

    def body(self):
        return (self.key, self.value, self.headers)


class Refused(Exception):
    """The broker answered with an error code (Kafka's numbers)."""

    def __init__(self, code, message=""):
        super().__init__(f"error code {code} {message}".strip())
        self.code = code


class NotOffered(Exception):
    """The client cannot do this at all, whatever the broker says; its text is the reason."""


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def expect_equal(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: got {shorten(got)}, wanted {shorten(wanted)}")


def expect_refused(code, call, what):
    try:
        got = call()
    except Refused as refused:
        return expect_equal(refused.code, code, f"{what}: error code")
    raise AssertionError(f"{what}: accepted ({shorten(got)}), wanted error code {code}")


def eventually(probe, what):
    """Asks until `probe` is true or the deadline passes: metadata may trail an acknowledged change."""
    deadline = time.monotonic() + DEADLINE_S
    while not (last := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what() if callable(what) else what}: not within {DEADLINE_S} s, last answer {shorten(last)}")
        time.sleep(0.02)
    return last


def shorten(value):
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:150]}... ({len(text)} characters)"


class Run:
    """One client's run: the seed, the topic names, the tally."""

    def __init__(self, client):
        self.client = client
        self.seed = int(os.environ.get("SEED") or random.SystemRandom().getrandbits(32))
        self.only = os.environ.get("ONLY", "")
        self.random = random.Random(self.seed)
        self.tag = f"{client}-{self.seed}-{time.time_ns() // 1_000_000 % 100_000_000}"
        self.passed = self.failed = self.not_offered = 0
        print(f"client {client}, broker {BOOTSTRAP}, SEED={self.seed}", flush=True)

    def topic(self, name):
        return f"{self.tag}-{name}"

    def records(self, count, partitions=1, value_bytes_max=2000):
        random_bytes = self.random.randbytes
        return [
            Record(
                key=random_bytes(self.random.randrange(40)),
                value=random_bytes(self.random.randrange(value_bytes_max)) + b"tautline" * self.random.randrange(40),
                partition=i % partitions,
            )
            for i in range(count)
        ]

    def choose(self, among, count):
        return self.random.sample(among, count)

    def check(self, name, what, body):
        if self.only not in name:
            return
        start = time.monotonic()
        try:
            note = body()
        except NotOffered as reason:
            self.not_offered += 1
            print(f"  -     {name}: not offered by this client: {reason}", flush=True)
            return
        except Exception as error:  # a check fails on anything it did not expect
            self.failed += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            at = "" if isinstance(error, AssertionError) else f"\n        at {where.filename}:{where.lineno} {where.line}"
            print(f"  FAIL  {name}: {what}: {type(error).__name__}: {error}{at}", flush=True)
            return
        self.passed += 1
        print(f"  ok    {name}: {what}{f': {note}' if note else ''} ({(time.monotonic() - start) * 1000:.0f} ms)", flush=True)

    def check_together(self, checks):
        """Checks that only wait for the broker most of their time, side by side: (name, what, body) each."""
        with ThreadPoolExecutor(max_workers=len(checks)) as pool:
            for done in [pool.submit(self.check, *check) for check in checks]:
                done.result()

    def finish(self):
        """Prints the tally and ends the process: a check that failed may have left threads and clients behind."""
        print(f"{self.client}: {self.not_offered} checks not offered, SEED={self.seed}")
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        os._exit(1 if self.failed else 0)
