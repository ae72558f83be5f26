package dev.tautline.tools;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

import kafka.admin.ConfigCommand;
import org.apache.kafka.tools.ConsoleProducer;
import org.apache.kafka.tools.DeleteRecordsCommand;
import org.apache.kafka.tools.GetOffsetShell;
import org.apache.kafka.tools.LogDirsCommand;
import org.apache.kafka.tools.TopicCommand;

/** Tools that look at topics and change them. */
final class TopicTools {
    private final Run run;
    private final String topic;

    TopicTools(Run run) {
        this.run = run;
        topic = run.name("topic");
    }

    void checks() {
        run.check("topics_create", "a topic of 3 partitions with a config", this::create);
        run.check("topics_create_again", "a topic that exists is refused", this::createAgain);
        run.check("topics_list", "it is listed", this::list);
        run.check("topics_describe", "its partitions, leader, replicas and config", this::describe);
        run.check("topics_describe_unknown", "an unknown topic is an error", this::describeUnknown);
        run.check("topics_alter_partitions", "3 partitions become 5, and never 4", this::alterPartitions);
        run.check("configs_topic", "alter, describe, delete", this::configs);
        run.check("configs_topic_invalid", "an unknown config and a bad value are refused", this::invalidConfigs);
        run.check("get_offsets", "latest, earliest, by time, of one partition", this::offsets);
        run.check("delete_records", "the log starts where it was told", this::deleteRecords);
        run.check("log_dirs", "sizes of partitions", this::logDirs);
        run.check("topics_delete", "the topic is gone", this::delete);
    }

    private void create() {
        Tool.succeed(TopicCommand::main, run.to("--create", "--topic", topic, "--partitions", "3", "--replication-factor", "1",
            "--config", "retention.ms=86400000")).expect("Created topic " + topic);
    }

    private void createAgain() {
        Tool.Output again = Tool.run(TopicCommand::main, run.to("--create", "--topic", topic, "--partitions", "3"));
        Run.expectEqual(again.status(), 1, "exit");
        again.expectMatch("Topic '" + topic + "' already exists");
        Tool.succeed(TopicCommand::main, run.to("--create", "--if-not-exists", "--topic", topic));
    }

    private void list() {
        Run.expect(Tool.succeed(TopicCommand::main, run.to("--list")).lines().contains(topic), "not listed");
        Tool.succeed(TopicCommand::main, run.to("--list", "--exclude-internal", "--topic", run.name(".*"))).expect(topic);
    }

    private Tool.Output describeTopic() {
        return Tool.succeed(TopicCommand::main, run.to("--describe", "--topic", topic));
    }

    private void describe() {
        Tool.Output described = describeTopic();
        described.expectMatch("Topic: " + topic + "\\s+TopicId: \\S{22}\\s+PartitionCount: 3\\s+ReplicationFactor: 1\\s+Configs: .*retention\\.ms=86400000");
        for (int partition = 0; partition < 3; partition++) {
            described.expectMatch("Partition: " + partition + "\\s+Leader: (\\d+)\\s+Replicas: \\1\\s+Isr: \\1");
        }
        for (String none : List.of("--under-replicated-partitions", "--unavailable-partitions")) {
            Run.expectEqual(Tool.succeed(TopicCommand::main, run.to("--describe", "--topic", topic, none)).lines(), List.of(), none);
        }
    }

    private void describeUnknown() {
        Tool.Output unknown = Tool.run(TopicCommand::main, run.to("--describe", "--topic", run.name("unknown")));
        Run.expectEqual(unknown.status(), 1, "exit");
        unknown.expect("does not exist as expected");
    }

    private void alterPartitions() {
        Tool.succeed(TopicCommand::main, run.to("--alter", "--topic", topic, "--partitions", "5"));
        describeTopic().expect("PartitionCount: 5");
        Tool.Output fewer = Tool.run(TopicCommand::main, run.to("--alter", "--topic", topic, "--partitions", "4"));
        Run.expectEqual(fewer.status(), 1, "exit");
        fewer.expect("InvalidPartitionsException");
    }

    private Tool.Output configs(String... args) {
        return Tool.succeed(ConfigCommand::main, Run.join(run.to("--entity-type", "topics", "--entity-name", topic), args));
    }

