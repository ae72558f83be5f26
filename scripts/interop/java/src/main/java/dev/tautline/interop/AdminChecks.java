package dev.tautline.interop;

import static dev.tautline.interop.Client.expectSame;
import static dev.tautline.interop.Run.eventually;
import static dev.tautline.interop.Run.expect;
import static dev.tautline.interop.Run.expectEqual;
import static dev.tautline.interop.Run.expectRefused;

import java.util.List;
import java.util.Map;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** The checks of what the admin client creates, changes, describes and is refused. */
final class AdminChecks {
    private final Run run;
    private final Client client;
    private final Admin admin;

    AdminChecks(Run run, Client client) {
        this.run = run;
        this.client = client;
        admin = client.admin;
    }

    void all() {
        refusals();
        run.check("create_partitions", "2 grow to 5, all usable; shrinking is refused", this::createPartitions);
        run.check("delete_records", "the log starts at 40 after deleting up to 40", this::deleteRecords);
        run.check("describe_alter_configs", "created, altered, and back to the default; of the broker too", this::configs);
        run.check("delete_topic", "gone, and can be made anew with another id and offsets from 0", this::deleteTopic);
        run.check("describe_cluster", "nodes, log directories, producers", this::describeCluster);
    }

    private void refusals() {
        run.check("error_unknown_topic", "describe answers UNKNOWN_TOPIC_OR_PARTITION and creates nothing", () -> {
            String topic = run.topic("nowhere");
            expectRefused(UnknownTopicOrPartitionException.class,
                () -> admin.describeTopics(List.of(topic)).allTopicNames().get(), "describe");
            expect(!admin.listTopics().names().get().contains(topic), "describing a topic must not create it");
        });
        run.check("error_topic_exists", "TOPIC_ALREADY_EXISTS", () -> {
            String topic = run.topic("twice");
            client.create(topic, 1);
            expectRefused(TopicExistsException.class, () -> create(topic, Map.of()), "create again");
        });
        run.check("error_invalid_config", "INVALID_CONFIG or INVALID_TOPIC, and no topic is made", () -> {
            String topic = run.topic("invalid");
            expectRefused(InvalidConfigurationException.class, () -> create(topic, Map.of("no.such.config", "1")), "an unknown config");
            expectRefused(InvalidConfigurationException.class, () -> create(topic, Map.of("retention.ms", "soon")), "a wrong type");
            expectRefused(InvalidTopicException.class, () -> create("a name with spaces", Map.of()), "an illegal name");
            expect(!admin.listTopics().names().get().contains(topic), "a refused topic must not exist");
        });
    }

    private Object create(String topic, Map<String, String> config) throws Exception {
        client.create(topic, 1, config);
        return topic;
    }

    private void createPartitions() throws Exception {
        String topic = run.topic("grow");
        client.create(topic, 2);
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
        eventually("five partitions in metadata",
            () -> admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size() == 5);
        client.roundTrip(topic, 5, run.records(topic, 50, 5), Map.of());
        expectRefused(InvalidPartitionsException.class,
            () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get(), "fewer partitions");
    }

    private void deleteRecords() throws Exception {
        var at = new TopicPartition(run.topic("truncate"), 0);
        var sent = run.records(at.topic(), 100, 1);
        client.create(at.topic(), 1);
        client.produce(sent, Map.of());
        var deleted = admin.deleteRecords(Map.of(at, RecordsToDelete.beforeOffset(40))).lowWatermarks().get(at).get();
        expectEqual(deleted.lowWatermark(), 40L, "low watermark in the answer");
        expectEqual(client.offset(at, OffsetSpec.earliest()), 40L, "earliest offset");
        expectEqual(client.offset(at, OffsetSpec.latest()), 100L, "latest offset");
        expectSame(client.readFromStart(List.of(at), 60), sent.subList(40, 100));
        expectRefused(OffsetOutOfRangeException.class,
            () -> admin.deleteRecords(Map.of(at, RecordsToDelete.beforeOffset(101))).all().get(), "beyond the end");
    }

    private void configs() throws Exception {
        String topic = run.topic("configs");
        create(topic, Map.of("retention.ms", "86400000"));
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        becomes(resource, "86400000", false);
        alter(resource, "3600000", AlterConfigOp.OpType.SET);
        becomes(resource, "3600000", false);
        alter(resource, "", AlterConfigOp.OpType.DELETE);
        becomes(resource, "604800000", true);
        expectRefused(InvalidConfigurationException.class, () -> alter(resource, "soon", AlterConfigOp.OpType.SET), "a wrong type");
        String id = admin.describeCluster().nodes().get().iterator().next().idString();
        var broker = new ConfigResource(ConfigResource.Type.BROKER, id);
        expectEqual(admin.describeConfigs(List.of(broker)).all().get().get(broker).get("message.max.bytes").value(), "1048588",
            "the broker's message.max.bytes");
    }

    private void becomes(ConfigResource resource, String value, boolean isDefault) throws Exception {
        eventually("retention.ms becomes " + value, () -> {
            ConfigEntry entry = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms");
            return entry.value().equals(value) && entry.isDefault() == isDefault;
        });
    }

    private Object alter(ConfigResource resource, String value, AlterConfigOp.OpType how) throws Exception {
        var operation = new AlterConfigOp(new ConfigEntry("retention.ms", value), how);
        return admin.incrementalAlterConfigs(Map.of(resource, List.of(operation))).all().get();
    }

    private void deleteTopic() throws Exception {
        String topic = run.topic("deleted");
        client.create(topic, 1);
        client.produce(run.records(topic, 10, 1), Map.of());
        var oldId = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).topicId();
        admin.deleteTopics(List.of(topic)).all().get();
        eventually("gone from metadata", () -> !admin.listTopics().names().get().contains(topic));
        expectRefused(UnknownTopicOrPartitionException.class, () -> admin.deleteTopics(List.of(topic)).all().get(), "delete again");
        client.create(topic, 1);
        var newId = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).topicId();
        expect(!newId.equals(oldId), "the topic made anew must have another id");
        client.roundTrip(topic, 1, run.records(topic, 10, 1), Map.of());
    }

    private void describeCluster() throws Exception {
        var at = new TopicPartition(run.topic("describe"), 0);
        client.create(at.topic(), 1);
        client.produce(run.records(at.topic(), 20, 1), Map.of());
        var nodes = admin.describeCluster().nodes().get();
        expect(!nodes.isEmpty() && !admin.describeCluster().clusterId().get().isEmpty(), "no nodes or no cluster id");
        var logDirs = admin.describeLogDirs(nodes.stream().map(node -> node.id()).toList()).allDescriptions().get();
        expect(logDirs.values().stream().flatMap(dirs -> dirs.values().stream())
            .anyMatch(dir -> dir.replicaInfos().containsKey(at) && dir.replicaInfos().get(at).size() > 0), "no bytes in the log directories");
        var producers = admin.describeProducers(List.of(at)).partitionResult(at).get().activeProducers();
        expectEqual(producers.size(), 1, "active producers");
        expectEqual(producers.get(0).lastSequence(), 19, "last sequence");
        expect(!admin.describeFeatures().featureMetadata().get().toString().isEmpty(), "no features");
    }
}
