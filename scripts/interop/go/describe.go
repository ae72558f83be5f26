package main

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// retention reads retention.ms of a topic: its value and whether it is the default.
func retention(ctx context.Context, admin *kadm.Client, topic string) (string, bool, error) {
	described, err := admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return "", false, err
	}
	config, err := described.On(topic, nil)
	if err = errors.Join(err, config.Err); err != nil {
		return "", false, err
	}
	for _, entry := range config.Configs {
		if entry.Key == "retention.ms" {
			return entry.MaybeValue(), entry.Source == kmsg.ConfigSourceDefaultConfig, nil
		}
	}
	return "", false, errors.New("retention.ms is not among the described configs")
}

func alterConfigs(ctx context.Context, r *run, admin *kadm.Client) error {
	topic, day, hour, soon := r.topic("configs"), "86400000", "3600000", "soon"
	if _, err := admin.CreateTopic(ctx, 1, 1, map[string]*string{"retention.ms": &day}, topic); err != nil {
		return err
	}
	wants := func(wanted string, wantedDefault bool) error {
		return eventually(ctx, "retention.ms becomes "+wanted, func() (bool, error) {
			value, isDefault, err := retention(ctx, admin, topic)
			return err == nil && value == wanted && isDefault == wantedDefault, err
		})
	}
	alter := func(op kadm.IncrementalOp, value *string) error {
		altered, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: op, Name: "retention.ms", Value: value}}, topic)
		if err != nil {
			return err
		}
		one, err := altered.On(topic, nil)
		return errors.Join(err, one.Err)
	}
	if err := wants(day, false); err != nil {
		return err
	}
	if err := errors.Join(alter(kadm.SetConfig, &hour), wants(hour, false)); err != nil {
		return err
	}
	if err := errors.Join(alter(kadm.DeleteConfig, nil), wants("604800000", true)); err != nil {
		return err
	}
	return expectRefused(alter(kadm.SetConfig, &soon), kerr.InvalidConfig, "a value of the wrong type")
}

func describeCluster(ctx context.Context, r *run, admin *kadm.Client) error {
	topic, _, err := filled(ctx, r, admin, "describe", 20)
	if err != nil {
		return err
	}
	meta, err := admin.BrokerMetadata(ctx)
	if err = errors.Join(err, expect(len(meta.Brokers) > 0 && meta.Cluster != "", "no brokers or no cluster id: %+v", meta)); err != nil {
		return err
	}
	logDirs, err := admin.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return err
	}
	bytes := int64(0)
	logDirs.Each(func(dir kadm.DescribedLogDir) {
		for _, partition := range dir.Topics[topic] {
			bytes += partition.Size
		}
	})
	var set kadm.TopicsSet
	set.Add(topic, 0)
	producers, err := admin.DescribeProducers(ctx, set)
	if err != nil {
		return err
	}
	active := producers.SortedProducers()
	epochs := kadm.OffsetForLeaderEpochRequest{}
	epochs.Add(topic, 0, 1_000_000)
	ends, err := admin.OffetForLeaderEpoch(ctx, epochs)
	if err != nil {
		return err
	}
	return errors.Join(
		expect(bytes > 0, "the log directories show no bytes for the topic"),
		expect(len(active) == 1 && active[0].LastSequence == 19, "active producers: %+v", active),
		expectEqual(ends[topic][0].EndOffset, -1, "end offset of an epoch that is yet to come"),
	)
}
