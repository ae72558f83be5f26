package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// hundred is a topic of one partition with 100 records.
func hundred(ctx context.Context, r *run, admin *kadm.Client, name string) partition {
	at := partition{r.topic(name), 0}
	must(create(ctx, admin, at.Topic, 1))
	var sent []*kgo.Record
	for i := range int64(100) {
		sent = append(sent, &kgo.Record{Topic: at.Topic, Value: []byte(valueOf(at, i))})
	}
	must(r.produce(ctx, producing{}, sent))
	return at
}

func (r *run) joined(topic, group, flavour string, more ...kgo.Opt) *kgo.Client {
	how := joining{Bootstrap: r.bootstrap, Group: group, Flavour: flavour, Topic: topic}
	client, err := kgo.NewClient(append(how.options(), more...)...)
	must(err)
	return client
}

// taken is the offsets of the next count records; an error of a partition ends it.
func taken(ctx context.Context, client *kgo.Client, count int) (offsets []int64, failed error) {
	for len(offsets) < count && failed == nil {
		fetches := client.PollRecords(ctx, count-len(offsets))
		client.AllowRebalance()
		failed = fetches.Err()
		fetches.EachRecord(func(record *kgo.Record) { offsets = append(offsets, record.Offset) })
	}
	return offsets, failed
}

func take(ctx context.Context, client *kgo.Client, count int) []int64 {
	offsets, err := taken(ctx, client, count)
	must(err)
	return offsets
}

func count(from, until int64) (all []int64) {
	for i := from; i < until; i++ {
		all = append(all, i)
	}
	return all
}

func sameOffsets(got, wanted []int64, what string) {
	must(expect(slices.Equal(got, wanted), "%s: got %v, wanted %v", what, got, wanted))
}

func reset(ctx context.Context, r *run, admin *kadm.Client, flavour string) string {
	at := hundred(ctx, r, admin, "reset-"+flavour)
	group := r.topic("reset-" + flavour)
	earliest := r.joined(at.Topic, group+"-1", flavour)
	sameOffsets(take(ctx, earliest, 100), count(0, 100), "earliest")
	earliest.SetOffsets(map[string]map[int32]kgo.EpochOffset{at.Topic: {0: {Epoch: -1, Offset: 97}}})
	sameOffsets(take(ctx, earliest, 3), count(97, 100), "after seek")
	must(commitSync(earliest, nextOffsets{at: 42}))
	earliest.CloseAllowingRebalance()
	again := r.joined(at.Topic, group+"-1", flavour)
	sameOffsets(take(ctx, again, 58), count(42, 100), "from the commit, whatever the reset")
	again.CloseAllowingRebalance()
	latest := r.joined(at.Topic, group+"-2", flavour, kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()))
	defer latest.CloseAllowingRebalance()
	must(eventually(ctx, "what is produced after the member knows where the end is", func() (bool, error) {
		must(r.produce(ctx, producing{}, []*kgo.Record{{Topic: at.Topic, Value: []byte("new")}}))
		polling, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		offsets, _ := taken(polling, latest, 1)
		must(expect(len(offsets) == 0 || offsets[0] >= 100, "latest began at %v, among the old records", offsets))
		return len(offsets) > 0, nil
	}))
	return ""
}

func atMostOnce(ctx context.Context, r *run, admin *kadm.Client, flavour string) string {
	at := hundred(ctx, r, admin, "most-"+flavour)
	dying := r.joined(at.Topic, at.Topic, flavour)
	done := take(ctx, dying, 10)
	must(commitSync(dying, nextOffsets{at: 10}))
	done = done[:5]
	dying.CloseAllowingRebalance()
	heir := r.joined(at.Topic, at.Topic, flavour)
	done = append(done, take(ctx, heir, 90)...)
	heir.CloseAllowingRebalance()
	sameOffsets(done, append(count(0, 5), count(10, 100)...), "processed: 5 to 9 are lost, nothing is repeated")
	return ""
}

func atLeastOnce(ctx context.Context, r *run, admin *kadm.Client, flavour string) string {
	at := hundred(ctx, r, admin, "least-"+flavour)
	dying := r.joined(at.Topic, at.Topic, flavour)
	done := take(ctx, dying, 10)
	must(commitSync(dying, nextOffsets{at: 4}))
	dying.CloseAllowingRebalance()
	heir := r.joined(at.Topic, at.Topic, flavour)
	done = append(done, take(ctx, heir, 96)...)
	heir.CloseAllowingRebalance()
	sameOffsets(done, append(count(0, 10), count(4, 100)...), "processed: nothing is lost, 4 to 9 are repeated")
	return ""
}

// commitAlone commits without being a member.
func commitAlone(ctx context.Context, admin *kadm.Client, group string, at partition, offset int64, metadata string) error {
	wanted := kadm.Offsets{}
	wanted.Add(kadm.Offset{Topic: at.Topic, Partition: at.Index, At: offset, LeaderEpoch: -1, Metadata: metadata})
	answered, err := admin.CommitOffsets(ctx, group, wanted)
	return errors.Join(err, answered.Error())
}

func commitMetadata(ctx context.Context, r *run, admin *kadm.Client) string {
	at, group := hundred(ctx, r, admin, "metadata"), r.topic("metadata")
	for offset, text := range []string{"", "where \u00e9", strings.Repeat("x", 4096)} {
		must(commitAlone(ctx, admin, group, at, int64(offset), text))
		fetched, err := admin.FetchOffsets(ctx, group)
		must(err)
		one, found := fetched.Lookup(at.Topic, 0)
		must(expect(found && one.At == int64(offset) && one.Metadata == text, "committed: got %d %q, wanted %d %q", one.At, one.Metadata, offset, text))
	}
	must(expectRefused(commitAlone(ctx, admin, group, at, 9, strings.Repeat("x", 4097)), kerr.OffsetMetadataTooLarge, "4097 bytes of metadata"))
	stored, err := committedOf(ctx, admin, group)
	must(err)
	must(expectEqual(stored[at], 2, "committed after the refusal"))
	return ""
}

func manualAssign(ctx context.Context, r *run, admin *kadm.Client) string {
	at, group := hundred(ctx, r, admin, "manual"), r.topic("manual")
	must(commitAlone(ctx, admin, group, at, 33, ""))
	must(expectEqual(describeGroup(ctx, admin, group, "classic").state, "Empty", "state of a group that only commits"))
	client := r.joined(at.Topic, group, "classic")
	defer client.CloseAllowingRebalance()
	sameOffsets(take(ctx, client, 67), count(33, 100), "a member goes on from there")
	must(expectRefused(commitAlone(ctx, admin, group, at, 50, ""), kerr.UnknownMemberID, "a stranger's commit"))
	stored, err := committedOf(ctx, admin, group)
	must(err)
	must(expectEqual(stored[at], 33, fmt.Sprintf("committed of %v, after the stranger was refused", at)))
	return ""
}
