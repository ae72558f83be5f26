package dev.tautline.interop;

import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.function.Supplier;

import org.apache.kafka.clients.producer.ProducerRecord;

/** One run of the checks: the broker, the seed its data comes from, the tally. */
final class Run {
    static final Duration DEADLINE = Duration.ofSeconds(60);

    final String bootstrap = Objects.requireNonNullElse(System.getenv("BOOTSTRAP"), "127.0.0.1:9092");
    final Random random;
    private final String only = Objects.requireNonNullElse(System.getenv("ONLY"), "");
    private final long seed;
    private final String tag;
    private int passed;
    private int failed;

    interface Body {
        void run() throws Exception;
    }

    Run() {
        String given = System.getenv("SEED");
        seed = given == null || given.isEmpty() ? new SecureRandom().nextInt() & 0xffffffffL : Long.parseLong(given);
        random = new Random(seed);
        tag = "java-" + seed + "-" + System.currentTimeMillis() % 100_000_000;
        System.out.println("client java, broker " + bootstrap + ", SEED=" + seed);
    }

    String topic(String name) {
        return tag + "-" + name;
    }

    byte[] bytes(int count) {
        byte[] bytes = new byte[count];
        random.nextBytes(bytes);
        return bytes;
    }

    /** Records spread over the partitions, one second apart and an hour old. */
    List<ProducerRecord<byte[], byte[]>> records(String topic, int count, int partitions) {
        long baseMs = System.currentTimeMillis() - 3_600_000;
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            byte[] half = bytes(random.nextInt(1000));
            byte[] value = java.util.Arrays.copyOf(half, half.length + random.nextInt(1000));
            records.add(new ProducerRecord<>(topic, i % partitions, baseMs + i * 1000L, bytes(random.nextInt(40)), value));
        }
        return records;
    }

    void check(String name, String what, Body body) {
        noted(name, what, () -> {
            body.run();
            return "";
        });
    }

    /** A check that has something to tell when it passes. */
    void noted(String name, String what, Callable<String> body) {
        if (!name.contains(only)) {
            return;
        }
        long start = System.nanoTime();
        try {
            String note = body.call();
            count(true, "  ok    %s: %s%s (%d ms)%n", name, note.isEmpty() ? what : what + ": ", note, (System.nanoTime() - start) / 1_000_000);
        } catch (Exception error) {
            count(false, "  FAIL  %s: %s: %s (%d ms)%n", name, what, error, (System.nanoTime() - start) / 1_000_000);
        }
    }

    private synchronized void count(boolean good, String format, Object... arguments) {
        if (good) {
            passed++;
        } else {
            failed++;
        }
        System.out.printf(format, arguments);
    }

    /** Says what a client, or this run, can't do. */
    void dash(String name, String reason) {
        if (name.contains(only)) {
            System.out.println("  -     " + name + ": not offered: " + reason);
        }
    }

    synchronized <T> List<T> choose(List<T> among, int count) {
        List<T> shuffled = new ArrayList<>(among);
        Collections.shuffle(shuffled, random);
        return shuffled.subList(0, count);
    }

    int finish() {
        System.out.println("java: SEED=" + seed);
        System.out.println(passed + " passed, " + failed + " failed");
        return failed == 0 ? 0 : 1;
    }

    static void expect(boolean condition, String what) {
        if (!condition) {
            throw new IllegalStateException(what);
        }
    }

    static void expectEqual(Object got, Object wanted, String what) {
        expect(Objects.equals(got, wanted), what + ": got " + got + ", wanted " + wanted);
    }

    /** The call must fail with exactly this exception, by itself or as the cause of an ExecutionException. */
    static void expectRefused(Class<? extends Exception> wanted, Callable<?> call, String what) throws Exception {
        Object answer;
        try {
            answer = call.call();
        } catch (Exception error) {
            Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
            expect(wanted.isInstance(cause), what + ": got " + cause + ", wanted " + wanted.getSimpleName());
            return;
        }
        expect(false, what + ": accepted (" + answer + "), wanted " + wanted.getSimpleName());
    }

    /** Asks until the probe holds: metadata may trail an acknowledged change. */
    static void eventually(String what, Callable<Boolean> probe) throws Exception {
        eventually(() -> what, probe);
    }

    static void eventually(Supplier<String> what, Callable<Boolean> probe) throws Exception {
        long end = System.nanoTime() + DEADLINE.toNanos();
        Exception last = null;
        while (System.nanoTime() < end) {
            try {
                if (probe.call()) {
                    return;
                }
            } catch (ExecutionException error) {
                last = error;
            }
            Thread.sleep(20);
        }
        throw new IllegalStateException(what.get() + ": not within " + DEADLINE, last);
    }
}
