package dev.tautline.interop;

import static dev.tautline.interop.Run.expect;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;

import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * One member of a group, in a thread of its own. It commits what it has processed every {@code COMMIT_EVERY} records, when it is
 * idle, and, before it gives a partition up, that partition's position.
 */
class Member implements ConsumerRebalanceListener {
    private static final int COMMIT_EVERY = 50;

    /** How a member joins: `subscription` is a topic, or a pattern if it begins with ^. */
    record Joining(String bootstrap, String group, String flavour, String subscription, String instance, int sessionMs) {
        Joining as(String instance) {
            return new Joining(bootstrap, group, flavour, subscription, instance, sessionMs);
        }

        Joining speaking(String flavour) {
            return new Joining(bootstrap, group, flavour, subscription, instance, sessionMs);
        }

        Joining within(int sessionMs) {
            return new Joining(bootstrap, group, flavour, subscription, instance, sessionMs);
        }
    }

    final String name;
    private final Account account;
    private final Set<TopicPartition> owned = new HashSet<>();
    private final Map<TopicPartition, Long> positions = new HashMap<>();
    final List<TopicPartition> revoked = new ArrayList<>(); // and lost; under the lock
    private long processed;
    private long uncommitted;
    private int rebalances;
    private int generation;
    private volatile Exception error;
    private volatile boolean leaving;
    private KafkaConsumer<byte[], byte[]> consumer;
    private Thread thread;

    Member(String name, Account account) {
        this.name = name;
        this.account = account;
    }

    static Member start(String name, Account account, Joining how) {
        Member member = new Member(name, account);
        member.thread = new Thread(() -> member.run(how), name);
        member.thread.setDaemon(true);
        member.thread.start();
        return member;
    }

    static KafkaConsumer<byte[], byte[]> consumer(Joining how, Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", how.bootstrap, "group.id", how.group, "enable.auto.commit", false,
            "auto.offset.reset", "earliest", "fetch.max.wait.ms", 100, "metadata.max.age.ms", 500, "max.poll.records", 100));
        if (how.flavour.equals("consumer")) {
            config.put("group.protocol", "consumer");
        } else {
            config.put("session.timeout.ms", how.sessionMs);
            config.put("heartbeat.interval.ms", 500);
            config.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer."
                + (how.flavour.equals("cooperative") ? "CooperativeStickyAssignor" : "RangeAssignor"));
        }
        if (how.instance != null) {
            config.put("group.instance.id", how.instance);
        }
        config.putAll(more);
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private void run(Joining how) {
        try (var joined = consumer(how, Map.of())) {
            consumer = joined;
            if (!how.subscription.startsWith("^")) {
                consumer.subscribe(List.of(how.subscription), this);
            } else if (how.flavour.equals("consumer")) {
                consumer.subscribe(new SubscriptionPattern(how.subscription), this);
            } else {
                consumer.subscribe(Pattern.compile(how.subscription), this);
            }
            while (!leaving) {
                turn(consumer.poll(Duration.ofMillis(100)));
            }
            commit(snapshot());
        } catch (Exception failed) {
            error = failed;
        }
    }

    private void turn(ConsumerRecords<byte[], byte[]> records) {
        int now = consumer.groupMetadata().generationId();
        synchronized (this) {
            generation = now; // before a record counts: who sees it counted may ask
        }
        for (var record : records) {
            var at = new TopicPartition(record.topic(), record.partition());
            account.processed(name, at, record.offset(), new String(record.value(), StandardCharsets.UTF_8));
            synchronized (this) {
                positions.put(at, record.offset() + 1);
                processed++;
                uncommitted++;
            }
        }
        boolean due;
        synchronized (this) {
            due = uncommitted >= COMMIT_EVERY || uncommitted > 0 && records.isEmpty();
        }
        if (due) {
            commit(snapshot());
        }
    }

    private synchronized Map<TopicPartition, Long> snapshot() {
        return Map.copyOf(positions);
    }

    /** A refusal leaves the positions for the next commit, or for whoever is given the partition. */
    private void commit(Map<TopicPartition, Long> wanted) {
        try {
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            wanted.forEach((at, offset) -> offsets.put(at, new OffsetAndMetadata(offset)));
            consumer.commitSync(offsets);
        } catch (KafkaException refused) {
            return;
        }
        account.committed(wanted);
        synchronized (this) {
            uncommitted = 0;
        }
    }

    @Override
    public synchronized void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        owned.addAll(partitions);
        rebalances += partitions.size();
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        Map<TopicPartition, Long> going = new HashMap<>(snapshot());
        going.keySet().retainAll(partitions);
        if (!going.isEmpty()) {
            commit(going);
        }
        onPartitionsLost(partitions);
    }

    @Override
    public synchronized void onPartitionsLost(Collection<TopicPartition> partitions) {
        owned.removeAll(partitions);
        positions.keySet().removeAll(partitions);
        revoked.addAll(partitions);
        rebalances += partitions.size();
    }

    synchronized Set<Integer> shares() {
        Set<Integer> found = new TreeSet<>();
        owned.forEach(at -> found.add(at.partition()));
        return found;
    }

    synchronized Set<TopicPartition> owned() {
        return Set.copyOf(owned);
    }

    synchronized void owns(Set<TopicPartition> partitions) {
        owned.clear();
        owned.addAll(partitions);
    }

    synchronized long processed() {
        return processed;
    }

    synchronized void hasProcessed() {
        processed++;
    }

    synchronized int rebalances() {
        return rebalances;
    }

    synchronized int generation() {
        return generation;
    }

    Exception error() {
        return error;
    }

    /** Commits, and leaves the group as the client does it by itself. */
    void leave() throws Exception {
        leaving = true;
        thread.join();
        expect(error == null, name + " failed: " + error);
    }

    void beginLeaving() {
        leaving = true;
    }

    @Override
    public String toString() {
        return name + ": " + shares() + ", " + processed() + " processed" + (error == null ? "" : ", " + error);
    }
}
