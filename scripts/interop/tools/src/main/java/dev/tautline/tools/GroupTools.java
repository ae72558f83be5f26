package dev.tautline.tools;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import kafka.admin.ConfigCommand;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.tools.ConsoleProducer;
import org.apache.kafka.tools.GroupsCommand;
import org.apache.kafka.tools.TopicCommand;
import org.apache.kafka.tools.consumer.group.ConsumerGroupCommand;

/** Tools that look at groups, with a member and without, and change what they committed. */
final class GroupTools {
    private static final long COMMITTED = 4;
    private static final long END = 6;

    private final Run run;
    private final String topic;

    GroupTools(Run run) {
        this.run = run;
        topic = run.name("groups");
    }

    void checks() {
        for (String protocol : List.of("classic", "consumer")) {
            String group = run.name("group-" + protocol);
            run.check("groups_live_" + protocol, "a group with a member: list, offsets, members, state; no reset or deletion", () -> live(group, protocol));
            run.check("groups_empty_" + protocol, "without members: list by state, offsets and lag", () -> empty(group));
            run.check("groups_reset_offsets_" + protocol, "to the earliest, by a shift, to a time: shown first, then done", () -> reset(group));
            run.check("groups_delete_offsets_" + protocol, "the offset is gone", () -> deleteOffsets(group));
            run.check("groups_delete_" + protocol, "the group is gone", () -> delete(group));
        }
        run.check("configs_group", "alter, describe, delete", this::configs);
        run.check("offsets_topic", "__consumer_offsets reads in Kafka's own formats", this::offsetsTopic);
    }

    private Tool.Output groups(String group, String... args) {
        return Tool.succeed(ConsumerGroupCommand::main, Run.join(run.to("--group", group), args));
    }

    private Tool.Output list(String... args) {
        return Tool.succeed(ConsumerGroupCommand::main, Run.join(run.to("--list"), args));
    }

    /** The rows of the group: its columns of the table whose header begins with these words. */
    private static List<String> row(Tool.Output output, String group, String... header) {
        return output.table(header).stream().filter(columns -> columns[0].equals(group)).map(List::of).findFirst()
            .orElseThrow(() -> new IllegalStateException("no row of " + group + " in: " + output.text()));
    }

    private void live(String group, String protocol) throws Exception {
        Tool.succeed(TopicCommand::main, run.to("--create", "--if-not-exists", "--topic", topic, "--partitions", "1", "--replication-factor", "1"));
        if (protocol.equals("classic")) {
            Tool.succeed("1\n2\n3\n4\n5\n6\n", ConsoleProducer::main, run.to("--topic", topic));
        }
        CountDownLatch looked = new CountDownLatch(1);
        CountDownLatch committed = new CountDownLatch(1);
        CompletableFuture<Void> member = CompletableFuture.runAsync(() -> member(group, protocol, committed, looked));
        try {
            Run.expect(committed.await(Run.DEADLINE.toSeconds(), TimeUnit.SECONDS), "the member did not commit");
            String type = protocol.equals("classic") ? "Classic" : "Consumer";
            Run.expect(list().lines().contains(group), "not listed");
            Run.expectEqual(row(list("--state"), group, "GROUP", "STATE"), List.of(group, "Stable"), "state");
            Run.expectEqual(row(list("--type"), group, "GROUP", "TYPE"), List.of(group, type), "type");
            Run.expect(list("--state", "stable", "--type", protocol).text().contains(group), "not listed by state and type");
            list("--state", "empty").expectNot(group);
            List<String> offsets = row(groups(group, "--describe"), group, "GROUP", "TOPIC", "PARTITION");
            Run.expectEqual(offsets.subList(1, 6), List.of(topic, "0", "" + COMMITTED, "" + END, "" + (END - COMMITTED)), "offsets");
            Run.expect(offsets.get(8).startsWith("tools-member"), "client id in " + offsets);
            List<String> members = row(groups(group, "--describe", "--members", "--verbose"), group, "GROUP", "CONSUMER-ID");
            Run.expect(members.contains("1") && members.stream().anyMatch(cell -> cell.contains(topic)), "members: " + members);
            List<String> state = row(groups(group, "--describe", "--state"), group, "GROUP", "COORDINATOR");
            Run.expect(state.contains("Stable") && state.get(state.size() - 1).equals("1"), "state: " + state);
            Run.expect(row(Tool.succeed(GroupsCommand::main, run.to("--list", "--consumer")), group, "GROUP", "TYPE").contains(type), "type of the group");
            Tool.run(ConsumerGroupCommand::main, run.to("--group", group, "--reset-offsets", "--to-earliest", "--topic", topic, "--execute"))
                .expect("can only be reset if the group");
            Tool.run(ConsumerGroupCommand::main, run.to("--group", group, "--delete")).expect("GroupNotEmptyException");
            Tool.run(ConsumerGroupCommand::main, run.to("--group", group, "--delete-offsets", "--topic", topic)).expect("subscribed");
        } finally {
            looked.countDown();
            member.get(Run.DEADLINE.toSeconds(), TimeUnit.SECONDS);
        }
    }

