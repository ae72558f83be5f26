"""The highest throughput of this broker and of Apache Kafka, from the performance tools of librdkafka and Java.

    throughput.py REPEATS RDKAFKA_PERFORMANCE KAFKA-TOOLS-JARS      (see scripts/throughput, which installs both)

Both brokers run all the time, on the same core; all but the one that is measured are stopped (SIGSTOP). Each turn is a topic of its
own, written as fast as the tool can and read back, with as many records as take SECONDS_EACH by what was measured before. A first
turn that is not counted finds that number and warms the broker up. What a turn leaves in the page cache is written back before the
next, so that nobody pays for another's; Kafka as it comes pays for none of it that is left at the end of its turn.
"""
import os, re, shutil, signal, subprocess, sys, tempfile, time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from statistics import median

from confluent_kafka.admin import AdminClient, NewTopic

PEERS = Path(__file__).parent.parent / "peers"
BROKER_CORES, CLIENT_CORES = os.environ.get("BROKER_CORES", "0"), os.environ.get("CLIENT_CORES", "1")
SECONDS = float(os.environ.get("SECONDS_EACH", 8))
SIZES = [int(size) for size in os.environ.get("SIZES", "100 1024 10240").split()]
PARTITIONS = int(os.environ.get("PARTITIONS", 1))
TOOLS = os.environ.get("TOOLS", "librdkafka java").split()
LINGER_MS = os.environ.get("LINGER_MS", "5")
BATCH_SIZE = os.environ.get("BATCH_SIZE")
FIRST_BYTES = 128 << 20  # of the turn that looks how fast it is; a tool needs a second before it is at its speed
NEVER = str(2**63 - 1)
# Deleted files are gone before the broker is stopped again, so that nobody else pays for it.
DELETE_MS, DELETED_S = "100", 1.0
TURN_MAX_S = "300"


@dataclass(frozen=True)
class Contestant:
    """A broker and what its topic promises before an acknowledgement."""
    name: str
    script: str
    configs: tuple
    reads: bool  # reading a topic back does not depend on what its writing promised: one topic a broker is read


CONTESTANTS = (
    Contestant("tautline, durable (default)", "tautline", (), True),
    Contestant("tautline, relaxed", "tautline", (("flush.messages", NEVER),), False),
    Contestant("kafka, relaxed (default)", "kafka", (), True),
    Contestant("kafka, flush.messages=1", "kafka", (("flush.messages", "1"),), False),
)
# The targets: of whom, against whom, at least.
WANTED = ((0, 3, 3.0), (0, 2, 1.0), (1, 2, 2.0))


