package dev.tautline.interop;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.apache.kafka.common.TopicPartition;

/** A member in a process of its own, which only `kill -9` ends: each line it prints is out before what follows it. */
final class DoomedMember extends Member {
    private final Process process;
    private final Thread listener;
    private final List<Long> alive = new ArrayList<>(); // when it had time to say so, by the clock that processes share; the listener's

    /** When it was killed, and for how long it may have had no time for a heartbeat before: a machine can be that busy. */
    record Death(long atNanos, long stalledMs) {
    }

    DoomedMember(Account account, Joining how) throws IOException {
        super("doomed", account);
        process = new ProcessBuilder(System.getProperty("java.home") + "/bin/java", "-Xmx128m", "-XX:TieredStopAtLevel=1",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp", System.getProperty("java.class.path"), Main.class.getName(), "member",
            how.bootstrap(), how.group(), how.flavour(), how.subscription(), "" + how.sessionMs())
            .redirectError(ProcessBuilder.Redirect.DISCARD).start();
        listener = new Thread(() -> listen(account));
        listener.setDaemon(true);
        listener.start();
    }

    private void listen(Account account) {
        try (var lines = process.inputReader()) {
            for (String line; (line = lines.readLine()) != null; ) {
                String[] said = line.split(" ");
                if (!said[said.length - 1].equals(".")) {
                    return; // cut off in the middle
                }
                if (said[0].equals("owned")) {
                    Set<TopicPartition> partitions = new HashSet<>();
                    for (int i = 1; i < said.length - 1; i += 2) {
                        partitions.add(new TopicPartition(said[i], Integer.parseInt(said[i + 1])));
                    }
                    owns(partitions);
                } else if (said[0].equals("alive")) {
                    alive.add(Long.parseLong(said[1]));
                } else {
                    var at = new TopicPartition(said[1], Integer.parseInt(said[2]));
                    if (said[0].equals("processed")) {
                        account.processed(name, at, Long.parseLong(said[3]), said[4]);
                        hasProcessed();
                    } else {
                        account.committed(Map.of(at, Long.parseLong(said[3])));
                    }
                }
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    Death kill() throws InterruptedException {
        long killed = System.nanoTime();
        long killedMs = System.currentTimeMillis();
        process.toHandle().destroyForcibly(); // through the process it would close the stream, with lines still to be read
        process.waitFor();
        listener.join();
        alive.add(killedMs);
        long stalledMs = 0;
        for (int i = 1; i < alive.size(); i++) {
            if (alive.get(i) > killedMs - Fleet.HEARTBEAT_WITHIN_MS) {
                stalledMs = Math.max(stalledMs, alive.get(i) - alive.get(i - 1));
            }
        }
        return new Death(killed, stalledMs);
    }

    /** The whole program of such a member. It says what the time is whenever it has some. */
    static void main(List<String> how) throws InterruptedException {
        Account told = new Account() {
            @Override
            public void processed(String member, TopicPartition at, long offset, String value) {
                System.out.println("processed " + at.topic() + " " + at.partition() + " " + offset + " " + value + " .");
            }

            @Override
            public void committed(Map<TopicPartition, Long> positions) {
                positions.forEach((at, offset) -> System.out.println("commit " + at.topic() + " " + at.partition() + " " + offset + " ."));
            }
        };
        Member member = start("doomed", told, new Joining(how.get(0), how.get(1), how.get(2), how.get(3), null, Integer.parseInt(how.get(4))));
        for (int before = -1; ; Thread.sleep(20)) {
            if (member.rebalances() != before) {
                before = member.rebalances();
                StringBuilder line = new StringBuilder("owned");
                member.owned().forEach(at -> line.append(' ').append(at.topic()).append(' ').append(at.partition()));
                System.out.println(line + " .");
            }
            System.out.println("alive " + System.currentTimeMillis() + " .");
        }
    }
}