    private void member(String group, String protocol, CountDownLatch committed, CountDownLatch looked) {
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(Map.of("bootstrap.servers", run.bootstrap, "group.id", group,
            "group.protocol", protocol, "client.id", "tools-member", "auto.offset.reset", "earliest", "enable.auto.commit", "false",
            "max.poll.records", Long.toString(COMMITTED)), new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(topic));
            while (looked.getCount() > 0) {
                if (!consumer.poll(Duration.ofMillis(100)).isEmpty() && committed.getCount() > 0) {
                    consumer.commitSync();
                    committed.countDown();
                }
            }
        }
    }

    private void empty(String group) throws InterruptedException {
        Tool.eventually(listed -> listed.text().contains(group), ConsumerGroupCommand::main, run.to("--list", "--state", "empty"));
        Tool.Output described = groups(group, "--describe");
        described.expect("Consumer group '" + group + "' has no active members.");
        expectOffset(group, COMMITTED);
        Run.expect(row(groups(group, "--describe", "--state"), group, "GROUP", "COORDINATOR").contains("Empty"), "state of a group without members");
        Tool.run(ConsumerGroupCommand::main, run.to("--group", run.name("unknown"), "--describe")).expect("not found");
    }

    private void expectOffset(String group, long offset) {
        List<String> offsets = row(groups(group, "--describe", "--offsets"), group, "GROUP", "TOPIC", "PARTITION");
        Run.expectEqual(offsets.subList(1, 6), List.of(topic, "0", "" + offset, "" + END, "" + (END - offset)), "offsets");
    }

    private void reset(String group) {
        String[] earliest = {"--reset-offsets", "--topic", topic, "--to-earliest"};
        Run.expectEqual(row(groups(group, Run.join(earliest, "--dry-run")), group, "GROUP", "TOPIC").get(3), "0", "shown offset");
        expectOffset(group, COMMITTED);
        groups(group, Run.join(earliest, "--execute"));
        expectOffset(group, 0);
        groups(group, "--reset-offsets", "--topic", topic + ":0", "--shift-by", "5", "--execute");
        expectOffset(group, 5);
        groups(group, "--reset-offsets", "--all-topics", "--to-datetime", "2000-01-01T00:00:00.000Z", "--execute");
        expectOffset(group, 0);
        groups(group, "--reset-offsets", "--all-topics", "--to-latest", "--execute");
        expectOffset(group, END);
    }

    private void deleteOffsets(String group) {
        Tool.Output deleted = groups(group, "--delete-offsets", "--topic", topic);
        deleted.expect("Request succeeded").expectMatch(topic + "\\s+0\\s+Successful");
        groups(group, "--describe", "--offsets").expectNot(topic);
    }

    private void delete(String group) {
        // A group that lost its last offset and has no members may be gone by itself.
        Tool.Output deleted = Tool.run(ConsumerGroupCommand::main, run.to("--group", group, "--delete"));
        deleted.expectMatch("Deletion of requested consumer groups \\('" + group + "'\\) was successful|GroupIdNotFoundException");
        list().expectNot(group);
    }

    private void configs() {
        String[] entity = run.to("--entity-type", "groups", "--entity-name", run.name("configured"));
        Tool.succeed(ConfigCommand::main, Run.join(entity, "--alter", "--add-config", "consumer.session.timeout.ms=50000,consumer.heartbeat.interval.ms=5500"))
            .expect("Completed updating config");
        Tool.succeed(ConfigCommand::main, Run.join(entity, "--describe")).expect("consumer.session.timeout.ms=50000").expect("consumer.heartbeat.interval.ms=5500");
        Tool.succeed(ConfigCommand::main, Run.join(entity, "--alter", "--delete-config", "consumer.session.timeout.ms"));
        Tool.succeed(ConfigCommand::main, Run.join(entity, "--describe")).expectNot("consumer.session.timeout.ms").expect("consumer.heartbeat.interval.ms=5500");
        for (String invalid : List.of("consumer.session.timeout.ms=0", "consumer.session.timeout.ms=long", "no.such.config=1")) {
            Run.expectEqual(Tool.run(ConfigCommand::main, Run.join(entity, "--alter", "--add-config", invalid)).status(), 1, "exit of " + invalid);
        }
        Tool.succeed(ConfigCommand::main, Run.join(entity, "--alter", "--delete-config", "consumer.heartbeat.interval.ms"));
    }

    private void offsetsTopic() {
        String group = run.name("group-classic");
        ConsoleTools.readInternal(run, "__consumer_offsets", group, "OffsetsMessageFormatter",
            "\"group\":\"" + group + "\",\"topic\":\"" + topic + "\",\"partition\":0\\}.*\"offset\":" + COMMITTED);
        ConsoleTools.readInternal(run, "__consumer_offsets", group, "GroupMetadataMessageFormatter",
            "\"group\":\"" + group + "\"\\}.*\"protocolType\":\"consumer\"");
    }
}
