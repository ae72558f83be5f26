// The interop checks through franz-go. But for groups.go and its parts, partitions are assigned by hand and no group is joined.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	partitions = 3
	manyTopics = 200
	megabyte   = 1_000_000
)

func milli(ms int64) time.Time { return time.UnixMilli(ms) }

func main() {
	if len(os.Args) > 1 && os.Args[1] == "member" {
		doom(os.Args[2])
	}
	r := newRun()
	admin := r.admin()
	defer admin.Close()
	basics(r, admin)
	positions(r, admin)
	payloads(r, admin)
	many(r, admin)
	refusals(r, admin)
	administration(r, admin)
	groups(r, admin)
	os.Exit(r.finish())
}

// create makes a topic and waits until each partition's leader answers: with acks=0 nothing else would tell.
func create(ctx context.Context, admin *kadm.Client, topic string, count int) error {
	if _, err := admin.CreateTopic(ctx, int32(count), 1, nil, topic); err != nil {
		return err
	}
	return eventually(ctx, "every partition has a leader", func() (bool, error) {
		ends, err := admin.ListEndOffsets(ctx, topic)
		return err == nil && ends.Error() == nil && len(ends[topic]) == count, errors.Join(err, ends.Error())
	})
}

func nowMs() int64 { return time.Now().UnixMilli() - 3_600_000 }

func basics(r *run, admin *kadm.Client) {
	r.check("create_topic", "a topic of 3 partitions appears in metadata", func(ctx context.Context) error {
		return create(ctx, admin, r.topic("create"), partitions)
	})
	r.check("idempotent_producer", "500 records in order, none twice", func(ctx context.Context) error {
		topic := r.topic("idempotent")
		if err := create(ctx, admin, topic, partitions); err != nil {
			return err
		}
		return r.roundTrip(ctx, producing{}, topic, partitions, r.records(topic, 500, partitions, nowMs()))
	})
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		for _, acks := range []string{"0", "1", "all"} {
			r.check("produce_"+codec+"_acks_"+acks, "120 records come back byte-exact", func(ctx context.Context) error {
				topic := r.topic(codec + "-" + acks)
				if err := create(ctx, admin, topic, partitions); err != nil {
					return err
				}
				how := producing{acks: acks, codec: codec, plain: true}
				return r.roundTrip(ctx, how, topic, partitions, r.records(topic, 120, partitions, nowMs()))
			})
		}
	}
}

// filled is a topic of one partition with count records one second apart.
func filled(ctx context.Context, r *run, admin *kadm.Client, name string, count int) (string, []*kgo.Record, error) {
	topic := r.topic(name)
	sent := r.records(topic, count, 1, nowMs())
	if err := create(ctx, admin, topic, 1); err != nil {
		return topic, nil, err
	}
	return topic, sent, r.produce(ctx, producing{}, sent)
}

func positions(r *run, admin *kadm.Client) {
	r.check("consume_from_start", "all records, in order, from earliest", func(ctx context.Context) error {
		topic, sent, err := filled(ctx, r, admin, "start", 200)
		if err != nil {
			return err
		}
		got, err := r.read(ctx, start(topic, 0), len(sent))
		if err != nil {
			return err
		}
		return same(got, sent)
	})
	r.check("consume_from_offset", "all records from a random offset", func(ctx context.Context) error {
		topic, sent, err := filled(ctx, r, admin, "offset", 200)
		if err != nil {
			return err
		}
		from := 1 + r.random.Intn(len(sent)-2)
		got, err := r.read(ctx, at(topic, 0, kgo.NewOffset().At(int64(from))), len(sent)-from)
		if err != nil {
			return err
		}
		return errors.Join(expectEqual(got[0].Offset, int64(from), "first offset"), same(got, sent[from:]))
	})
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		r.check("consume_from_time_"+codec, "offsets for times between, at and after; reading from there", func(ctx context.Context) error {
			return fromTime(ctx, r, admin, codec)
		})
	}
	r.check("consume_replay", "two readings are the same", func(ctx context.Context) error {
		topic, sent, err := filled(ctx, r, admin, "replay", 200)
		if err != nil {
			return err
		}
		first, err := r.read(ctx, start(topic, 0), len(sent))
		if err != nil {
			return err
		}
		second, err := r.read(ctx, start(topic, 0), len(sent))
		if err != nil {
			return err
		}
		for i, record := range first {
			if record.Offset != second[i].Offset || !record.Timestamp.Equal(second[i].Timestamp) {
				return fmt.Errorf("record %d: offset or timestamp differ between readings", i)
			}
		}
		return same(second, first)
	})
}

