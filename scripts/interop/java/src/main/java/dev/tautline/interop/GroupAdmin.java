package dev.tautline.interop;

import static dev.tautline.interop.Run.eventually;
import static dev.tautline.interop.Run.expect;
import static dev.tautline.interop.Run.expectEqual;
import static dev.tautline.interop.Run.expectRefused;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.UnknownMemberIdException;

/** Checks of what an administrator sees of groups and does to their offsets. */
final class GroupAdmin {
    private final Run run;
    private final Client client;

    GroupAdmin(Run run, Client client) {
        this.run = run;
        this.client = client;
    }

    private boolean listed(String group, ListGroupsOptions options) throws Exception {
        return client.admin.listGroups(options).all().get().stream().anyMatch(one -> one.groupId().equals(group));
    }

    private static ListGroupsOptions in(GroupState state) {
        return new ListGroupsOptions().inGroupStates(Set.of(state));
    }

    private static ListGroupsOptions of(GroupType type) {
        return new ListGroupsOptions().withTypes(Set.of(type));
    }

    private Fleet running(String name, String flavour, int partitions, int members) throws Exception {
        Fleet fleet = new Fleet(run, client, name, flavour, partitions);
        fleet.join(members);
        fleet.settle();
        fleet.progress();
        return fleet;
    }

    private ConsumerGroupDescription describe(Fleet fleet) throws Exception {
        return client.admin.describeConsumerGroups(List.of(fleet.group)).all().get().get(fleet.group);
    }

    String describe(String flavour) throws Exception {
        Fleet fleet = running("describe", flavour, 4, 2);
        boolean next = flavour.equals("consumer");
        eventually("listed as stable", () -> listed(fleet.group, in(GroupState.STABLE)));
        expect(!listed(fleet.group, in(GroupState.EMPTY)), "listed as empty");
        expect(listed(fleet.group, of(next ? GroupType.CONSUMER : GroupType.CLASSIC)), "not listed by its type");
        expect(!listed(fleet.group, of(next ? GroupType.CLASSIC : GroupType.CONSUMER)), "listed by the other type");
        ConsumerGroupDescription described = describe(fleet);
        expectEqual(described.groupState(), GroupState.STABLE, "state");
        expectEqual(described.partitionAssignor(), next ? "uniform" : "range", "assignor");
        expectEqual(described.groupEpoch().isPresent(), next, "has a group epoch");
        Set<Set<TopicPartition>> shares = new HashSet<>();
        described.members().forEach(member -> shares.add(member.assignment().topicPartitions()));
        Set<Set<TopicPartition>> wanted = new HashSet<>();
        fleet.members.forEach(member -> wanted.add(member.owned()));
        expectEqual(shares, wanted, "partitions of the members");
        String note = fleet.finish();
        eventually("empty after all have left", () -> describe(fleet).groupState() == GroupState.EMPTY);
        expect(listed(fleet.group, in(GroupState.EMPTY)), "not listed as empty");
        expect(!listed(fleet.group, in(GroupState.STABLE)), "still listed as stable");
        return note;
    }

    String offsets(String flavour) throws Exception {
        Fleet fleet = running("offsets", flavour, 4, 1);
        var at = new TopicPartition(fleet.group, 0);
        var one = Map.of(at, new OffsetAndMetadata(1));
        expectRefused(UnknownMemberIdException.class, () -> client.admin.alterConsumerGroupOffsets(fleet.group, one).all().get(), "alter with a member there");
        expectRefused(GroupSubscribedToTopicException.class,
            () -> client.admin.deleteConsumerGroupOffsets(fleet.group, Set.of(at)).partitionResult(at).get(), "delete with a member there");
        String note = fleet.finish();
        client.admin.alterConsumerGroupOffsets(fleet.group, one).all().get();
        expectEqual(fleet.committed().get(at), 1L, "altered");
        client.admin.deleteConsumerGroupOffsets(fleet.group, Set.of(at)).all().get();
        expectEqual(fleet.committed().keySet(), Set.copyOf(Client.partitions(fleet.group, 4).subList(1, 4)), "partitions with offsets");
        return note;
    }

    String delete(String flavour) throws Exception {
        Fleet fleet = running("delete", flavour, 2, 1);
        var group = List.of(fleet.group);
        expectRefused(GroupNotEmptyException.class, () -> client.admin.deleteConsumerGroups(group).all().get(), "with a member there");
        String note = fleet.finish();
        client.admin.deleteConsumerGroups(group).all().get();
        expect(!listed(fleet.group, new ListGroupsOptions()), "listed after it was deleted");
        expectEqual(fleet.committed(), Map.of(), "offsets of a deleted group");
        expectRefused(GroupIdNotFoundException.class, () -> client.admin.deleteConsumerGroups(group).all().get(), "again");
        return note;
    }
}
