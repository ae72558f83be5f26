import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Moves records from one topic to another in transactions, with the positions of its group; says each commit on standard output. */
public final class Transform {
    public static void main(String[] arguments) {
        String bootstrap = arguments[0], from = arguments[1], to = arguments[2], name = arguments[3];
        var bytes = "org.apache.kafka.common.serialization.ByteArray";
        var consumer = new KafkaConsumer<byte[], byte[]>(Map.of(
            "bootstrap.servers", bootstrap,
            "group.id", "group-" + from,
            "group.instance.id", name,
            "session.timeout.ms", "10000",
            "max.poll.records", "200",
            "isolation.level", "read_committed",
            "enable.auto.commit", "false",
            "auto.offset.reset", "earliest",
            "key.deserializer", bytes + "Deserializer",
            "value.deserializer", bytes + "Deserializer"));
        var producer = new KafkaProducer<byte[], byte[]>(Map.of(
            "bootstrap.servers", bootstrap,
            "transactional.id", name,
            "transaction.timeout.ms", "20000",
            "key.serializer", bytes + "Serializer",
            "value.serializer", bytes + "Serializer"));
        try {
            producer.initTransactions();
            consumer.subscribe(List.of(from));
            while (true) {
                var records = consumer.poll(Duration.ofMillis(100));
                if (records.isEmpty()) {
                    continue;
                }
                producer.beginTransaction();
                var positions = new HashMap<TopicPartition, OffsetAndMetadata>();
                for (var record : records) {
                    producer.send(new ProducerRecord<>(to, record.key(), record.value()));
                    positions.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
                }
                producer.sendOffsetsToTransaction(positions, consumer.groupMetadata());
                producer.commitTransaction();
                System.out.println("committed " + records.count());
            }
        } catch (RuntimeException error) {
            // Whatever it was, the next one begins at the committed positions.
            System.out.println("ended: " + error);
            Runtime.getRuntime().halt(1);
        }
    }
}
