package dev.tautline.interop;

import static dev.tautline.interop.Ledger.valueOf;
import static dev.tautline.interop.Run.eventually;
import static dev.tautline.interop.Run.expect;
import static dev.tautline.interop.Run.expectEqual;
import static dev.tautline.interop.Run.expectRefused;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;

import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.NoOffsetForPartitionException;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.OffsetMetadataTooLarge;
import org.apache.kafka.common.errors.UnreleasedInstanceIdException;

/** Checks of where a member begins, what a commit holds, and what is lost or repeated when a member dies. */
final class GroupPositions {
    private final Run run;
    private final Client client;

    GroupPositions(Run run, Client client) {
        this.run = run;
        this.client = client;
    }

    /** A topic of one partition with 100 records. */
    private TopicPartition hundred(String name) throws Exception {
        var at = new TopicPartition(run.topic(name), 0);
        client.create(at.topic(), 1);
        produce(at, 100);
        return at;
    }

    private void produce(TopicPartition at, int count) throws Exception {
        client.produce(LongStream.range(0, count).mapToObj(i -> new ProducerRecord<byte[], byte[]>(at.topic(), 0, null, valueOf(at, i))).toList(), Map.of());
    }

    private KafkaConsumer<byte[], byte[]> joined(String topic, String group, String flavour, Map<String, Object> more) {
        var consumer = Member.consumer(new Member.Joining(run.bootstrap, group, flavour, topic, null, Fleet.SESSION_MS), more);
        consumer.subscribe(List.of(topic));
        return consumer;
    }

    private static List<Long> take(KafkaConsumer<byte[], byte[]> consumer, int count) throws Exception {
        List<Long> offsets = new ArrayList<>();
        eventually(count + " records", () -> {
            consumer.poll(Duration.ofMillis(100)).forEach(record -> offsets.add(record.offset()));
            return offsets.size() >= count;
        });
        return new ArrayList<>(offsets.subList(0, count));
    }

    private static List<Long> range(long from, long until) {
        return new ArrayList<>(LongStream.range(from, until).boxed().toList());
    }

    private static Map<TopicPartition, OffsetAndMetadata> to(TopicPartition at, long offset) {
        return Map.of(at, new OffsetAndMetadata(offset));
    }

    String reset(String flavour) throws Exception {
        var at = hundred("reset-" + flavour);
        String group = run.topic("reset-" + flavour);
        try (var earliest = joined(at.topic(), group + "-1", flavour, Map.of())) {
            expectEqual(take(earliest, 100), range(0, 100), "earliest");
            earliest.seek(at, 97);
            expectEqual(take(earliest, 3), range(97, 100), "after seek");
            earliest.commitSync(to(at, 42));
        }
        try (var again = joined(at.topic(), group + "-1", flavour, Map.of())) {
            expectEqual(take(again, 58), range(42, 100), "from the commit, whatever the reset");
        }
        try (var none = joined(at.topic(), group + "-3", flavour, Map.of("auto.offset.reset", "none"))) {
            expectRefused(NoOffsetForPartitionException.class, () -> take(none, 1), "no commit and no reset");
        }
        try (var latest = joined(at.topic(), group + "-2", flavour, Map.of("auto.offset.reset", "latest"))) {
            List<Long> got = new ArrayList<>();
            eventually("what is produced after the member knows where the end is", () -> {
                produce(at, 1);
                latest.poll(Duration.ofMillis(100)).forEach(record -> got.add(record.offset()));
                return !got.isEmpty();
            });
            expect(got.get(0) >= 100, "latest began at " + got.get(0) + ", among the old records");
        }
        return "";
    }

