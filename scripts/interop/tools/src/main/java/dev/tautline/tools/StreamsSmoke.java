package dev.tautline.tools;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.streams.tests.SmokeTestDriver;
import org.apache.kafka.streams.tests.StreamsSmokeTest;

/**
 * Kafka Streams' own smoke test with exactly_once_v2: its driver here, its clients in processes of their own. The first client is
 * killed while records flow, a second takes its work over, and the driver's verification must find each input exactly once.
 */
public final class StreamsSmoke {
    private static final String APPLICATION = "SmokeTest";
    private static final int PARTITIONS = 3;
    private static final int KEYS = 10;
    private static final int RECORDS_PER_KEY = 500;
    private static final Duration GENERATE = Duration.ofSeconds(20);
    private static final Duration START = Duration.ofMinutes(3);
    /** Once half of the records are out, each further hundred waits so long for the first client's end. All together wait longer than START. */
    private static final Duration HELD = Duration.ofSeconds(10);

    private StreamsSmoke() {
    }

    public static void main(String[] args) {
        Run run = new Run("streams");
        PrintStream stdout = System.out;
        ByteArrayOutputStream talk = new ByteArrayOutputStream();
        Talk driver = new Talk(talk);
        run.check("streams_exactly_once_v2", "the smoke test of Kafka Streams, a client killed on the way", () -> {
            System.setOut(driver);
            try {
                smokeTest(run.bootstrap, driver);
            } finally {
                System.setOut(stdout);
            }
        });
        List<String> lines = talk.toString(StandardCharsets.UTF_8).lines().filter(line -> !line.matches("\\{.*|.*(Get some more results|records produced|Echo records).*")).toList();
        lines.forEach(System.out::println);
        Runtime.getRuntime().halt(run.finish());
    }

    private static void smokeTest(String bootstrap, Talk driver) throws Exception {
        Path home = Files.createTempDirectory("tautline-streams-");
        List<Client> clients = new ArrayList<>();
        boolean passed = false;
        try {
            createTopics(bootstrap);
            Client first = new Client(home, "first", bootstrap);
            clients.add(first);
            first.await("SMOKE-TEST-CLIENT-STARTED");
            CompletableFuture<Map<String, Set<Integer>>> inputs =
                CompletableFuture.supplyAsync(() -> SmokeTestDriver.generate(bootstrap, KEYS, RECORDS_PER_KEY, GENERATE));
            first.await("processed");
            first.process.destroyForcibly().waitFor();
            Run.expect(!inputs.isDone(), "the first client was killed too late: all records were there");
            driver.killed.countDown();
            Client second = new Client(home, "second", bootstrap);
            clients.add(second);
            second.await("SMOKE-TEST-CLIENT-STARTED");
            boolean verified = SmokeTestDriver.verify(bootstrap, inputs.get(START.toSeconds(), TimeUnit.SECONDS), RECORDS_PER_KEY, true).passed();
            Run.expect(verified, "the driver's verification failed");
            second.process.destroy();
            second.await("SMOKE-TEST-CLIENT-CLOSED");
            for (Client client : clients) {
                Run.expect(!client.output().contains("SMOKE-TEST-CLIENT-EXCEPTION"), "an exception in the " + client.name + " client");
            }
            passed = true;
        } finally {
            for (Client client : clients) {
                client.process.destroyForcibly().waitFor();
                if (!passed) {
                    System.out.println(client.name + ":\n" + client.tail());
                }
            }
            delete(home.toFile());
        }
    }

    private static void createTopics(String bootstrap) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            Set<String> left = new HashSet<>(admin.listTopics().names().get());
            left.removeIf(topic -> !topic.startsWith(APPLICATION + "-") && !List.of(SmokeTestDriver.topics()).contains(topic));
            admin.deleteTopics(left).all().get();
            List<NewTopic> topics = new ArrayList<>();
            for (String topic : SmokeTestDriver.topics()) {
                topics.add(new NewTopic(topic, PARTITIONS, (short) 1));
            }
            admin.createTopics(topics).all().get();
        }
    }

    private static void delete(File file) {
        File[] inside = file.listFiles();
        if (inside != null) {
            for (File one : inside) {
                delete(one);
            }
        }
        file.delete();
    }

    /** Where the driver talks to: its generator tells of each hundred records that are out, and can be held there. */
    private static final class Talk extends PrintStream {
        final CountDownLatch killed = new CountDownLatch(1);
        private int produced;

        Talk(ByteArrayOutputStream to) {
            super(to, true, StandardCharsets.UTF_8);
        }

        @Override
        public void println(String line) {
            super.println(line);
            if (line.endsWith(" records produced") && (produced += 100) > KEYS * RECORDS_PER_KEY / 2) {
                try {
                    killed.await(HELD.toSeconds(), TimeUnit.SECONDS);
                } catch (InterruptedException error) {
                    Thread.currentThread().interrupt();
                }
            }
        }
    }

    /** A Streams application in a process of its own, its words in a file. */
    private static final class Client {
        final String name;
        final Process process;
        private final Path output;

        Client(Path home, String name, String bootstrap) throws Exception {
            this.name = name;
            output = home.resolve(name + ".log");
            Properties properties = new Properties();
            properties.put("bootstrap.servers", bootstrap);
            properties.put("application.id", APPLICATION);
            properties.put("processing.guarantee", "exactly_once_v2");
            properties.put("num.stream.threads", "1");
            properties.put("state.dir", home.resolve(name).toString());
            // A killed client's tasks and open transaction must be given up within the test's patience.
            properties.put("session.timeout.ms", "6000");
            properties.put("heartbeat.interval.ms", "1000");
            properties.put("auto.offset.reset", "earliest");
            Path file = home.resolve(name + ".properties");
            try (var writer = Files.newBufferedWriter(file)) {
                properties.store(writer, null);
            }
            process = new ProcessBuilder(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx512m", "-XX:TieredStopAtLevel=1",
                    "-Djava.io.tmpdir=" + home, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                    "-cp", System.getProperty("java.class.path"), StreamsSmokeTest.class.getName(), file.toString(), "process")
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
        }

        String output() {
            try {
                return Files.readString(output);
            } catch (java.io.IOException error) {
                throw new java.io.UncheckedIOException(error);
            }
        }

        String tail() {
            List<String> lines = output().lines().toList();
            return String.join("\n", lines.subList(Math.max(0, lines.size() - 60), lines.size()));
        }

        void await(String word) throws Exception {
            long end = System.nanoTime() + START.toNanos();
            while (!output().contains(word)) {
                if (System.nanoTime() > end) {
                    throw new IllegalStateException(name + " client: no " + word + " within " + START);
                }
                Thread.sleep(100);
            }
        }
    }
}
