package dev.tautline.tools;

import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.tools.TopicCommand;
import org.apache.kafka.tools.TransactionsCommand;
import org.apache.kafka.tools.consumer.ConsoleConsumer;

/** The tool for transactions, on one that ended and on one that is open. */
final class TransactionTools {
    private final Run run;
    private final String topic;
    private final String id;

    TransactionTools(Run run) {
        this.run = run;
        topic = run.name("transactions");
        id = run.name("id");
    }

    void checks() {
        run.check("transactions_open", "list, describe, describe-producers of an open transaction", this::open);
        run.check("transactions_ended", "after the end: no open one, none hangs", this::ended);
        run.check("transactions_unknown", "an unknown transactional id is an error", this::unknown);
        run.check("console_consumer_read_committed", "only what was committed is read", this::readCommitted);
        run.check("transactions_topic", "__transaction_state reads in Kafka's own format", this::stateTopic);
        run.check("transactions_abort", "an administrator ends a transaction by its first offset", this::abort);
    }

    private Tool.Output transactions(String... args) {
        return Tool.succeed(TransactionsCommand::main, run.to(args));
    }

    private KafkaProducer<String, String> producer(String id) {
        KafkaProducer<String, String> producer = new KafkaProducer<>(Map.of("bootstrap.servers", run.bootstrap, "transactional.id", id,
            "client.id", "tools-transactions"), new StringSerializer(), new StringSerializer());
        producer.initTransactions();
        producer.beginTransaction();
        return producer;
    }

    private void send(KafkaProducer<String, String> producer, String value) throws Exception {
        producer.send(new ProducerRecord<>(topic, 0, null, value)).get();
    }

    private List<String> row(Tool.Output output, String first, String... header) {
        return output.table(header).stream().filter(columns -> columns[0].equals(first)).map(List::of).findFirst()
            .orElseThrow(() -> new IllegalStateException("no row of " + first + " in: " + output.text()));
    }

    /** The columns of the producers of partition 0: id, epoch, coordinator epoch, last sequence, last time, first offset of the open one. */
    private List<String[]> producers() {
        return transactions("describe-producers", "--topic", topic, "--partition", "0").table("ProducerId", "ProducerEpoch");
    }

    private void open() throws Exception {
        Tool.succeed(TopicCommand::main, run.to("--create", "--topic", topic, "--partitions", "2", "--replication-factor", "1"));
        try (KafkaProducer<String, String> producer = producer(id)) {
            send(producer, "aborted");
            List<String> listed = row(transactions("list"), id, "TransactionalId", "Coordinator");
            Run.expectEqual(listed.get(3), "Ongoing", "state in " + listed);
            List<String> described = Stream.of(transactions("describe", "--transactional-id", id).table("CoordinatorId", "TransactionalId").get(0)).toList();
            Run.expectEqual(described.get(1), id, "id in " + described);
            Run.expect(described.contains("Ongoing") && described.contains(topic + "-0"), "described: " + described);
            Run.expectEqual(described.get(2), listed.get(2), "producer id");
            String[] producers = producers().get(0);
            Run.expectEqual(producers[0], listed.get(2), "producer id of the partition");
            Run.expectEqual(producers[5], "0", "first offset of the open transaction");
            Run.expectEqual(transactions("find-hanging", "--topic", topic).table("Topic", "Partition").size(), 0, "hanging");
            producer.abortTransaction();
            producer.beginTransaction();
            send(producer, "committed");
            send(producer, "last");
            producer.commitTransaction();
        }
    }

    private void ended() throws Exception {
        Tool.eventually(listed -> row(listed, id, "TransactionalId", "Coordinator").get(3).equals("CompleteCommit"), TransactionsCommand::main, run.to("list"));
        transactions("describe", "--transactional-id", id).expect("CompleteCommit").expectNot(topic);
        Run.expectEqual(producers().get(0)[5], "None", "first offset of the open transaction");
        Run.expectEqual(transactions("find-hanging", "--topic", topic).table("Topic", "Partition").size(), 0, "hanging");
        Run.expectEqual(transactions("find-hanging", "--broker-id", "1").table("Topic", "Partition").size(), 0, "hanging on the broker");
    }

    private void unknown() {
        Tool.Output described = Tool.run(TransactionsCommand::main, run.to("describe", "--transactional-id", run.name("unknown")));
        Run.expectEqual(described.status(), 1, "exit");
        described.expect("could not be found");
    }

    private void readCommitted() {
        Run.expectEqual(consumed("read_committed", 2), List.of("committed", "last"), "committed");
        Run.expectEqual(consumed("read_uncommitted", 3), List.of("aborted", "committed", "last"), "uncommitted");
    }

    private List<String> consumed(String isolation, int count) {
        return Tool.succeed(ConsoleConsumer::main, run.to("--topic", topic, "--partition", "0", "--offset", "earliest", "--isolation-level", isolation,
            "--max-messages", Integer.toString(count), "--timeout-ms", "60000")).lines().subList(0, count);
    }

    private void stateTopic() {
        ConsoleTools.readInternal(run, "__transaction_state", id, "TransactionLogMessageFormatter",
            "\"transactionalId\":\"" + id + "\"\\}.*\"transactionStatus\":1,.*\"topic\":\"" + topic + "\",\"partitionIds\":\\[0\\]");
    }

    private void abort() throws Exception {
        try (KafkaProducer<String, String> producer = producer(run.name("hangs"))) {
            send(producer, "aborted");
            String first = producers().stream().map(columns -> columns[5]).filter(offset -> !offset.equals("None")).findFirst().orElseThrow();
            transactions("abort", "--topic", topic, "--partition", "0", "--start-offset", first);
            Run.expect(producers().stream().allMatch(columns -> columns[5].equals("None")), "still open");
        }
    }
}
