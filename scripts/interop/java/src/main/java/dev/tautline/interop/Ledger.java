package dev.tautline.interop;

import static dev.tautline.interop.Run.expect;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.kafka.common.TopicPartition;

/**
 * What all members of a group together have processed and committed. It holds against them a record that nobody processed, one
 * that is not what was produced there, and one that was processed although that had been committed.
 */
final class Ledger implements Account {
    private final Map<TopicPartition, Map<Long, Integer>> times = new HashMap<>();
    private final Map<TopicPartition, Long> committed = new HashMap<>();
    private final List<String> violations = new ArrayList<>();

    static byte[] valueOf(TopicPartition at, long offset) {
        return (at.topic() + "/" + at.partition() + "/" + offset).getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public synchronized void processed(String member, TopicPartition at, long offset, String value) {
        if (!value.equals(new String(valueOf(at, offset), StandardCharsets.UTF_8))) {
            violations.add(member + " got " + value + " at " + at + " " + offset);
        }
        if (offset < committed.getOrDefault(at, 0L)) {
            violations.add(member + " processed " + at + " " + offset + ", committed up to " + committed.get(at));
        }
        times.computeIfAbsent(at, any -> new HashMap<>()).merge(offset, 1, Integer::sum);
    }

    @Override
    public synchronized void committed(Map<TopicPartition, Long> positions) {
        positions.forEach((at, offset) -> committed.merge(at, offset, Math::max));
    }

    /** Whether everything up to these ends is committed, or something is wrong already. */
    synchronized boolean covers(Map<TopicPartition, Long> ends) {
        return !violations.isEmpty() || ends.entrySet().stream().allMatch(e -> committed.getOrDefault(e.getKey(), 0L) >= e.getValue());
    }

    /** All that was produced was processed; the answer counts what was processed again, never after a commit. */
    synchronized String verify(Map<TopicPartition, Long> ends) {
        expect(violations.isEmpty(), violations.size() + " violations: " + violations.subList(0, Math.min(3, violations.size())));
        long all = 0;
        long again = 0;
        for (var entry : ends.entrySet()) {
            Map<Long, Integer> here = times.getOrDefault(entry.getKey(), Map.of());
            for (long offset = 0; offset < entry.getValue(); offset++, all++) {
                int count = here.getOrDefault(offset, 0);
                expect(count > 0, "nobody processed " + entry.getKey() + " " + offset + " of " + entry.getValue());
                again += count > 1 ? 1 : 0;
            }
        }
        return all + " records, " + again + " processed again";
    }
}