class Peer:
    """A broker started by a script of scripts/peers, whose README.md is the contract. It stands still unless it is resumed."""

    def __init__(self, script, data):
        data.mkdir()
        ports = [socket(), socket()]
        for port in ports:
            port.bind(("127.0.0.1", 0))
        address, admin = (f"127.0.0.1:{port.getsockname()[1]}" for port in ports)
        for port in ports:
            port.close()
        environment = {"PEER_DATA": str(data), "PEER_CORES": BROKER_CORES, "PEER_ADDRESS": address, "PEER_ADMIN": admin}
        self.process = subprocess.Popen([PEERS / script], env={**os.environ, **environment}, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.said = {}
        for line in self.process.stdout:
            if line == "ready\n":
                break
            name, _, value = line.strip().partition("=")
            self.said[name] = value
        else:
            raise SystemExit(f"{script} ended before its broker was ready")
        self.address, self.pid = self.said["address"], int(self.said["pid"])
        print(f"{self.said['product']}\n  {self.said['command']}", flush=True)

    def resume(self):
        os.kill(self.pid, signal.SIGCONT)

    def pause(self):
        os.kill(self.pid, signal.SIGSTOP)

    def cpu_s(self):
        """Of all its threads, ended ones included."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        self.process.stdin.close()
        self.process.wait()


@dataclass(frozen=True)
class Turn:
    """What a tool said, and what it took."""
    rate: float  # records a second
    broker: float  # of a core
    tool: float


class Librdkafka:
    """rdkafka_performance, whose own linger of 1 s is replaced by the library's default."""
    batch_size = BATCH_SIZE or "1000000"

    def __init__(self, program):
        self.program = program

    def write(self, address, topic, size, count):
        settings = {"acks": "all", "enable.idempotence": "true", "linger.ms": LINGER_MS, "batch.size": self.batch_size}
        flags = [word for name, value in settings.items() for word in ("-X", f"{name}={value}")]
        command = [self.program, "-P", "-b", address, "-t", topic, "-s", str(size), "-c", str(count), *flags]
        return command, rf"{count} delivered \(offset -?\d+, 0 failed\) in \d+ms: (\d+) msgs/s"

    def read(self, address, topic, count):
        partitions = [word for partition in range(PARTITIONS) for word in ("-p", str(partition))]
        command = [self.program, "-C", "-b", address, "-t", topic, "-c", str(count), "-o", "beginning", *partitions]
        return command, rf"{count} messages \(\d+ bytes\) consumed in \d+ms: (\d+) msgs/s"


class Java:
    """ProducerPerformance and ConsumerPerformance, with the flags of the shell scripts that come with Kafka."""
    batch_size = BATCH_SIZE or "16384"

    def __init__(self, jars):
        self.java = ["java", "-Xmx512m", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
                     "-XX:+ExplicitGCInvokesConcurrent", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", f"{jars}/*"]

    def write(self, address, topic, size, count):
        settings = {"bootstrap.servers": address, "acks": "all", "enable.idempotence": "true", "linger.ms": LINGER_MS,
                    "batch.size": self.batch_size}
        command = [*self.java, "org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records", str(count),
                   "--record-size", str(size), "--throughput", "-1", "--producer-props",
                   *(f"{name}={value}" for name, value in settings.items())]
        return command, rf"^{count} records sent, ([\d.]+) records/sec"

    def read(self, address, topic, count):
        command = [*self.java, "org.apache.kafka.tools.ConsumerPerformance", "--bootstrap-server", address, "--topic", topic,
                   "--messages", str(count), "--timeout", "60000"]
        # The last column: without the time that joining a group takes.
        return command, r"^\d{4}-.*, ([\d.]+)$"


def run(peer, command, pattern):
    """Runs a tool against a broker."""
    before, began = peer.cpu_s(), time.monotonic()
    process = subprocess.Popen(["timeout", TURN_MAX_S, "taskset", "-c", CLIENT_CORES, *command], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    took = time.monotonic() - began
    found = re.findall(pattern, output, re.MULTILINE)
    if status != 0 or not found:
        raise SystemExit(f"{' '.join(map(str, command))}\nended with {status} after {took:.0f} s:\n{output}")
    return Turn(float(found[-1]), (peer.cpu_s() - before) / took, (used.ru_utime + used.ru_stime) / took)


class Turns:
    """All turns, by what was done, tool, size and contestant."""

    def __init__(self, peers, tools):
        self.peers, self.tools, self.topics = peers, tools, 0
        self.last_rate, self.counted = {}, defaultdict(list)

    def take(self, tool, size, contestant, seconds, counted):
        key, peer = (tool, size, contestant), self.peers[contestant.script]
        count = int(self.last_rate[key] * seconds) if seconds else FIRST_BYTES // size
        os.sync()
        peer.resume()
        self.topics += 1
        topic = f"throughput-{self.topics}"
        admin = AdminClient({"bootstrap.servers": peer.address, "log_level": 0})
        made = NewTopic(topic, PARTITIONS, 1, config={"file.delete.delay.ms": DELETE_MS, **dict(contestant.configs)})
        admin.create_topics([made])[topic].result()
        turn = run(peer, *self.tools[tool].write(peer.address, topic, size, count))
        self.last_rate[key] = turn.rate
        print(f"  {tool:<11}{size:>6} B  {contestant.name:<28}{count:>9} records {turn.rate:>9.0f} /s {turn.rate * size / 1e6:>7.1f} MB/s", flush=True)
        if counted:
            self.counted["write", *key].append(turn)
            if contestant.reads:
                self.counted["read", *key].append(run(peer, *self.tools[tool].read(peer.address, topic, count)))
        admin.delete_topics([topic])[topic].result()
        time.sleep(DELETED_S)
        peer.pause()

    def table(self, what, tool, ratios):
        print(f"\n{what}, {tool}")
        print(f"{'record':<9}{'':<28}{'MB/s':>8}{'least':>8}{'most':>8}{'records/s':>11}{'broker':>8}{'tool':>6} of a core")
        for size in SIZES:
            for contestant in CONTESTANTS:
                turns = self.counted.get((what, tool, size, contestant))
                if turns:
                    rates = [turn.rate for turn in turns]
                    rate = median(rates)
                    print(f"{size:>7} B {contestant.name:<28}" + "".join(f"{r * size / 1e6:>8.1f}" for r in (rate, min(rates), max(rates)))
                          + f"{rate:>11.0f}{median(turn.broker for turn in turns):>8.2f}{median(turn.tool for turn in turns):>6.2f}")
            for ours, theirs, wanted in ratios:
                turns = [self.counted[what, tool, size, CONTESTANTS[which]] for which in (ours, theirs)]
                each = [one.rate / other.rate for one, other in zip(*turns)]  # of one repeat
                verdict = f", wanted {wanted:.0f}x{'' if median(each) >= wanted else ': NOT REACHED'}" if wanted else ""
                print(f"{'':<9}= {median(each):.2f}x {CONTESTANTS[theirs].name} ({min(each):.2f} to {max(each):.2f}), "
                      f"{CONTESTANTS[ours].name}{verdict}")


def main():
    repeats, program, jars = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    tools = {"librdkafka": Librdkafka(program), "java": Java(jars)}
    data = Path(tempfile.mkdtemp(prefix="tautline-throughput-", dir=os.environ.get("DATA")))
    peers = {}
    try:
        for script in ("tautline", "kafka"):
            peers[script] = Peer(script, data / script)
            peers[script].pause()
        batches = ", ".join(f"{name} batch.size={tools[name].batch_size}" for name in TOOLS)
        print(f"acks=all, enable.idempotence=true, linger.ms={LINGER_MS}, no compression; {batches}")
        print(f"{PARTITIONS} partition(s); brokers on core {BROKER_CORES}, tools on core {CLIENT_CORES}; {repeats} times {SECONDS:.0f} s", flush=True)
        turns = Turns(peers, tools)
        order = [(tool, size, contestant) for tool in TOOLS for size in SIZES for contestant in CONTESTANTS]
        for seconds in (0, SECONDS / 3):
            print("warm-up, not counted", flush=True)
            for key in order:
                turns.take(*key, seconds, False)
        for repeat in range(repeats):
            print(f"repeat {repeat + 1}", flush=True)
            for key in order[::-1] if repeat % 2 else order:
                turns.take(*key, SECONDS, True)
        for tool in TOOLS:
            turns.table("write", tool, WANTED)
            turns.table("read", tool, ((0, 2, None),))
    finally:
        for peer in peers.values():
            peer.resume()
            peer.end()
        shutil.rmtree(data, ignore_errors=True)


main()
