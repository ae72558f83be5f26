package dev.tautline.tools;

import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

import org.apache.kafka.common.utils.Utils;
import org.apache.kafka.tools.ConsoleProducer;
import org.apache.kafka.tools.TopicCommand;
import org.apache.kafka.tools.VerifiableConsumer;
import org.apache.kafka.tools.VerifiableProducer;
import org.apache.kafka.tools.consumer.ConsoleConsumer;

/** Producers and consumers of the command line. */
final class ConsoleTools {
    private static final int RECORDS = 200;

    private final Run run;
    private final String topic;
    private final String verifiable;

    ConsoleTools(Run run) {
        this.run = run;
        topic = run.name("console");
        verifiable = run.name("verifiable");
    }

    void checks() {
        run.check("console_producer", RECORDS + " lines with keys and headers", this::produce);
        run.check("console_consumer", "a classic group reads them all", () -> consume("classic"));
        run.check("console_consumer_protocol", "a group of group.protocol=consumer reads them all", () -> consume("consumer"));
        run.check("console_consumer_partition", "one partition from an offset, without a group", this::consumePartition);
        run.check("verifiable_producer", "every message is acknowledged", this::verifiableProducer);
        run.check("verifiable_consumer", "a classic group reads and commits every message", () -> verifiableConsumer("classic"));
        run.check("verifiable_consumer_protocol", "a group of group.protocol=consumer does", () -> verifiableConsumer("consumer"));
    }

    /**
     * Reads the partition of a coordinators' topic that keeps this key, until there is something like this in it. The tool ends when
     * nothing comes for a while, and takes that for an error; a busy machine may not even begin within that, so it is given longer.
     */
    static void readInternal(Run run, String topic, String key, String formatter, String regex) {
        String described = Tool.succeed(TopicCommand::main, run.to("--describe", "--topic", topic)).text();
        int partitions = Integer.parseInt(described.replaceAll("(?s).*?PartitionCount: (\\d+).*", "$1"));
        int partition = Utils.abs(key.hashCode()) % partitions;
        Tool.Output read;
        long idleMs = 2000;
        do {
            read = Tool.run(ConsoleConsumer::main, run.to("--topic", topic, "--partition", Integer.toString(partition), "--offset", "earliest",
                "--timeout-ms", Long.toString(idleMs), "--formatter", "org.apache.kafka.tools.consumer." + formatter));
            idleMs *= 2;
        } while (!read.matches(regex) && idleMs < Run.DEADLINE.toMillis());
        read.expectMatch(regex).expectMatch("Processed a total of [1-9]\\d* messages$");
    }

    private void create(String name) {
        Tool.succeed(TopicCommand::main, run.to("--create", "--topic", name, "--partitions", "2", "--replication-factor", "1"));
    }

    private void produce() {
        create(topic);
        String lines = IntStream.range(0, RECORDS).mapToObj(i -> "from:console\tkey-" + i + "\tvalue-" + i + "\n").collect(Collectors.joining());
        Tool.succeed(lines, ConsoleProducer::main, run.to("--topic", topic, "--compression-codec", "zstd", "--property", "parse.key=true",
            "--property", "parse.headers=true"));
    }

    private void consume(String protocol) {
        Tool.Output consumed = Tool.succeed(ConsoleConsumer::main, run.to("--topic", topic, "--group", run.name("console-" + protocol),
            "--consumer-property", "group.protocol=" + protocol, "--from-beginning", "--max-messages", Integer.toString(RECORDS), "--timeout-ms", "60000",
            "--property", "print.key=true", "--property", "print.headers=true"));
        consumed.expect("Processed a total of " + RECORDS + " messages");
        for (int i = 0; i < RECORDS; i++) {
            String line = "from:console\tkey-" + i + "\tvalue-" + i;
            Run.expectEqual(consumed.lines().stream().filter(line::equals).count(), 1L, line);
        }
    }

    private void consumePartition() {
        List<String> lines = Tool.succeed(ConsoleConsumer::main, run.to("--topic", topic, "--partition", "0", "--offset", "3", "--max-messages", "2",
            "--timeout-ms", "60000", "--property", "print.offset=true", "--property", "print.partition=true")).lines();
        Run.expect(lines.get(0).startsWith("Partition:0\tOffset:3\tvalue-") && lines.get(1).startsWith("Partition:0\tOffset:4\tvalue-"), "got " + lines);
    }

    private void verifiableProducer() throws Exception {
        create(verifiable);
        // Its last act is in a hook of the JVM, so it has one of its own.
        Tool.Output produced = Tool.process(VerifiableProducer.class, run.to("--topic", verifiable, "--max-messages", Integer.toString(RECORDS), "--acks", "-1",
            "--repeating-keys", "10"));
        Run.expectEqual(produced.status(), 0, "exit");
        produced.expect("\"sent\":" + RECORDS + ",\"acked\":" + RECORDS).expectNot("producer_send_error");
        Run.expectEqual(produced.lines().stream().filter(line -> line.contains("producer_send_success")).count(), (long) RECORDS, "acknowledgements");
    }

    private void verifiableConsumer(String protocol) {
        Tool.Output consumed = Tool.succeed(VerifiableConsumer::main, run.to("--topic", verifiable, "--group-id", run.name("verifiable-" + protocol),
            "--group-protocol", protocol, "--max-messages", Integer.toString(RECORDS), "--reset-policy", "earliest", "--verbose"));
        consumed.expect("partitions_assigned").expect("\"success\":true").expectNot("\"success\":false").expect("shutdown_complete");
        Run.expectEqual(consumed.lines().stream().filter(line -> line.contains("\"record_data\"")).count(), (long) RECORDS, "records");
    }
}