// fromTime looks offsets up by time: the answer is exact also inside a compressed batch.
func fromTime(ctx context.Context, r *run, admin *kadm.Client, codec string) error {
	topic := r.topic("time-" + codec)
	sent := r.records(topic, 200, 1, nowMs())
	if err := create(ctx, admin, topic, 1); err != nil {
		return err
	}
	if err := r.produce(ctx, producing{codec: codec}, sent); err != nil {
		return err
	}
	near := 1 + r.random.Intn(len(sent)-2)
	for ms, wanted := range map[int64]int{
		sent[near].Timestamp.UnixMilli():        near,
		sent[near].Timestamp.UnixMilli() - 500:  near,
		sent[near].Timestamp.UnixMilli() + 1:    near + 1,
		sent[len(sent)-1].Timestamp.UnixMilli(): len(sent) - 1,
		0:                                       0,
	} {
		found, err := admin.ListOffsetsAfterMilli(ctx, ms, topic)
		if err != nil {
			return err
		}
		if err := expectEqual(found[topic][0].Offset, int64(wanted), fmt.Sprintf("offset for %d", ms)); err != nil {
			return err
		}
	}
	got, err := r.read(ctx, at(topic, 0, kgo.NewOffset().AfterMilli(sent[near].Timestamp.UnixMilli())), len(sent)-near)
	if err != nil {
		return err
	}
	return same(got, sent[near:])
}

func payloads(r *run, admin *kadm.Client) {
	r.check("headers_null_keys_null_values", "absent, empty and repeated are told apart", func(ctx context.Context) error {
		topic := r.topic("headers")
		if err := create(ctx, admin, topic, 1); err != nil {
			return err
		}
		return r.roundTrip(ctx, producing{}, topic, 1, []*kgo.Record{
			{Topic: topic, Value: []byte("no key")},
			{Topic: topic, Key: []byte("tombstone")},
			{Topic: topic},
			{Topic: topic, Key: []byte{}, Value: []byte{}},
			{Topic: topic, Key: []byte("k"), Value: []byte("v"), Headers: []kgo.RecordHeader{
				{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")}, {Key: "empty", Value: []byte{}},
				{Key: "null"}, {Key: "utf-8 é", Value: []byte{0, 255}},
			}},
			{Topic: topic, Headers: []kgo.RecordHeader{{Key: "only", Value: []byte("header")}}},
		})
	})
	r.check("one_megabyte_messages", "5 records of 1000000 bytes", func(ctx context.Context) error {
		topic := r.topic("megabyte")
		if err := create(ctx, admin, topic, 1); err != nil {
			return err
		}
		for i := range 5 {
			record := &kgo.Record{Topic: topic, Key: []byte{byte(i)}, Value: r.bytes(megabyte)}
			if err := r.produce(ctx, producing{codec: "none"}, []*kgo.Record{record}); err != nil {
				return err
			}
			got, err := r.read(ctx, at(topic, 0, kgo.NewOffset().At(int64(i))), 1)
			if err != nil {
				return err
			}
			if err := same(got, []*kgo.Record{record}); err != nil {
				return err
			}
		}
		_, err := r.read(ctx, start(topic, 0), 5)
		return err
	})
}

func many(r *run, admin *kadm.Client) {
	r.check("many_topics", "200 topics x 8 partitions written and read by one consumer", func(ctx context.Context) error {
		topics, from := make([]string, manyTopics), position{}
		wanted := map[string]bool{}
		var sent []*kgo.Record
		for i := range topics {
			topics[i] = r.topic(fmt.Sprintf("many-%d", i))
			from[topics[i]] = map[int32]kgo.Offset{}
			for p := range int32(8) {
				from[topics[i]][p] = kgo.NewOffset().AtStart()
				value := fmt.Sprintf("%s/%d", topics[i], p)
				wanted[value] = true
				sent = append(sent, &kgo.Record{Topic: topics[i], Partition: p, Value: []byte(value)})
			}
		}
		created, err := admin.CreateTopics(ctx, 8, 1, nil, topics...)
		if err = errors.Join(err, created.Error()); err != nil {
			return err
		}
		if err := r.produce(ctx, producing{}, sent); err != nil {
			return err
		}
		got, err := r.read(ctx, from, len(sent))
		if err != nil {
			return err
		}
		for _, record := range got {
			value := fmt.Sprintf("%s/%d", record.Topic, record.Partition)
			if string(record.Value) != value || !wanted[value] {
				return fmt.Errorf("%s holds %q (or twice)", value, record.Value)
			}
			delete(wanted, value)
		}
		deleted, err := admin.DeleteTopics(ctx, topics...)
		return errors.Join(err, deleted.Error(), expectEqual(len(wanted), 0, "partitions not read"))
	})
}
