package dev.tautline.interop;

import static dev.tautline.interop.Run.DEADLINE;
import static dev.tautline.interop.Run.eventually;
import static dev.tautline.interop.Run.expect;
import static dev.tautline.interop.Run.expectEqual;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.stream.IntStream;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** What the checks ask of kafka-clients: producers, consumers assigned by hand, and the admin client. */
final class Client {
    final Admin admin;
    private final Run run;

    Client(Run run) {
        this.run = run;
        admin = Admin.create(Map.of("bootstrap.servers", run.bootstrap));
    }

    /** Creates a topic and waits until each partition's leader answers: with acks=0 nothing else would tell. */
    void create(String topic, int partitions) throws Exception {
        create(topic, partitions, Map.of());
        Map<TopicPartition, OffsetSpec> ends = new HashMap<>();
        partitions(topic, partitions).forEach(at -> ends.put(at, OffsetSpec.latest()));
        eventually("every partition has a leader", () -> admin.listOffsets(ends).all().get().size() == partitions);
    }

    void create(String topic, int partitions, Map<String, String> config) throws Exception {
        admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(config))).all().get();
    }

    static List<TopicPartition> partitions(String topic, int count) {
        return IntStream.range(0, count).mapToObj(p -> new TopicPartition(topic, p)).toList();
    }

    long offset(TopicPartition at, OffsetSpec spec) throws Exception {
        return admin.listOffsets(Map.of(at, spec)).partitionResult(at).get().offset();
    }

    /** What a group has committed. */
    Map<TopicPartition, Long> committed(String group) throws Exception {
        Map<TopicPartition, Long> found = new HashMap<>();
        admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().forEach((at, stored) -> found.put(at, stored.offset()));
        return found;
    }

    /** Sends all, then waits for every answer; throws what the broker refused. */
    void produce(List<ProducerRecord<byte[], byte[]>> records, Map<String, Object> settings) throws Exception {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", run.bootstrap, "max.request.size", 4_000_000));
        config.putAll(settings);
        try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            records.forEach(record -> sent.add(producer.send(record)));
            producer.flush();
            for (Future<RecordMetadata> one : sent) {
                try {
                    one.get();
                } catch (ExecutionException error) {
                    throw (Exception) error.getCause();
                }
            }
        }
    }

    KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> settings) {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", run.bootstrap, "enable.auto.commit", false,
            "auto.offset.reset", "none", "allow.auto.create.topics", false, "fetch.max.wait.ms", 100));
        config.putAll(settings);
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static List<ConsumerRecord<byte[], byte[]>> take(KafkaConsumer<byte[], byte[]> consumer, int count) {
        List<ConsumerRecord<byte[], byte[]>> taken = new ArrayList<>();
        long end = System.nanoTime() + DEADLINE.toNanos();
        while (taken.size() < count) {
            expect(System.nanoTime() < end, "got " + taken.size() + " of " + count + " records within " + DEADLINE);
            consumer.poll(Duration.ofMillis(500)).forEach(taken::add);
        }
        return taken;
    }

    /** Reads one partition from an offset. */
    List<ConsumerRecord<byte[], byte[]>> read(TopicPartition at, long from, int count, Map<String, Object> settings) {
        try (var consumer = consumer(settings)) {
            consumer.assign(List.of(at));
            consumer.seek(at, from);
            return take(consumer, count);
        }
    }

    List<ConsumerRecord<byte[], byte[]>> readFromStart(Collection<TopicPartition> partitions, int count) {
        try (var consumer = consumer(Map.of())) {
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            return take(consumer, count);
        }
    }

    /** Produces, then reads every partition from its start and compares byte for byte. */
    void roundTrip(String topic, int partitions, List<ProducerRecord<byte[], byte[]>> sent, Map<String, Object> settings) throws Exception {
        produce(sent, settings);
        for (TopicPartition at : partitions(topic, partitions)) {
            var wanted = sent.stream().filter(r -> r.partition() == at.partition()).toList();
            var got = read(at, 0, wanted.size(), Map.of());
            expectSame(got, wanted);
            for (int i = 0; i < got.size(); i++) {
                expectEqual(got.get(i).offset(), (long) i, "offset");
            }
        }
    }

    /** Keys, values and headers byte for byte; null and empty differ. */
    static void expectSame(List<ConsumerRecord<byte[], byte[]>> got, List<ProducerRecord<byte[], byte[]>> wanted) {
        expectEqual(got.size(), wanted.size(), "number of records");
        for (int i = 0; i < got.size(); i++) {
            var a = got.get(i);
            var b = wanted.get(i);
            Header[] headers = a.headers().toArray();
            Header[] wantedHeaders = b.headers().toArray();
            boolean same = Arrays.equals(a.key(), b.key()) && Arrays.equals(a.value(), b.value()) && headers.length == wantedHeaders.length;
            for (int h = 0; same && h < headers.length; h++) {
                same = headers[h].key().equals(wantedHeaders[h].key()) && Arrays.equals(headers[h].value(), wantedHeaders[h].value());
            }
            expect(same, "record " + i + " (offset " + a.offset() + ") differs from what was sent: " + a);
        }
    }
}
