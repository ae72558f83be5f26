package dev.tautline.interop;

import static dev.tautline.interop.Client.expectSame;
import static dev.tautline.interop.Run.expect;
import static dev.tautline.interop.Run.expectEqual;
import static dev.tautline.interop.Run.expectRefused;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordTooLargeException;

/** The interop checks through Kafka's own Java client. But for {@link Groups}, partitions are assigned by hand and no group is joined. */
public final class Main {
    private static final int PARTITIONS = 3;
    private static final int MEGABYTE = 1_000_000;

    private final Run run = new Run();
    private final Client client = new Client(run);

    public static void main(String[] arguments) throws Exception {
        if (arguments.length > 0 && arguments[0].equals("member")) {
            DoomedMember.main(List.of(arguments).subList(1, arguments.length));
        }
        Main main = new Main();
        main.basics();
        main.positions();
        main.payloads();
        main.manyTopics();
        main.refusals();
        new AdminChecks(main.run, main.client).all();
        new Groups(main.run, main.client).all();
        System.exit(main.run.finish());
    }

    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private void basics() {
        run.check("create_topic", "a topic of 3 partitions appears in metadata", () -> {
            String topic = run.topic("create");
            client.create(topic, PARTITIONS);
            var described = client.admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
            expectEqual(described.partitions().size(), PARTITIONS, "partitions");
        });
        run.check("idempotent_producer", "500 records in order, none twice", () -> {
            String topic = run.topic("idempotent");
            client.create(topic, PARTITIONS);
            var many = Map.<String, Object>of("enable.idempotence", true, "batch.size", 2000, "max.in.flight.requests.per.connection", 5);
            client.roundTrip(topic, PARTITIONS, run.records(topic, 500, PARTITIONS), many);
        });
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            for (String acks : List.of("0", "1", "all")) {
                run.check("produce_" + codec + "_acks_" + acks, "120 records come back byte-exact", () -> {
                    String topic = run.topic(codec + "-" + acks);
                    client.create(topic, PARTITIONS);
                    var how = Map.<String, Object>of("compression.type", codec, "acks", acks, "enable.idempotence", false);
                    client.roundTrip(topic, PARTITIONS, run.records(topic, 120, PARTITIONS), how);
                });
            }
        }
    }

    /** Fills a topic of one partition with records one second apart. */
    private List<ProducerRecord<byte[], byte[]>> fill(TopicPartition at, int count) throws Exception {
        var sent = run.records(at.topic(), count, 1);
        client.create(at.topic(), 1);
        client.produce(sent, Map.of());
        return sent;
    }

    private void positions() {
        run.check("consume_from_start", "all records, in order, from earliest", () -> {
            var at = new TopicPartition(run.topic("start"), 0);
            var sent = fill(at, 200);
            expectSame(client.readFromStart(List.of(at), sent.size()), sent);
        });
        run.check("consume_from_offset", "all records from a random offset", () -> {
            var at = new TopicPartition(run.topic("offset"), 0);
            var sent = fill(at, 200);
            int from = 1 + run.random.nextInt(sent.size() - 2);
            var got = client.read(at, from, sent.size() - from, Map.of());
            expectEqual(got.get(0).offset(), (long) from, "first offset");
            expectSame(got, sent.subList(from, sent.size()));
        });
        run.check("consume_from_time", "offsets for times before, between, at, after, and the latest time", () -> {
            var at = new TopicPartition(run.topic("time"), 0);
            var sent = fill(at, 200);
            int near = 1 + run.random.nextInt(sent.size() - 2);
            long timeMs = sent.get(near).timestamp();
            long lastMs = sent.get(sent.size() - 1).timestamp();
            try (var consumer = client.consumer(Map.of())) {
                var times = Map.of(timeMs, near, timeMs - 500, near, timeMs + 1, near + 1, lastMs, sent.size() - 1, 0L, 0);
                times.forEach((ms, wanted) ->
                    expectEqual(consumer.offsetsForTimes(Map.of(at, ms)).get(at).offset(), (long) wanted, "offset for " + ms));
                expectEqual(consumer.offsetsForTimes(Map.of(at, lastMs + 1)).get(at), null, "offset for a time after all");
            }
            expectEqual(client.offset(at, OffsetSpec.maxTimestamp()), sent.size() - 1L, "offset of the latest timestamp");
            expectSame(client.read(at, near, sent.size() - near, Map.of()), sent.subList(near, sent.size()));
        });
        run.check("consume_replay", "two readings are the same, by both of the client's consumers", () -> {
            var at = new TopicPartition(run.topic("replay"), 0);
            var sent = fill(at, 200);
            var first = client.read(at, 0, sent.size(), Map.of("group.protocol", "classic"));
            var second = client.read(at, 0, sent.size(), Map.of("group.protocol", "consumer"));
            expectSame(first, sent);
            expectSame(second, sent);
            for (int i = 0; i < first.size(); i++) {
                expectEqual(second.get(i).offset(), first.get(i).offset(), "offset");
                expectEqual(second.get(i).timestamp(), first.get(i).timestamp(), "timestamp");
            }
        });
    }

    private void payloads() {
        run.check("headers_null_keys_null_values", "absent, empty and repeated are told apart", () -> {
            String topic = run.topic("headers");
            client.create(topic, 1);
            var rich = new ProducerRecord<>(topic, 0, text("k"), text("v"));
            rich.headers().add("a", text("1")).add("a", text("2")).add("empty", new byte[0]).add("null", null)
                .add("utf-8 \u00e9", new byte[] {0, -1});
            var only = new ProducerRecord<byte[], byte[]>(topic, 0, null, null);
            only.headers().add("only", text("header"));
            client.roundTrip(topic, 1, List.of(
                new ProducerRecord<>(topic, 0, null, text("no key")),
                new ProducerRecord<>(topic, 0, text("tombstone"), null),
                new ProducerRecord<>(topic, 0, null, null),
                new ProducerRecord<>(topic, 0, new byte[0], new byte[0]),
                rich, only), Map.of());
        });
        run.check("one_megabyte_messages", "5 records of 1000000 bytes", () -> {
            String topic = run.topic("megabyte");
            client.create(topic, 1);
            List<ProducerRecord<byte[], byte[]>> sent = new ArrayList<>();
            for (int i = 0; i < 5; i++) {
                sent.add(new ProducerRecord<>(topic, 0, new byte[] {(byte) i}, run.bytes(MEGABYTE)));
            }
            client.roundTrip(topic, 1, sent, Map.of());
        });
    }

    private void manyTopics() {
        run.check("many_topics", "200 topics x 8 partitions written and read by one consumer", () -> {
            List<NewTopic> topics = new ArrayList<>();
            List<TopicPartition> partitions = new ArrayList<>();
            Map<TopicPartition, String> wanted = new HashMap<>();
            for (int i = 0; i < 200; i++) {
                topics.add(new NewTopic(run.topic("many-" + i), 8, (short) 1));
                partitions.addAll(Client.partitions(run.topic("many-" + i), 8));
            }
            client.admin.createTopics(topics).all().get();
            partitions.forEach(at -> wanted.put(at, at.toString()));
            client.produce(partitions.stream().map(at ->
                new ProducerRecord<byte[], byte[]>(at.topic(), at.partition(), null, text(at.toString()))).toList(), Map.of());
            Map<TopicPartition, String> got = new HashMap<>();
            for (ConsumerRecord<byte[], byte[]> r : client.readFromStart(partitions, partitions.size())) {
                got.put(new TopicPartition(r.topic(), r.partition()), new String(r.value(), StandardCharsets.UTF_8));
            }
            expect(got.equals(wanted), "a partition holds something else");
            client.admin.deleteTopics(topics.stream().map(NewTopic::name).toList()).all().get();
        });
    }

    private void refusals() {
        run.check("error_record_too_large", "MESSAGE_TOO_LARGE, and the next produce works", () -> {
            String topic = run.topic("too-large");
            client.create(topic, 1);
            var large = List.of(new ProducerRecord<byte[], byte[]>(topic, 0, null, run.bytes(1_500_000)));
            expectRefused(RecordTooLargeException.class, () -> {
                client.produce(large, Map.of());
                return null;
            }, "a record of 1.5 MB");
            client.roundTrip(topic, 1, List.of(new ProducerRecord<>(topic, 0, null, text("still works"))), Map.of());
        });
        run.check("error_offset_out_of_range", "reset to earliest, or OFFSET_OUT_OF_RANGE without a policy", () -> {
            var at = new TopicPartition(run.topic("out-of-range"), 0);
            var sent = fill(at, 20);
            expectSame(client.read(at, 1000, sent.size(), Map.of("auto.offset.reset", "earliest")), sent);
            expectRefused(OffsetOutOfRangeException.class, () -> client.read(at, 1000, 1, Map.of()), "no reset policy");
        });
    }
}
