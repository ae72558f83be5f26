package dev.tautline.interop;

import static dev.tautline.interop.Run.eventually;
import static dev.tautline.interop.Run.expect;
import static dev.tautline.interop.Run.expectEqual;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/** Checks of consumer groups under load: classic (eager), cooperative (KIP-429) and consumer (KIP-848). */
final class Groups {
    private final Run run;
    private final Client client;
    private final List<Runnable> checks = new ArrayList<>();

    interface Body {
        String run(String flavour) throws Exception;
    }

    Groups(Run run, Client client) {
        this.run = run;
        this.client = client;
    }

    void all() throws Exception {
        List<String> every = List.of("classic", "cooperative", "consumer");
        List<String> protocols = List.of("classic", "consumer");
        add("scale", "1, 5, 2 members under load", every, this::scale);
        add("kill", "a member is killed, its partitions move", every, this::kill);
        add("static", "static members restart and nothing moves", every, this::staticMembers);
        add("sticky", "only what must move moves", List.of("cooperative", "consumer"), this::sticky);
        add("regex", "a topic made later is consumed", every, this::regex);
        var positions = new GroupPositions(run, client);
        add("reset", "earliest, latest, none, a commit, and seek", protocols, positions::reset);
        add("at_most_once", "commit before processing: what a death interrupts is lost", protocols, positions::atMostOnce);
        add("at_least_once", "commit after processing: what a death interrupts is repeated", protocols, positions::atLeastOnce);
        add("commit_metadata", "offsets come back with their metadata, too much of it is refused", protocols, positions::metadata);
        add("manual_assign", "commits without membership, refused while there are members", protocols, positions::manual);
        add("fenced_instance", "two members of one instance: the protocol says who stays", protocols, positions::fenced);
        var admin = new GroupAdmin(run, client);
        add("list_describe", "state, protocol, members and their partitions", protocols, admin::describe);
        add("offsets", "listed, altered and deleted, refused while members are there", protocols, admin::offsets);
        add("delete", "refused while members are there, then gone", protocols, admin::delete);
        add("upgrade", "a classic group becomes a consumer group and goes back, a member at a time", List.of("classic", "cooperative"), this::upgrade);
        together();
        if (System.getenv().getOrDefault("RESTART_COMMAND", "").isEmpty()) {
            run.dash("group_restart", "no RESTART_COMMAND");
        } else {
            run.noted("group_restart", "groups and commits outlive the broker's restart and its kill -9", () -> restart(every));
        }
    }

    private void add(String name, String what, List<String> flavours, Body body) {
        flavours.forEach(flavour -> checks.add(() -> run.noted("group_" + name + "_" + flavour, what, () -> body.run(flavour))));
    }

    private void together() throws Exception {
        var threads = Executors.newFixedThreadPool(checks.size());
        List<Callable<Object>> bodies = new ArrayList<>();
        checks.forEach(check -> bodies.add(Executors.callable(check)));
        for (Future<Object> done : threads.invokeAll(bodies)) {
            done.get();
        }
        threads.shutdown();
    }

    private String scale(String flavour) throws Exception {
        Fleet fleet = new Fleet(run, client, "scale", flavour, Fleet.PARTITIONS);
        for (int count : new int[] {1, 5, 2}) {
            int more = count - fleet.members.size();
            if (more > 0) {
                fleet.join(more);
            } else {
                fleet.leave(run.choose(fleet.members, -more));
            }
            fleet.settle();
            fleet.progress();
        }
        return fleet.finish();
    }

    private String kill(String flavour) throws Exception {
        Fleet fleet = new Fleet(run, client, "kill", flavour, Fleet.PARTITIONS);
        if (flavour.equals("consumer")) {
            fleet.configureSession(Fleet.KILLED_SESSION_MS);
        }
        fleet.join(2);
        var doomed = new DoomedMember(fleet.ledger, fleet.how.within(Fleet.KILLED_SESSION_MS));
        fleet.members.add(doomed);
        fleet.settle();
        fleet.progress();
        DoomedMember.Death death = doomed.kill();
        fleet.members.remove(doomed);
        fleet.settle();
        long movedMs = (System.nanoTime() - death.atNanos()) / 1_000_000;
        expect(movedMs > Fleet.KILLED_SESSION_MS - Fleet.HEARTBEAT_WITHIN_MS - death.stalledMs(),
            "moved " + movedMs + " ms after the kill, before the session timed out (stalled before for " + death.stalledMs() + " ms)");
        fleet.progress();
        return fleet.finish() + ", moved after " + movedMs + " ms";
    }

