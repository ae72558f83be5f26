package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	groupPartitions = 10
	sessionTimeout  = 20 * time.Second // long enough for members on a busy machine
	killedTimeout   = 6 * time.Second  // the least that brokers allow by default
	commitEvery     = 50
	heartbeatWithin = 2 * time.Second // a member that has time has sent one by then
)

// joining says how a member joins its group.
type joining struct {
	Bootstrap, Group, Flavour, Topic, Instance string
	Regex                                      bool
	Session                                    time.Duration
}

func (j joining) options() []kgo.Opt {
	if j.Session == 0 {
		j.Session = sessionTimeout
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(j.Bootstrap), kgo.ConsumerGroup(j.Group), kgo.ConsumeTopics(j.Topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100 * time.Millisecond), kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(j.Session), kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.MetadataMaxAge(500 * time.Millisecond), kgo.MetadataMinAge(100 * time.Millisecond),
	}
	switch j.Flavour {
	case "classic":
		options = append(options, kgo.Balancers(kgo.RangeBalancer()))
	case "cooperative":
		options = append(options, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	case "consumer":
		options = append(options, kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer())
	}
	if j.Instance != "" {
		options = append(options, kgo.InstanceID(j.Instance))
	}
	if j.Regex {
		options = append(options, kgo.ConsumeRegex())
	}
	return options
}

// member is one member of a group, in goroutines of its own. It commits what it has processed every commitEvery records, when
// it is idle, and, before it gives a partition up, that partition's position.
type member struct {
	name       string
	account    account
	lock       sync.Mutex
	owned      map[partition]bool
	at         nextOffsets
	revoked    []partition // and lost
	rebalances int
	handled    int
	since      int // processed since the last commit
	generation int32
	err        error // the last that the client told; it goes on by itself
	quit       context.CancelFunc
	done       chan struct{}
	process    *exec.Cmd
	alive      []time.Time // when a process of its own had time to say so
}

func newMember(name string, to account) *member {
	return &member{name: name, account: to, owned: map[partition]bool{}, at: nextOffsets{}, done: make(chan struct{})}
}

func startMember(name string, to account, how joining) *member {
	m := newMember(name, to)
	var ctx context.Context
	ctx, m.quit = context.WithCancel(context.Background())
	client, err := kgo.NewClient(append(how.options(), kgo.OnPartitionsAssigned(m.assigned), kgo.OnPartitionsRevoked(m.gaveUp), kgo.OnPartitionsLost(m.lost))...)
	must(err)
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			m.turn(ctx, client)
		}
		m.commit(client, m.snapshot())
		client.CloseAllowingRebalance()
	}()
	return m
}

func (m *member) turn(ctx context.Context, client *kgo.Client) {
	polling, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	defer client.AllowRebalance()
	fetches := client.PollRecords(polling, 100)
	fetches.EachError(func(topic string, index int32, err error) {
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			m.lock.Lock()
			m.err = fmt.Errorf("%s/%d: %w", topic, index, err)
			m.lock.Unlock()
		}
	})
	_, generation := client.GroupMetadata()
	m.lock.Lock()
	m.generation = generation // before a record counts: who sees it counted may ask
	m.lock.Unlock()
	fetches.EachRecord(func(record *kgo.Record) {
		at := partition{record.Topic, record.Partition}
		m.account.processed(m.name, at, record.Offset, string(record.Value))
		m.lock.Lock()
		m.at[at] = record.Offset + 1
		m.handled++
		m.since++
		m.lock.Unlock()
	})
	m.lock.Lock()
	due := m.since >= commitEvery || m.since > 0 && fetches.NumRecords() == 0
	m.lock.Unlock()
	if due {
		m.commit(client, m.snapshot())
	}
}

func (m *member) snapshot() nextOffsets {
	m.lock.Lock()
	defer m.lock.Unlock()
	return maps.Clone(m.at)
}

// commit leaves what is refused for the next commit, or for whoever is given the partition.
func (m *member) commit(client *kgo.Client, wanted nextOffsets) {
	if commitSync(client, wanted) == nil {
		m.account.commit(wanted)
		m.lock.Lock()
		m.since = 0
		m.lock.Unlock()
	}
}

func commitSync(client *kgo.Client, wanted nextOffsets) error {
	offsets := map[string]map[int32]kgo.EpochOffset{}
	for at, offset := range wanted {
		if offsets[at.Topic] == nil {
			offsets[at.Topic] = map[int32]kgo.EpochOffset{}
		}
		offsets[at.Topic][at.Index] = kgo.EpochOffset{Epoch: -1, Offset: offset}
	}
	var refusal error
	client.CommitOffsetsSync(context.Background(), offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error) {
		if refusal = err; err != nil {
			return
		}
		for _, topic := range response.Topics {
			for _, one := range topic.Partitions {
				refusal = errors.Join(refusal, kerr.ErrorForCode(one.ErrorCode))
			}
		}
	})
	return refusal
}

func spread(topics map[string][]int32) []partition {
	var all []partition
	for topic, indexes := range topics {
		for _, index := range indexes {
			all = append(all, partition{topic, index})
		}
	}
	return all
}

func (m *member) assigned(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	m.lock.Lock()
	defer m.lock.Unlock()
	for _, at := range spread(topics) {
		m.owned[at] = true
		m.rebalances++
	}
}

func (m *member) gaveUp(_ context.Context, client *kgo.Client, topics map[string][]int32) {
	going := nextOffsets{}
	m.lock.Lock()
	for _, at := range spread(topics) {
		if offset, known := m.at[at]; known {
			going[at] = offset
		}
	}
	m.lock.Unlock()
	if len(going) > 0 {
		m.commit(client, going)
	}
	m.lost(nil, client, topics)
}

func (m *member) lost(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	m.lock.Lock()
	defer m.lock.Unlock()
	for _, at := range spread(topics) {
		delete(m.owned, at)
		delete(m.at, at)
		m.revoked = append(m.revoked, at)
		m.rebalances++
	}
}

// state is what the member owns, how much it has processed, how many partitions came and went, and what failed.
func (m *member) state() (owned []partition, handled, rebalances int, err error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	owned = slices.Collect(maps.Keys(m.owned))
	slices.SortFunc(owned, func(a, b partition) int { return int(a.Index - b.Index) })
	return owned, m.handled, m.rebalances, m.err
}

// leave commits, and leaves the group as the client does it by itself.
func (m *member) leave() {
	m.quit()
	<-m.done
}
