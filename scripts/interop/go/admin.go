package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func refusals(r *run, admin *kadm.Client) {
	r.check("error_unknown_topic", "describe answers UNKNOWN_TOPIC_OR_PARTITION and creates nothing", func(ctx context.Context) error {
		topic := r.topic("nowhere")
		described, err := admin.ListTopics(ctx, topic)
		if err != nil {
			return err
		}
		all, err := admin.ListTopics(ctx)
		return errors.Join(err, expectRefused(described[topic].Err, kerr.UnknownTopicOrPartition, "describe"),
			expectEqual(all.Has(topic), false, "the topic exists"))
	})
	r.check("error_record_too_large", "MESSAGE_TOO_LARGE, and the next produce works", func(ctx context.Context) error {
		topic := r.topic("too-large")
		if err := create(ctx, admin, topic, 1); err != nil {
			return err
		}
		large := &kgo.Record{Topic: topic, Value: r.bytes(1_500_000)}
		err := r.produce(ctx, producing{codec: "none"}, []*kgo.Record{large})
		if err := expectRefused(err, kerr.MessageTooLarge, "a record of 1.5 MB"); err != nil {
			return err
		}
		return r.roundTrip(ctx, producing{}, topic, 1, []*kgo.Record{{Topic: topic, Value: []byte("still works")}})
	})
	r.check("error_offset_out_of_range", "reset to earliest, or OFFSET_OUT_OF_RANGE without a policy", func(ctx context.Context) error {
		topic, sent, err := filled(ctx, r, admin, "out-of-range", 20)
		if err != nil {
			return err
		}
		beyond := at(topic, 0, kgo.NewOffset().At(1000))
		got, err := r.read(ctx, beyond, len(sent), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if err != nil {
			return err
		}
		_, err = r.read(ctx, beyond, 1)
		return errors.Join(same(got, sent), expectRefused(err, kerr.OffsetOutOfRange, "no reset policy"))
	})
	r.check("error_topic_exists", "TOPIC_ALREADY_EXISTS", func(ctx context.Context) error {
		topic := r.topic("twice")
		if err := create(ctx, admin, topic, 1); err != nil {
			return err
		}
		_, err := admin.CreateTopic(ctx, 1, 1, nil, topic)
		return expectRefused(err, kerr.TopicAlreadyExists, "create again")
	})
	r.check("error_invalid_config", "INVALID_CONFIG, and no topic is made", func(ctx context.Context) error {
		topic, one, soon := r.topic("invalid"), "1", "soon"
		_, unknown := admin.CreateTopic(ctx, 1, 1, map[string]*string{"no.such.config": &one}, topic)
		_, mistyped := admin.CreateTopic(ctx, 1, 1, map[string]*string{"retention.ms": &soon}, topic)
		all, err := admin.ListTopics(ctx)
		return errors.Join(err, expectRefused(unknown, kerr.InvalidConfig, "an unknown config"),
			expectRefused(mistyped, kerr.InvalidConfig, "a value of the wrong type"), expectEqual(all.Has(topic), false, "the topic exists"))
	})
}

func administration(r *run, admin *kadm.Client) {
	r.check("create_partitions", "2 grow to 5, all usable; shrinking is refused", func(ctx context.Context) error {
		topic := r.topic("grow")
		if err := create(ctx, admin, topic, 2); err != nil {
			return err
		}
		grown, err := admin.UpdatePartitions(ctx, 5, topic)
		if err = errors.Join(err, grown.Error()); err != nil {
			return err
		}
		if err := r.roundTrip(ctx, producing{}, topic, 5, r.records(topic, 50, 5, nowMs())); err != nil {
			return err
		}
		shrunk, err := admin.UpdatePartitions(ctx, 3, topic)
		return errors.Join(err, expectRefused(shrunk.Error(), kerr.InvalidPartitions, "fewer partitions"))
	})
	r.check("delete_records", "the log starts at 40 after deleting up to 40", func(ctx context.Context) error {
		topic, sent, err := filled(ctx, r, admin, "truncate", 100)
		if err != nil {
			return err
		}
		upTo := func(offset int64) kadm.Offsets {
			offsets := kadm.Offsets{}
			offsets.AddOffset(topic, 0, offset, -1)
			return offsets
		}
		deleted, err := admin.DeleteRecords(ctx, upTo(40))
		if err = errors.Join(err, deleted.Error()); err != nil {
			return err
		}
		starts, err := admin.ListStartOffsets(ctx, topic)
		if err != nil {
			return err
		}
		got, err := r.read(ctx, start(topic, 0), 60)
		if err != nil {
			return err
		}
		beyond, err := admin.DeleteRecords(ctx, upTo(101))
		return errors.Join(err, same(got, sent[40:]), expectEqual(deleted[topic][0].LowWatermark, 40, "low watermark"),
			expectEqual(starts[topic][0].Offset, 40, "start offset"), expectRefused(beyond.Error(), kerr.OffsetOutOfRange, "beyond the end"))
	})
	r.check("describe_alter_configs", "created, altered, and back to the default", func(ctx context.Context) error {
		return alterConfigs(ctx, r, admin)
	})
	r.check("delete_topic", "gone, and can be made anew with offsets from 0", func(ctx context.Context) error {
		topic, _, err := filled(ctx, r, admin, "deleted", 10)
		if err != nil {
			return err
		}
		if _, err := admin.DeleteTopic(ctx, topic); err != nil {
			return err
		}
		if err := eventually(ctx, "gone from metadata", func() (bool, error) {
			all, err := admin.ListTopics(ctx)
			return err == nil && !all.Has(topic), err
		}); err != nil {
			return err
		}
		if _, err := admin.DeleteTopic(ctx, topic); !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return fmt.Errorf("delete again: got %v", err)
		}
		if err := create(ctx, admin, topic, 1); err != nil {
			return err
		}
		return r.roundTrip(ctx, producing{}, topic, 1, r.records(topic, 10, 1, nowMs()))
	})
	r.check("describe_cluster", "brokers, log directories, producers and leader epochs", func(ctx context.Context) error {
		return describeCluster(ctx, r, admin)
	})
}