    private String staticMembers(String flavour) throws Exception {
        Fleet fleet = new Fleet(run, client, "static", flavour, Fleet.PARTITIONS);
        for (int i = 0; i < 3; i++) {
            fleet.how = fleet.how.as("instance-" + i);
            fleet.join();
        }
        fleet.settle();
        fleet.progress();
        List<Member> first = List.copyOf(fleet.members);
        for (int i = 0; i < 3; i++) {
            Member one = first.get(i);
            Set<TopicPartition> owned = one.owned();
            int generation = fleet.generation();
            List<Member> others = fleet.members.stream().filter(member -> member != one).toList();
            List<Integer> before = others.stream().map(Member::rebalances).toList();
            fleet.leave(List.of(one));
            fleet.how = fleet.how.as("instance-" + i);
            Member back = fleet.join();
            eventually(() -> "the restarted member has " + owned + " again: " + back, () -> back.owned().equals(owned));
            fleet.progress();
            expectEqual(others.stream().map(Member::rebalances).toList(), before, "rebalances the other members saw");
            expectEqual(fleet.generation(), generation, "generation after the restart");
        }
        Set<String> instances = new TreeSet<>();
        var described = client.admin.describeConsumerGroups(List.of(fleet.group)).describedGroups().get(fleet.group).get();
        described.members().forEach(member -> instances.add(member.groupInstanceId().orElse("none")));
        expectEqual(instances, Set.of("instance-0", "instance-1", "instance-2"), "instances");
        return fleet.finish();
    }

    private String sticky(String flavour) throws Exception {
        Fleet fleet = new Fleet(run, client, "sticky", flavour, Fleet.PARTITIONS);
        List<Member> first = fleet.join(2);
        fleet.settle();
        revoked(first);
        Member third = fleet.join();
        fleet.settle();
        expectEqual(new HashSet<>(revoked(first)), third.owned(), "revoked from the first two, against what the third was given");
        fleet.progress();
        fleet.leave(List.of(third));
        fleet.settle();
        expectEqual(revoked(first), List.of(), "revoked from the others when the third left");
        fleet.progress();
        return fleet.finish();
    }

    private static List<TopicPartition> revoked(List<Member> members) {
        List<TopicPartition> all = new ArrayList<>();
        for (Member member : members) {
            synchronized (member) {
                all.addAll(member.revoked);
                member.revoked.clear();
            }
        }
        return all;
    }

    private String regex(String flavour) throws Exception {
        String group = run.topic("regex-" + flavour);
        var ledger = new Ledger();
        client.create(run.topic("not-regex-" + flavour), 1);
        client.create(group + "-before", 2);
        var how = new Member.Joining(run.bootstrap, group, flavour, "^" + group + "-.*", null, Fleet.SESSION_MS);
        List<Member> members = List.of(Member.start("member-1", ledger, how), Member.start("member-2", ledger, how));
        List<Load> loads = new ArrayList<>();
        for (String topic : List.of(group + "-before", group + "-after")) {
            if (!loads.isEmpty()) {
                client.create(topic, 2);
            }
            loads.add(new Load(run.bootstrap, topic, 2));
            eventually(() -> topic + " is assigned: " + members, () -> members.stream().mapToInt(m -> m.owned().size()).sum() == 2 * loads.size());
        }
        Map<TopicPartition, Long> ends = new HashMap<>();
        for (Load load : loads) {
            ends.putAll(load.stop());
        }
        eventually("all of both topics is committed", () -> ledger.covers(ends));
        for (Member member : members) {
            member.leave();
        }
        return ledger.verify(ends);
    }

    private String upgrade(String flavour) throws Exception {
        Fleet fleet = new Fleet(run, client, "upgrade", flavour, Fleet.PARTITIONS);
        fleet.join(3);
        fleet.settle();
        for (String next : List.of("consumer", flavour)) {
            fleet.how = fleet.how.speaking(next);
            for (Member member : List.copyOf(fleet.members)) {
                fleet.leave(List.of(member));
                fleet.join();
                fleet.settle();
                fleet.progress();
            }
            eventually("the group is of the type of " + next, () ->
                client.admin.describeConsumerGroups(List.of(fleet.group)).describedGroups().get(fleet.group).get().type().toString()
                    .equalsIgnoreCase(next.equals("consumer") ? "consumer" : "classic"));
        }
        return fleet.finish();
    }

    private String restart(List<String> flavours) throws Exception {
        List<Fleet> fleets = new ArrayList<>();
        for (String flavour : flavours) {
            Fleet fleet = new Fleet(run, client, "restart", flavour, Fleet.PARTITIONS);
            fleet.join(2);
            fleet.settle();
            fleets.add(fleet);
        }
        String idle = run.topic("restart-idle");
        var left = Map.of(new TopicPartition(fleets.get(0).group, 1), new OffsetAndMetadata(8, "left"));
        client.admin.alterConsumerGroupOffsets(idle, left).all().get();
        for (String signal : List.of("TERM", "KILL")) {
            for (Fleet fleet : fleets) {
                fleet.progress();
            }
            Fleet.restartBroker(signal);
            expectEqual(client.admin.listConsumerGroupOffsets(idle).partitionsToOffsetAndMetadata().get(), left, "committed before " + signal);
            for (Fleet fleet : fleets) {
                fleet.progress();
                fleet.settle();
            }
        }
        List<String> notes = new ArrayList<>();
        for (Fleet fleet : fleets) {
            notes.add(fleet.finish());
        }
        return String.join("; ", notes);
    }
}
