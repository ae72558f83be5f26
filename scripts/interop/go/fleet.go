package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

// fleet is the members of one group on one topic, and their load.
type fleet struct {
	r       *run
	admin   *kadm.Client
	how     joining
	count   int
	ledger  *ledger
	members []*member
	load    *load
	made    int
}

func newFleet(ctx context.Context, r *run, admin *kadm.Client, name, flavour string, count int) *fleet {
	topic := r.topic(name + "-" + flavour)
	must(create(ctx, admin, topic, count))
	return &fleet{
		r: r, admin: admin, count: count, ledger: newLedger(), load: startLoad(r, topic, count),
		how: joining{Bootstrap: r.bootstrap, Group: topic, Flavour: flavour, Topic: topic},
	}
}

func (f *fleet) join(count int) []*member {
	for range count {
		f.made++
		f.members = append(f.members, startMember(fmt.Sprintf("member-%d", f.made), f.ledger, f.how))
	}
	return slices.Clone(f.members[len(f.members)-count:])
}

func (f *fleet) leave(leaving ...*member) {
	for _, m := range leaving {
		m.quit()
	}
	for _, m := range leaving {
		m.leave()
	}
	f.forget(leaving...)
}

func (f *fleet) forget(gone ...*member) {
	f.members = slices.DeleteFunc(slices.Clone(f.members), func(m *member) bool { return slices.Contains(gone, m) })
}

// isSettled says whether every partition has one owner and the shares differ by one at most.
func (f *fleet) isSettled() (bool, error) {
	seen, least, most := map[partition]bool{}, f.count, 0
	var sum int
	for _, m := range f.members {
		owned, _, _, _ := m.state()
		for _, at := range owned {
			seen[at] = true
		}
		sum, least, most = sum+len(owned), min(least, len(owned)), max(most, len(owned))
	}
	return sum == f.count && len(seen) == f.count && most-least <= 1, errors.New(f.shares())
}

func (f *fleet) shares() string {
	var shares []string
	for _, m := range f.members {
		owned, handled, _, err := m.state()
		shares = append(shares, fmt.Sprintf("%s: %v, %d processed, %v", m.name, indexes(owned), handled, err))
	}
	return strings.Join(shares, "; ")
}

func indexes(owned []partition) []int32 {
	found := []int32{}
	for _, at := range owned {
		found = append(found, at.Index)
	}
	return found
}

func (f *fleet) settle(ctx context.Context) {
	must(eventually(ctx, fmt.Sprintf("%d members share %d partitions", len(f.members), f.count), f.isSettled))
}

// progress waits until every member has processed something more.
func (f *fleet) progress(ctx context.Context) {
	before := map[*member]int{}
	for _, m := range f.members {
		_, before[m], _, _ = m.state()
	}
	must(eventually(ctx, "every member goes on", func() (bool, error) {
		for _, m := range f.members {
			if _, handled, _, _ := m.state(); handled == before[m] {
				return false, errors.New(f.shares())
			}
		}
		return true, nil
	}))
}

// finish ends the load, waits until all of it is committed, lets all leave, and judges.
func (f *fleet) finish(ctx context.Context) string {
	ends := f.load.stop()
	must(eventually(ctx, "all that was produced is committed", func() (bool, error) { return f.ledger.covers(ends), errors.New(f.shares()) }))
	f.leave(f.members...)
	note := f.ledger.verify(ends)
	must(eventually(ctx, "the group's committed offsets are the ends", func() (bool, error) { // after a restart the first tries meet dead connections
		stored, err := committedOf(ctx, f.admin, f.how.Group)
		return maps.Equal(stored, ends), fmt.Errorf("%v, ends %v: %w", stored, ends, err)
	}))
	return note
}

// restartBroker runs RESTART_COMMAND, which returns when the broker is ready again.
func restartBroker(signal string) {
	command := exec.Command("sh", "-c", os.Getenv("RESTART_COMMAND"))
	command.Env = append(os.Environ(), "RESTART_SIGNAL="+signal)
	out, err := command.CombinedOutput()
	must(expect(err == nil, "RESTART_COMMAND failed: %v: %s", err, out[max(0, len(out)-300):]))
}

// committedOf is what a group has committed, by the admin client.
func committedOf(ctx context.Context, admin *kadm.Client, group string) (nextOffsets, error) {
	fetched, err := admin.FetchOffsets(ctx, group)
	if err = errors.Join(err, fetched.Error()); err != nil {
		return nil, err
	}
	found := nextOffsets{}
	fetched.Each(func(one kadm.OffsetResponse) { found[partition{one.Topic, one.Partition}] = one.At })
	return found, nil
}
