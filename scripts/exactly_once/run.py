"""Exactly once, with everything killed: numbers go through three topics, by Java and by franz-go transactions, while the workers and
the broker are killed (SIGKILL) at random. At the end each number is in the last topic once, and nothing else is.

    run.py BROKER KILLS -- JAVA-WORKER... -- GO-WORKER...      (see scripts/exactly-once, which builds all of them)

A worker is killed only after it has committed something since its start, so that each kill meets work. SEED repeats the choices.
"""
import os, random, signal, socket, subprocess, sys, tempfile, threading, time
from collections import Counter

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

TOPICS = ("numbers", "after-java", "after-go")
PARTITIONS = 4
RATE = 1500  # numbers a second
PROGRESS_MAX_S = 300  # the chain may stand still that long on a busy machine
FREE_MAX_S = 60  # the kernel may take that long to close a killed process's sockets


class Process:
    """A process that is started again when it was killed; its lines are counted. The broker, which has a port, finds that free."""

    def __init__(self, name, command, good, port=None):
        self.name, self.command, self.good, self.port = name, command, good, port
        self.good_lines = self.good_since = self.starts = self.ended = 0
        self.last_word = ""
        self.start()

    def start(self):
        self.good_since = 0
        self.starts += 1
        give_up = time.monotonic() + FREE_MAX_S
        while self.port and not is_free(self.port) and time.monotonic() < give_up:
            time.sleep(0.01)
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=self.read, args=(self.process,), daemon=True).start()

    def read(self, process):
        for line in process.stdout:
            if line.startswith(self.good):
                self.good_lines += 1
                self.good_since += process is self.process
            else:
                self.last_word = line.strip()

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.start()

    def tend(self):
        """Starts it again if it has ended by itself: a worker does that when it is fenced or loses the broker for too long. The broker
        never does."""
        if self.process.poll() is not None:
            if self.port:
                raise SystemExit(f"the {self.name} ended by itself ({self.process.returncode}): {self.last_word}")
            self.ended += 1
            self.start()

    def stop(self):
        self.process.kill()
        self.process.wait()


class Feed(threading.Thread):
    """Writes numbers until it is told to stop; the idempotent producer writes each once, whatever happens."""

    def __init__(self, bootstrap):
        super().__init__(daemon=True)
        self.producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5,
                                  "message.timeout.ms": 0, "log_level": 0})
        self.count, self.stopping, self.failure = 0, threading.Event(), None

    def run(self):
        began = time.monotonic()
        while not self.stopping.is_set():
            if self.count < (time.monotonic() - began) * RATE:
                number = str(self.count).encode()
                self.producer.produce(TOPICS[0], key=number, value=number, on_delivery=self.delivered)
                self.count += 1
            self.producer.poll(0 if self.count % 50 else 0.02)
        self.producer.flush()

    def delivered(self, error, _):
        self.failure = self.failure or error


def results(bootstrap, topic):
    """What a read_committed consumer finds in a topic, and how often."""
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "isolation.level": "read_committed",
                       "enable.auto.commit": False, "enable.partition.eof": True, "log_level": 0})
    reader.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    seen, ended, trouble = Counter(), set(), None
    moved = time.monotonic()
    while len(ended) < PARTITIONS:
        record = reader.poll(1)
        if record is None or record.error() and record.error().code() != KafkaError._PARTITION_EOF:
            trouble = record.error() if record else trouble  # it goes on by itself
            if time.monotonic() > moved + PROGRESS_MAX_S:
                raise SystemExit(f"{topic} can't be read to its end: {trouble or 'nothing comes'}")
            continue
        moved = time.monotonic()
        if record.error():
            ended.add(record.partition())
        else:
            seen[int(record.value())] += 1
    reader.close()
    return seen


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def free_port():
    """From below the ports that the kernel gives to outgoing connections: a killed broker must find it free again."""
    return next(port for port in iter(lambda: random.SystemRandom().randrange(15000, 31000), None) if is_free(port))


def until(condition, what, tend, progress=lambda: None):
    """Waits for the condition, and gives up when it has seen no progress for long."""
    deadline, before = time.monotonic() + PROGRESS_MAX_S, progress()
    while not condition():
        tend()
        if before != (before := progress()):
            deadline = time.monotonic() + PROGRESS_MAX_S
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {PROGRESS_MAX_S} s")
        time.sleep(0.01)


def main():
    arguments = sys.argv[1:]
    first = arguments.index("--")
    second = arguments.index("--", first + 1)
    (binary, kills), java, go = arguments[:first], arguments[first + 1:second], arguments[second + 1:]
    kills = int(kills)
    seed = int(os.environ.get("SEED") or random.SystemRandom().getrandbits(32))
    chance = random.Random(seed)
    print(f"SEED={seed}", flush=True)
    port = free_port()
    bootstrap = f"127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="tautline-exactly-once-") as data:
        broker = Process("broker", [binary, "start", "--listen", bootstrap, "--admin", "127.0.0.1:0", "--data-dir", data,
                                    "--poll", "park", "--memory", "512MiB", "--set", "group.initial.rebalance.delay.ms=0"], "ready:", port)
        everything = [broker]
        tend = lambda: [process.tend() for process in everything]
        until(lambda: broker.good_since, "the broker is ready", tend)
        admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        for made in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in TOPICS]).values():
            made.result()
        for side, worker, place in (("java", java, 0), ("go", go, 1)):
            for n in range(2):
                name = f"{side}-{n}"
                everything.append(Process(name, [*worker, bootstrap, TOPICS[place], TOPICS[place + 1], name], "committed"))
        feed = Feed(bootstrap)
        feed.start()

        began, killed = time.monotonic(), Counter()
        for n in range(1, kills + 1):
            victim = chance.choice(everything)
            until(lambda: victim.good_since, f"{victim.name} works again ({victim.last_word})", tend)
            pause = time.monotonic() + chance.uniform(0, 0.4)
            until(lambda: time.monotonic() >= pause, "a pause", tend)
            if victim.process.poll() is None:
                victim.kill()
                killed[victim.name] += 1
            if victim is broker:
                until(lambda: broker.good_since, f"the broker is ready again ({broker.last_word})", tend)
            if n % 10 == 0 or n == kills:
                print(f"{n:4}/{kills} kills after {time.monotonic() - began:.0f} s, {feed.count} numbers", flush=True)

        feed.stopping.set()
        while feed.is_alive():
            tend()
            feed.join(0.1)
        if feed.failure:
            raise SystemExit(f"the feed failed: {feed.failure}")
        seen = Counter()
        def arrived():
            nonlocal seen
            seen = results(bootstrap, TOPICS[2])
            return len(seen) >= feed.count
        until(arrived, "all numbers have gone through", tend, lambda: len(seen))
        middle = results(bootstrap, TOPICS[1])
        for process in everything:
            process.stop()
        faults = []
        for topic, found in ((TOPICS[1], middle), (TOPICS[2], seen)):
            lost = feed.count - len([n for n in found if n < feed.count])
            twice = sum(times - 1 for times in found.values())
            faults += [f"{topic}: {lost} lost, {twice} too many"] if lost or twice or len(found) != feed.count else []
        ended = ", ".join(f"{p.name} {p.ended}" for p in everything)
        print(f"killed: {dict(killed)}; ended by themselves and started again: {ended}")
        if faults:
            raise SystemExit("exactly once was broken: " + "; ".join(faults))
        print(f"exactly once: {feed.count} numbers through two stages, {sum(killed.values())} kills, {time.monotonic() - began:.0f} s")


main()
