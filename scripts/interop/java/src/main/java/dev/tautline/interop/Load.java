package dev.tautline.interop;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Produces to every partition of a topic until it is stopped. */
final class Load {
    private static final int RECORDS = 20;
    private static final int PAUSE_MS = 20;

    private final CountDownLatch stopping = new CountDownLatch(1);
    private final CompletableFuture<Map<TopicPartition, Long>> ends = new CompletableFuture<>();

    Load(String bootstrap, String topic, int partitions) {
        Thread thread = new Thread(() -> {
            try {
                ends.complete(produce(bootstrap, topic, partitions));
            } catch (Exception error) {
                ends.completeExceptionally(new IllegalStateException("the load failed", error));
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    private Map<TopicPartition, Long> produce(String bootstrap, String topic, int partitions) throws Exception {
        Map<TopicPartition, Long> next = new HashMap<>();
        Map<String, Object> config = Map.of("bootstrap.servers", bootstrap, "linger.ms", 0);
        try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            while (!stopping.await(PAUSE_MS, TimeUnit.MILLISECONDS)) {
                List<Future<?>> sent = new ArrayList<>();
                for (int i = 0; i < RECORDS; i++) {
                    var at = new TopicPartition(topic, i % partitions);
                    long offset = next.merge(at, 1L, Long::sum) - 1;
                    sent.add(producer.send(new ProducerRecord<>(topic, at.partition(), null, Ledger.valueOf(at, offset))));
                }
                for (Future<?> one : sent) {
                    one.get();
                }
            }
        }
        return next;
    }

    /** Ends it; the answer is what was acknowledged, by the next offsets. */
    Map<TopicPartition, Long> stop() throws Exception {
        stopping.countDown();
        return ends.get();
    }
}