    private void configs() {
        configs("--alter", "--add-config", "segment.bytes=2097152,max.message.bytes=65536,cleanup.policy=[compact,delete]").expect("Completed updating config");
        configs("--describe").expect("segment.bytes=2097152").expect("max.message.bytes=65536").expect("cleanup.policy=compact,delete")
            .expect("DYNAMIC_TOPIC_CONFIG:").expectNot("index.interval.bytes");
        configs("--describe", "--all").expect("min.insync.replicas=1").expect("retention.ms=86400000");
        configs("--alter", "--delete-config", "segment.bytes,max.message.bytes,cleanup.policy").expect("Completed updating config");
        configs("--describe").expect("retention.ms=86400000").expectNot("max.message.bytes").expectNot("cleanup.policy");
    }

    private void invalidConfigs() {
        for (String invalid : List.of("no.such.config=1", "cleanup.policy=sometimes", "retention.ms=long")) {
            Tool.Output refused = Tool.run(ConfigCommand::main, run.to("--entity-type", "topics", "--entity-name", topic, "--alter", "--add-config", invalid));
            Run.expectEqual(refused.status(), 1, "exit of " + invalid);
            refused.expectMatch("Invalid(Configuration|Request)Exception");
        }
    }

    private Tool.Output offsetsAt(String... args) {
        return Tool.succeed(GetOffsetShell::main, Run.join(run.to("--topic", topic), args));
    }

    private void offsets() {
        long beforeMs = System.currentTimeMillis();
        Tool.succeed("one\ntwo\nthree\nfour\n", ConsoleProducer::main, run.to("--topic", topic, "--sync"));
        long sum = offsetsAt().lines().stream().mapToLong(line -> Long.parseLong(line.split(":")[2])).sum();
        Run.expectEqual(sum, 4L, "the ends of all partitions together");
        Run.expectEqual(offsetsAt().lines().size(), 5, "partitions");
        Run.expectEqual(offsetsAt("--time", "earliest", "--partitions", "2").lines(), List.of(topic + ":2:0"), "earliest");
        long first = offsetsAt("--time", Long.toString(beforeMs)).lines().stream().filter(line -> line.endsWith(":0")).count();
        Run.expect(first > 0, "no partition has a record after the time before the first");
        Run.expect(offsetsAt("--time", "max-timestamp").lines().stream().anyMatch(line -> !line.endsWith(":-1")), "no max-timestamp");
    }

    private void deleteRecords() throws Exception {
        int partition = fullPartition();
        Path file = Files.createTempFile("tautline-delete-records-", ".json");
        try {
            Files.writeString(file, "{\"version\": 1, \"partitions\": [{\"topic\": \"" + topic + "\", \"partition\": " + partition + ", \"offset\": 1}]}");
            Tool.succeed(DeleteRecordsCommand::main, run.to("--offset-json-file", file.toString()))
                .expectMatch("partition: " + topic + "-" + partition + "\\s+low_watermark: 1");
        } finally {
            Files.delete(file);
        }
        Run.expectEqual(offsetsAt("--time", "earliest", "--partitions", Integer.toString(partition)).lines(), List.of(topic + ":" + partition + ":1"), "earliest");
    }

    private int fullPartition() {
        for (String line : offsetsAt().lines()) {
            if (!line.endsWith(":0")) {
                return Integer.parseInt(line.split(":")[1]);
            }
        }
        throw new IllegalStateException("all partitions are empty");
    }

    private void logDirs() {
        Tool.succeed(LogDirsCommand::main, run.to("--describe", "--topic-list", topic)).expect("\"version\":1")
            .expectMatch("\"partition\":\"" + topic + "-" + fullPartition() + "\",\"size\":[1-9]\\d*,\"offsetLag\":0,\"isFuture\":false")
            .expect("\"error\":null");
    }

    private void delete() throws InterruptedException {
        Tool.succeed(TopicCommand::main, run.to("--delete", "--topic", topic));
        Tool.eventually(listed -> !listed.lines().contains(topic), TopicCommand::main, run.to("--list"));
        Run.expectEqual(Tool.run(TopicCommand::main, run.to("--delete", "--topic", topic)).status(), 1, "exit of deleting it again");
    }
}
