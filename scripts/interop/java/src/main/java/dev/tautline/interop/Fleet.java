package dev.tautline.interop;

import static dev.tautline.interop.Run.eventually;
import static dev.tautline.interop.Run.expect;
import static dev.tautline.interop.Run.expectEqual;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** The members of one group on one topic, and their load. */
final class Fleet {
    static final int PARTITIONS = 10;
    static final int SESSION_MS = 20_000; // long enough for members on a busy machine
    static final int KILLED_SESSION_MS = 6000; // the least that brokers allow by default
    static final int HEARTBEAT_WITHIN_MS = 2000; // a member that has time has sent one by then

    final String group;
    final Ledger ledger = new Ledger();
    final List<Member> members = new ArrayList<>();
    final Load load;
    Member.Joining how;
    private final Client client;
    private final Set<TopicPartition> partitions;
    private int made;

    Fleet(Run run, Client client, String name, String flavour, int count) throws Exception {
        this.client = client;
        group = run.topic(name + "-" + flavour);
        partitions = Set.copyOf(Client.partitions(group, count));
        how = new Member.Joining(run.bootstrap, group, flavour, group, null, SESSION_MS);
        client.create(group, count);
        load = new Load(run.bootstrap, group, count);
    }

    List<Member> join(int count) {
        List<Member> added = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            added.add(Member.start("member-" + ++made, ledger, how));
        }
        members.addAll(added);
        return added;
    }

    Member join() {
        return join(1).get(0);
    }

    void leave(Collection<Member> leaving) throws Exception {
        leaving.forEach(Member::beginLeaving);
        for (Member member : List.copyOf(leaving)) {
            member.leave();
            members.remove(member);
        }
    }

    /** Waits until every partition has one owner, and the shares differ by one at most. */
    void settle() throws Exception {
        eventually(() -> members.size() + " members share " + partitions.size() + " partitions: " + members, () -> {
            Set<TopicPartition> seen = new HashSet<>();
            int sum = 0;
            int least = partitions.size();
            int most = 0;
            for (Member member : members) {
                expect(member.error() == null, member.name + " failed: " + member.error());
                Set<TopicPartition> owned = member.owned();
                seen.addAll(owned);
                sum += owned.size();
                least = Math.min(least, owned.size());
                most = Math.max(most, owned.size());
            }
            return sum == partitions.size() && seen.equals(partitions) && most - least <= 1;
        });
    }

    /** Waits until every member has processed something more. */
    void progress() throws Exception {
        Map<Member, Long> before = new HashMap<>();
        members.forEach(member -> before.put(member, member.processed()));
        eventually(() -> "every member goes on: " + members, () -> members.stream().allMatch(member -> member.processed() > before.get(member)));
    }

    /** The generation (or epoch) of all members, which must agree. */
    int generation() throws Exception {
        eventually(() -> "members agree on the generation: " + members.stream().map(Member::generation).toList(),
            () -> members.stream().map(Member::generation).distinct().count() == 1);
        return members.get(0).generation();
    }

    /** Ends the load, waits until all of it is committed, lets all leave, and judges. */
    String finish() throws Exception {
        Map<TopicPartition, Long> ends = load.stop();
        eventually(() -> "all that was produced is committed: " + members, () -> ledger.covers(ends));
        leave(List.copyOf(members));
        String note = ledger.verify(ends);
        expectEqual(committed(), ends, "the group's committed offsets");
        return note;
    }

    /** Gives the group, which speaks the consumer protocol, a session of its own. */
    void configureSession(int sessionMs) throws Exception {
        var session = new AlterConfigOp(new ConfigEntry("consumer.session.timeout.ms", "" + sessionMs), AlterConfigOp.OpType.SET);
        client.admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), List.of(session))).all().get();
    }

    Map<TopicPartition, Long> committed() throws Exception {
        return client.committed(group);
    }

    /** Runs RESTART_COMMAND, which returns when the broker is ready again. */
    static void restartBroker(String signal) throws Exception {
        var command = new ProcessBuilder("sh", "-c", System.getenv("RESTART_COMMAND")).redirectErrorStream(true);
        command.environment().put("RESTART_SIGNAL", signal);
        Process process = command.start();
        String said = new String(process.getInputStream().readAllBytes());
        expect(process.waitFor() == 0, "RESTART_COMMAND failed: " + said.substring(Math.max(0, said.length() - 300)));
    }
}
