package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// partition is one partition of a topic.
type partition struct {
	Topic string
	Index int32
}

// nextOffsets is where each partition goes on.
type nextOffsets = map[partition]int64

func valueOf(at partition, offset int64) string {
	return fmt.Sprintf("%s/%d/%d", at.Topic, at.Index, offset)
}

// account is where a member says what it has processed and committed.
type account interface {
	processed(member string, at partition, offset int64, value string)
	commit(committed nextOffsets)
}

// ledger is what all members of a group together have processed and committed. It holds against them a record that nobody
// processed, one that is not what was produced there, and one that was processed although that had been committed.
type ledger struct {
	lock       sync.Mutex
	times      map[partition]map[int64]int
	committed  nextOffsets
	violations []string
}

func newLedger() *ledger {
	return &ledger{times: map[partition]map[int64]int{}, committed: nextOffsets{}}
}

func (l *ledger) processed(member string, at partition, offset int64, value string) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if value != valueOf(at, offset) {
		l.violations = append(l.violations, fmt.Sprintf("%s got %q at %v %d", member, value, at, offset))
	}
	if offset < l.committed[at] {
		l.violations = append(l.violations, fmt.Sprintf("%s processed %v %d, committed up to %d", member, at, offset, l.committed[at]))
	}
	if l.times[at] == nil {
		l.times[at] = map[int64]int{}
	}
	l.times[at][offset]++
}

func (l *ledger) commit(committed nextOffsets) {
	l.lock.Lock()
	defer l.lock.Unlock()
	for at, offset := range committed {
		l.committed[at] = max(l.committed[at], offset)
	}
}

// covers says whether everything up to these ends is committed (or something is wrong already).
func (l *ledger) covers(ends nextOffsets) bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	for at, end := range ends {
		if l.committed[at] < end && len(l.violations) == 0 {
			return false
		}
	}
	return true
}

// verify finds that all that was produced was processed, and counts what was processed again.
func (l *ledger) verify(ends nextOffsets) string {
	l.lock.Lock()
	defer l.lock.Unlock()
	must(expect(len(l.violations) == 0, "%d violations: %s", len(l.violations), strings.Join(l.violations[:min(3, len(l.violations))], "; ")))
	var all, again int
	for at, end := range ends {
		for offset := range end {
			must(expect(l.times[at][offset] > 0, "nobody processed %v %d of %d", at, offset, end))
			if l.times[at][offset] > 1 {
				again++
			}
			all++
		}
	}
	return fmt.Sprintf("%d records, %d processed again", all, again)
}

// load produces to every partition until it is stopped; ends is what was acknowledged.
type load struct {
	ends nextOffsets
	quit context.CancelFunc
	done chan error
}

func startLoad(r *run, topic string, count int) *load {
	ctx, quit := context.WithCancel(context.Background())
	l := &load{ends: nextOffsets{}, quit: quit, done: make(chan error, 1)}
	client, err := kgo.NewClient(kgo.SeedBrokers(r.bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.UnknownTopicRetries(10), kgo.MetadataMinAge(100*time.Millisecond))
	must(err)
	go func() {
		defer client.Close()
		for {
			select {
			case <-ctx.Done():
				l.done <- nil
				return
			case <-time.After(20 * time.Millisecond):
			}
			var batch []*kgo.Record
			for i := range 20 {
				at := partition{topic, int32(i % count)}
				batch = append(batch, &kgo.Record{Topic: topic, Partition: at.Index, Value: []byte(valueOf(at, l.ends[at]))})
				l.ends[at]++
			}
			if err := client.ProduceSync(context.Background(), batch...).FirstErr(); err != nil {
				l.done <- fmt.Errorf("the load failed: %w", err)
				return
			}
		}
	}()
	return l
}

func (l *load) stop() nextOffsets {
	l.quit()
	must(<-l.done)
	return l.ends
}

// A check of groups stops at its first failure; `stopping` makes an error of it again.
type failure struct{ error }

func must(err error) {
	if err != nil {
		panic(failure{err})
	}
}

func stopping(body func(ctx context.Context) string) func(ctx context.Context) (string, error) {
	return func(ctx context.Context) (note string, err error) {
		defer func() {
			if caught := recover(); caught != nil {
				failed, ours := caught.(failure)
				if !ours {
					panic(caught)
				}
				err = errors.Join(failed.error, ctx.Err())
			}
		}()
		return body(ctx), nil
	}
}
