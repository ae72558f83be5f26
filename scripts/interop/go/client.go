package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// producing says how records are sent; the zero value is what franz-go does by itself (idempotent, acks=all, snappy).
type producing struct {
	acks  string
	codec string
	plain bool // not idempotent
}

func (r *run) producer(how producing) (*kgo.Client, error) {
	options := []kgo.Opt{
		kgo.SeedBrokers(r.bootstrap),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(4 << 20),
		kgo.UnknownTopicRetries(10),
	}
	switch how.acks {
	case "0":
		options = append(options, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	case "1":
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	default:
		if how.plain {
			options = append(options, kgo.DisableIdempotentWrite())
		}
	}
	switch how.codec {
	case "none":
		options = append(options, kgo.ProducerBatchCompression(kgo.NoCompression()))
	case "gzip":
		options = append(options, kgo.ProducerBatchCompression(kgo.GzipCompression()))
	case "snappy":
		options = append(options, kgo.ProducerBatchCompression(kgo.SnappyCompression()))
	case "lz4":
		options = append(options, kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	case "zstd":
		options = append(options, kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	}
	return kgo.NewClient(options...)
}

func (r *run) produce(ctx context.Context, how producing, records []*kgo.Record) error {
	client, err := r.producer(how)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.ProduceSync(ctx, records...).FirstErr()
}

type position = map[string]map[int32]kgo.Offset

func (r *run) consumer(at position, options ...kgo.Opt) (*kgo.Client, error) {
	options = append([]kgo.Opt{
		kgo.SeedBrokers(r.bootstrap),
		kgo.ConsumePartitions(at),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
	}, options...)
	return kgo.NewClient(options...)
}

// read consumes until it has count records.
func (r *run) read(ctx context.Context, at position, count int, options ...kgo.Opt) ([]*kgo.Record, error) {
	client, err := r.consumer(at, options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var got []*kgo.Record
	for len(got) < count {
		fetches := client.PollFetches(ctx)
		for _, failed := range fetches.Errors() {
			return nil, fmt.Errorf("%s/%d after %d of %d records: %w", failed.Topic, failed.Partition, len(got), count, failed.Err)
		}
		fetches.EachRecord(func(record *kgo.Record) { got = append(got, record) })
	}
	return got, nil
}

func at(topic string, partition int32, offset kgo.Offset) position {
	return position{topic: {partition: offset}}
}

func start(topic string, partition int32) position {
	return at(topic, partition, kgo.NewOffset().AtStart())
}

// records makes count records spread over partitions, one second apart and an hour old.
func (r *run) records(topic string, count, partitions int, baseMs int64) []*kgo.Record {
	records := make([]*kgo.Record, count)
	for i := range records {
		value := append(r.bytes(r.random.Intn(2000)), bytes.Repeat([]byte("tautline"), r.random.Intn(40))...)
		records[i] = &kgo.Record{
			Topic: topic, Partition: int32(i % partitions), Timestamp: milli(baseMs + int64(i)*1000),
			Key: r.bytes(r.random.Intn(40)), Value: value,
		}
	}
	return records
}

func ofPartition(records []*kgo.Record, partition int32) []*kgo.Record {
	var found []*kgo.Record
	for _, record := range records {
		if record.Partition == partition {
			found = append(found, record)
		}
	}
	return found
}

// same compares keys, values and headers byte for byte; nil and empty differ.
func same(got, wanted []*kgo.Record) error {
	if len(got) != len(wanted) {
		return fmt.Errorf("got %d records, wanted %d", len(got), len(wanted))
	}
	for i, record := range got {
		if !sameBytes(record.Key, wanted[i].Key) || !sameBytes(record.Value, wanted[i].Value) || len(record.Headers) != len(wanted[i].Headers) {
			return fmt.Errorf("record %d (offset %d) differs: got %.80q %.80q %v, wanted %.80q %.80q %v",
				i, record.Offset, record.Key, record.Value, record.Headers, wanted[i].Key, wanted[i].Value, wanted[i].Headers)
		}
		for h, header := range record.Headers {
			if header.Key != wanted[i].Headers[h].Key || !sameBytes(header.Value, wanted[i].Headers[h].Value) {
				return fmt.Errorf("record %d header %d: got %v, wanted %v", i, h, header, wanted[i].Headers[h])
			}
		}
	}
	return nil
}

func sameBytes(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

// roundTrip produces, then reads every partition from its start.
func (r *run) roundTrip(ctx context.Context, how producing, topic string, partitions int, sent []*kgo.Record) error {
	if err := r.produce(ctx, how, sent); err != nil {
		return err
	}
	for partition := range int32(partitions) {
		wanted := ofPartition(sent, partition)
		got, err := r.read(ctx, start(topic, partition), len(wanted))
		if err != nil {
			return err
		}
		if err := same(got, wanted); err != nil {
			return fmt.Errorf("partition %d: %w", partition, err)
		}
		for i, record := range got {
			if err := expectEqual(record.Offset, int64(i), "offset"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) admin() *kadm.Client {
	client, err := kgo.NewClient(kgo.SeedBrokers(r.bootstrap))
	if err != nil {
		panic(err)
	}
	return kadm.NewClient(client)
}
