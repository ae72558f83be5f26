package dev.tautline.tools;

import java.util.regex.Pattern;

import kafka.admin.ConfigCommand;
import org.apache.kafka.tools.BrokerApiVersionsCommand;
import org.apache.kafka.tools.ClientCompatibilityTest;
import org.apache.kafka.tools.FeatureCommand;
import org.apache.kafka.tools.MetadataQuorumCommand;
import org.apache.kafka.tools.TopicCommand;

/** Tools that ask what the broker is and can do. */
final class ClusterTools {
    private final Run run;

    ClusterTools(Run run) {
        this.run = run;
    }

    void checks() {
        run.check("api_versions", "every API that groups and transactions need, at versions this client can use", this::apiVersions);
        run.check("features", "group.version 1 and transaction.version 2 are finalized", this::features);
        run.check("configs_broker", "the broker's configs are described", this::brokerConfigs);
        run.check("metadata_quorum", "the quorum is described, or said not to be supported", this::quorum);
        run.check("client_compatibility", "Kafka's own compatibility test passes", this::compatibility);
    }

    private void apiVersions() {
        Tool.Output versions = Tool.succeed(BrokerApiVersionsCommand::main, run.to());
        for (String api : new String[] {
            "Produce(0)", "Fetch(1)", "OffsetCommit(8)", "OffsetFetch(9)", "FindCoordinator(10)", "JoinGroup(11)", "InitProducerId(22)",
            "AddPartitionsToTxn(24)", "EndTxn(26)", "TxnOffsetCommit(28)", "OffsetDelete(47)", "DescribeProducers(61)",
            "DescribeTransactions(65)", "ListTransactions(66)", "ConsumerGroupHeartbeat(68)", "ConsumerGroupDescribe(69)"}) {
            versions.expectMatch(Pattern.quote(api) + ": \\d+.*\\[usable: \\d+\\]");
        }
    }

    private void features() {
        Tool.succeed(FeatureCommand::main, run.to("describe"))
            .expectMatch("Feature: group\\.version\\s.*FinalizedVersionLevel: 1\\s")
            .expectMatch("Feature: transaction\\.version\\s.*FinalizedVersionLevel: 2\\s");
    }

    private void brokerConfigs() {
        String leader = Tool.succeed(BrokerApiVersionsCommand::main, run.to()).text().replaceAll("(?s).*?\\(id: (\\d+) .*", "$1");
        Tool.succeed(ConfigCommand::main, run.to("--describe", "--entity-type", "brokers", "--entity-name", leader, "--all"))
            .expect("All configs for broker " + leader + " are:").expectMatch("^  \\S+=.* sensitive=false");
        Tool.succeed(ConfigCommand::main, run.to("--describe", "--entity-type", "brokers", "--entity-default"));
    }

    private void quorum() {
        Tool.Output status = Tool.run(MetadataQuorumCommand::main, run.to("describe", "--status"));
        if (status.status() == 0) {
            status.expectMatch("LeaderId:\\s+\\d+");
        } else {
            status.expect("UnsupportedVersionException");
        }
    }

    private void compatibility() {
        String topic = run.name("compatibility");
        Tool.succeed(TopicCommand::main, run.to("--create", "--topic", topic, "--partitions", "1", "--replication-factor", "1"));
        // The test makes a topic of this name itself.
        Tool.succeed(TopicCommand::main, run.to("--delete", "--if-exists", "--topic", "newtopic"));
        String brokers = Tool.succeed(BrokerApiVersionsCommand::main, run.to()).text();
        boolean acls = !brokers.contains("DescribeAcls(29): UNSUPPORTED");
        // One, or with --advertise lanes one for each core.
        long nodes = Pattern.compile("\\(id: \\d+ ").matcher(brokers).results().count();
        Tool.succeed(ClientCompatibilityTest::main, run.to(
            "--topic", topic, "--num-cluster-nodes", Long.toString(nodes), "--cluster-id-supported", "true", "--offsets-for-times-supported", "true",
            "--create-topics-supported", "true", "--describe-configs-supported", "true", "--idempotent-producer-supported", "true",
            "--describe-acls-supported", Boolean.toString(acls), "--expect-record-too-large-exception", "false")).expect("SUCCESS.");
    }
}
