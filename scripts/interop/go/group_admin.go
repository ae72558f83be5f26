package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// description is what both kinds of groups are described by.
type description struct {
	state, assignor string
	instances       []string
	shares          []string
}

func describeGroup(ctx context.Context, admin *kadm.Client, group, flavour string) (found description) {
	if flavour == "consumer" {
		described, err := admin.DescribeConsumerGroups(ctx, group)
		must(errors.Join(err, described[group].Err))
		found.state, found.assignor = described[group].State, described[group].AssignorName
		for _, one := range described[group].Members {
			found.add(one.InstanceID, one.Assignment)
		}
	} else {
		described, err := admin.DescribeGroups(ctx, group)
		must(errors.Join(err, described[group].Err))
		found.state, found.assignor = described[group].State, described[group].Protocol
		for _, one := range described[group].Members {
			assigned := kadm.TopicsSet{}
			if consumer, ok := one.Assigned.AsConsumer(); ok {
				for _, topic := range consumer.Topics {
					assigned.Add(topic.Topic, topic.Partitions...)
				}
			}
			found.add(one.InstanceID, assigned)
		}
	}
	slices.Sort(found.shares)
	slices.Sort(found.instances)
	return found
}

func (d *description) add(instance *string, assigned kadm.TopicsSet) {
	if instance != nil {
		d.instances = append(d.instances, *instance)
	}
	indexes := []int32{}
	for _, topic := range assigned.Sorted() {
		indexes = append(indexes, topic.Partitions...)
	}
	d.shares = append(d.shares, fmt.Sprint(indexes))
}

// configureGroup sets a configuration of a group, for which kadm has no call.
func configureGroup(ctx context.Context, r *run, group, name, value string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(r.bootstrap))
	if err != nil {
		return err
	}
	defer client.Close()
	one := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	one.Name, one.Op, one.Value = name, kmsg.IncrementalAlterConfigOpSet, &value
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	resource.Configs = append(resource.Configs, one)
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	request.Resources = append(request.Resources, resource)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.Resources[0].ErrorCode)
}

func listed(ctx context.Context, admin *kadm.Client, group string, types []string, states ...string) bool {
	groups, err := admin.ListGroupsByType(ctx, types, states...)
	must(err)
	return slices.Contains(groups.Groups(), group)
}

func listDescribe(ctx context.Context, r *run, admin *kadm.Client, flavour string) string {
	f := newFleet(ctx, r, admin, "describe", flavour, 4)
	f.join(2)
	f.settle(ctx)
	f.progress(ctx)
	group, assignor, other := f.how.Group, "range", "consumer"
	if flavour == "consumer" {
		assignor, other = "uniform", "classic"
	}
	must(eventually(ctx, "listed as stable", func() (bool, error) { return listed(ctx, admin, group, nil, "Stable"), nil }))
	must(expect(!listed(ctx, admin, group, nil, "Empty"), "listed as empty"))
	must(expect(listed(ctx, admin, group, []string{flavour}), "not listed as %s", flavour))
	must(expect(!listed(ctx, admin, group, []string{other}), "listed as %s", other))
	described := describeGroup(ctx, admin, group, flavour)
	var shares []string
	for _, m := range f.members {
		owned, _, _, _ := m.state()
		shares = append(shares, fmt.Sprint(indexes(owned)))
	}
	slices.Sort(shares)
	must(expectEqual(described.state, "Stable", "state"))
	must(expectEqual(described.assignor, assignor, "assignor"))
	must(expectEqual(fmt.Sprint(described.shares), fmt.Sprint(shares), "partitions of the members"))
	note := f.finish(ctx)
	must(eventually(ctx, "empty after all have left", func() (bool, error) { return listed(ctx, admin, group, nil, "Empty"), nil }))
	must(expect(!listed(ctx, admin, group, nil, "Stable"), "still listed as stable"))
	return note
}

func alterOffsets(ctx context.Context, r *run, admin *kadm.Client, flavour string) string {
	f := newFleet(ctx, r, admin, "offsets", flavour, 4)
	f.join(1)
	f.settle(ctx)
	f.progress(ctx)
	group, at := f.how.Group, partition{f.how.Topic, 0}
	remove := func() error {
		which := kadm.TopicsSet{}
		which.Add(at.Topic, at.Index)
		deleted, err := admin.DeleteOffsets(ctx, group, which)
		return errors.Join(err, deleted.Error())
	}
	must(expectRefused(commitAlone(ctx, admin, group, at, 1, ""), kerr.UnknownMemberID, "alter with a member there"))
	must(expectRefused(remove(), kerr.GroupSubscribedToTopic, "delete with a member there"))
	note := f.finish(ctx)
	must(commitAlone(ctx, admin, group, at, 1, ""))
	stored, err := committedOf(ctx, admin, group)
	must(err)
	must(expectEqual(stored[at], 1, "altered"))
	must(remove())
	stored, err = committedOf(ctx, admin, group)
	must(err)
	_, still := stored[at]
	must(expect(!still && len(stored) == 3, "offsets after one was deleted: %v", stored))
	return note
}

func deleteGroup(ctx context.Context, r *run, admin *kadm.Client, flavour string) string {
	f := newFleet(ctx, r, admin, "delete", flavour, 2)
	f.join(1)
	f.settle(ctx)
	f.progress(ctx)
	remove := func() error {
		deleted, err := admin.DeleteGroup(ctx, f.how.Group)
		return errors.Join(err, deleted.Err)
	}
	must(expectRefused(remove(), kerr.NonEmptyGroup, "with a member there"))
	note := f.finish(ctx)
	must(remove())
	must(expect(!listed(ctx, admin, f.how.Group, nil), "listed after it was deleted"))
	stored, err := committedOf(ctx, admin, f.how.Group)
	must(errors.Join(err, expectEqual(len(stored), 0, "offsets of a deleted group")))
	must(expectRefused(remove(), kerr.GroupIDNotFound, "again"))
	return note
}