    String atMostOnce(String flavour) throws Exception {
        var at = hundred("most-" + flavour);
        List<Long> done;
        try (var dying = joined(at.topic(), at.topic(), flavour, Map.of())) {
            take(dying, 10);
            dying.commitSync(to(at, 10));
            done = range(0, 5);
        }
        try (var heir = joined(at.topic(), at.topic(), flavour, Map.of())) {
            done.addAll(take(heir, 90));
        }
        List<Long> wanted = range(0, 5);
        wanted.addAll(range(10, 100));
        expectEqual(done, wanted, "processed: 5 to 9 are lost, nothing is repeated");
        return "";
    }

    String atLeastOnce(String flavour) throws Exception {
        var at = hundred("least-" + flavour);
        List<Long> done;
        try (var dying = joined(at.topic(), at.topic(), flavour, Map.of())) {
            done = take(dying, 10);
            dying.commitSync(to(at, 4));
        }
        try (var heir = joined(at.topic(), at.topic(), flavour, Map.of())) {
            done.addAll(take(heir, 96));
        }
        List<Long> wanted = range(0, 10);
        wanted.addAll(range(4, 100));
        expectEqual(done, wanted, "processed: nothing is lost, 4 to 9 are repeated");
        return "";
    }

    String metadata(String flavour) throws Exception {
        var at = hundred("metadata-" + flavour);
        try (var member = joined(at.topic(), at.topic(), flavour, Map.of())) {
            take(member, 1);
            long offset = 1;
            for (String text : List.of("", "where \u00e9", "x".repeat(4096))) {
                var wanted = Map.of(at, new OffsetAndMetadata(offset++, java.util.Optional.of(0), text));
                member.commitSync(wanted);
                expectEqual(member.committed(wanted.keySet()), wanted, "committed");
                expectEqual(client.admin.listConsumerGroupOffsets(at.topic()).partitionsToOffsetAndMetadata().get(), wanted, "committed, by the admin client");
            }
            var large = Map.of(at, new OffsetAndMetadata(9, "x".repeat(4097)));
            expectRefused(OffsetMetadataTooLarge.class, () -> {
                member.commitSync(large);
                return null;
            }, "4097 bytes of metadata");
            expectEqual(client.committed(at.topic()), Map.of(at, 3L), "committed after the refusal");
        }
        return "";
    }

    String manual(String flavour) throws Exception {
        var at = hundred("manual-" + flavour);
        var how = new Member.Joining(run.bootstrap, at.topic(), flavour, at.topic(), null, Fleet.SESSION_MS);
        try (var alone = Member.consumer(how, Map.of())) {
            alone.assign(List.of(at));
            expectEqual(take(alone, 33), range(0, 33), "assigned by hand");
            alone.commitSync(to(at, 33));
            expectEqual(client.committed(at.topic()), Map.of(at, 33L), "committed");
            expectEqual(client.admin.describeConsumerGroups(List.of(at.topic())).all().get().get(at.topic()).groupState(), GroupState.EMPTY, "state");
            try (var member = joined(at.topic(), at.topic(), flavour, Map.of())) {
                expectEqual(take(member, 67), range(33, 100), "a member goes on from there");
                expectRefused(CommitFailedException.class, () -> {
                    alone.commitSync(to(at, 50));
                    return null;
                }, "a stranger's commit");
                expectEqual(client.committed(at.topic()), Map.of(at, 33L), "committed, after the stranger was refused");
            }
        }
        return "";
    }

    /** In a classic group the newer member of an instance fences the older; in a consumer group the older keeps the newer out. */
    String fenced(String flavour) throws Exception {
        var at = hundred("fenced-" + flavour);
        Map<String, Object> instance = Map.of("group.instance.id", "the-one");
        try (var older = joined(at.topic(), at.topic(), flavour, instance); var newer = joined(at.topic(), at.topic(), flavour, instance)) {
            take(older, 100);
            if (flavour.equals("consumer")) {
                expectRefused(UnreleasedInstanceIdException.class, () -> take(newer, 1), "the newer");
                older.commitSync(to(at, 42));
            } else {
                take(newer, 1);
                expectRefused(FencedInstanceIdException.class, () -> take(older, 1), "the older polls");
            }
        }
        return "";
    }
}
