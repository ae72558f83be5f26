package dev.tautline.tools;

import java.time.Duration;
import java.util.Objects;
import java.util.stream.Stream;

/** One run of the checks: the broker, the names they use, the tally. */
final class Run {
    static final Duration DEADLINE = Duration.ofSeconds(120);

    final String bootstrap = Objects.requireNonNullElse(System.getenv("BOOTSTRAP"), "127.0.0.1:9092");
    private final String only = Objects.requireNonNullElse(System.getenv("ONLY"), "");
    private final String tag = "tools-" + System.currentTimeMillis() % 100_000_000;
    private int passed;
    private int failed;

    interface Body {
        void run() throws Exception;
    }

    Run(String client) {
        System.out.println("client " + client + ", broker " + bootstrap);
    }

    /** A topic's, group's or transactional id's name of this run only. */
    String name(String name) {
        return tag + "-" + name;
    }

    /** The arguments after those that name the broker. */
    String[] to(String... args) {
        return join(new String[] {"--bootstrap-server", bootstrap}, args);
    }

    static String[] join(String[] first, String... second) {
        return Stream.of(first, second).flatMap(Stream::of).toArray(String[]::new);
    }

    void check(String name, String what, Body body) {
        if (!name.contains(only)) {
            return;
        }
        long start = System.nanoTime();
        try {
            body.run();
            passed++;
            System.out.printf("  ok    %s: %s (%d ms)%n", name, what, (System.nanoTime() - start) / 1_000_000);
        } catch (Exception error) {
            failed++;
            System.out.printf("  FAIL  %s: %s: %s (%d ms)%n", name, what, error, (System.nanoTime() - start) / 1_000_000);
        }
    }

    int finish() {
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
}
