package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

type groupCheck struct {
	name, what string
	body       func(ctx context.Context) string
}

// groups runs the checks of consumer groups: classic (eager), cooperative (KIP-429) and consumer (KIP-848).
func groups(r *run, admin *kadm.Client) {
	var checks []groupCheck
	for _, flavour := range []string{"classic", "cooperative", "consumer"} {
		add := func(name, what string, body func(ctx context.Context, r *run, admin *kadm.Client, flavour string) string) {
			checks = append(checks, groupCheck{"group_" + name + "_" + flavour, what, func(ctx context.Context) string { return body(ctx, r, admin, flavour) }})
		}
		add("scale", "1, 5, 2 members under load", scale)
		add("kill", "a member is killed, its partitions move", kill)
		if flavour == "consumer" {
			dash(r, "group_static_consumer", "a static member leaves without telling its instance, and so holds it until its session ends (1.22.2)")
		} else {
			add("static", "static members restart and nothing moves", static)
		}
		add("regex", "a topic made later is consumed", regex)
		if flavour != "classic" {
			add("sticky", "only what must move moves", sticky)
		}
		if flavour != "cooperative" {
			add("reset", "earliest, latest, a commit, and seek", reset)
			add("at_most_once", "commit before processing: what a death interrupts is lost", atMostOnce)
			add("at_least_once", "commit after processing: what a death interrupts is repeated", atLeastOnce)
			add("list_describe", "state, protocol, members and their partitions", listDescribe)
			add("offsets", "listed, altered and deleted, refused while members are there", alterOffsets)
			add("delete", "refused while members are there, then gone", deleteGroup)
		}
	}
	checks = append(checks,
		groupCheck{"group_commit_metadata", "offsets come back with their metadata, too much of it is refused", func(ctx context.Context) string { return commitMetadata(ctx, r, admin) }},
		groupCheck{"group_manual_assign", "commits without membership, refused while there are members", func(ctx context.Context) string { return manualAssign(ctx, r, admin) }})
	var together sync.WaitGroup
	for _, one := range checks {
		together.Go(func() { r.noted(one.name, one.what, checkDeadline, stopping(one.body)) })
	}
	together.Wait()
	if os.Getenv("RESTART_COMMAND") == "" {
		dash(r, "group_restart", "no RESTART_COMMAND")
		return
	}
	r.noted("group_restart", "groups and commits outlive the broker's restart and its kill -9", 2*checkDeadline,
		stopping(func(ctx context.Context) string { return restart(ctx, r, admin) }))
}

// dash says what the client can't do.
func dash(r *run, name, reason string) {
	if strings.Contains(name, r.only) {
		fmt.Printf("  -     %s: not offered by this client: %s\n", name, reason)
	}
}

func scale(ctx context.Context, r *run, admin *kadm.Client, flavour string) string {
	f := newFleet(ctx, r, admin, "scale", flavour, groupPartitions)
	for _, count := range []int{1, 5, 2} {
		if more := count - len(f.members); more > 0 {
			f.join(more)
		} else {
			f.leave(r.choose(f.members, -more)...)
		}
		f.settle(ctx)
		f.progress(ctx)
	}
	return f.finish(ctx)
}

func kill(ctx context.Context, r *run, admin *kadm.Client, flavour string) string {
	f := newFleet(ctx, r, admin, "kill", flavour, groupPartitions)
	if flavour == "consumer" {
		must(configureGroup(ctx, r, f.how.Group, "consumer.session.timeout.ms", fmt.Sprint(killedTimeout.Milliseconds())))
	}
	f.join(2)
	briefly := f.how
	briefly.Session = killedTimeout
	doomed := startDoomed(f.ledger, briefly)
	f.members = append(f.members, doomed)
	f.settle(ctx)
	f.progress(ctx)
	killed, stalled := doomed.kill()
	f.forget(doomed)
	f.settle(ctx)
	moved := time.Since(killed)
	must(expect(moved > killedTimeout-heartbeatWithin-stalled, "moved %s after the kill, before the session timed out (stalled before for %s)", moved, stalled))
	f.progress(ctx)
	return fmt.Sprintf("%s, moved after %.1f s", f.finish(ctx), moved.Seconds())
}

func static(ctx context.Context, r *run, admin *kadm.Client, flavour string) string {
	f := newFleet(ctx, r, admin, "static", flavour, groupPartitions)
	instances := []string{"instance-0", "instance-1", "instance-2"}
	for _, f.how.Instance = range instances {
		f.join(1)
	}
	f.settle(ctx)
	f.progress(ctx)
	for i, one := range slices.Clone(f.members) {
		others := slices.DeleteFunc(slices.Clone(f.members), func(m *member) bool { return m == one })
		owned, _, _, _ := one.state()
		before := rebalances(others)
		generation := f.generation(ctx, flavour)
		f.leave(one)
		f.how.Instance = instances[i]
		back := f.join(1)[0]
		must(eventually(ctx, instances[i]+" has its partitions again", func() (bool, error) {
			again, _, _, _ := back.state()
			return slices.Equal(again, owned), errors.New(f.shares())
		}))
		f.progress(ctx)
		must(expectEqual(rebalances(others), before, "rebalances the other members saw"))
		must(expectEqual(f.generation(ctx, flavour), generation, "generation after the restart"))
	}
	described := describeGroup(ctx, admin, f.how.Group, flavour)
	must(expectEqual(strings.Join(described.instances, ","), strings.Join(instances, ","), "instances"))
	return f.finish(ctx)
}

func rebalances(members []*member) (sum int) {
	for _, m := range members {
		_, _, count, _ := m.state()
		sum += count
	}
	return sum
}

// generation is that of all members, which must agree. With a sticky balancer it may go on: a leader that restarts plans
// without knowing who owns what, and when the plan is not the assignment it is given, this client rejoins to be sure that no
// change of topics was missed. Nothing moves by that.
func (f *fleet) generation(ctx context.Context, flavour string) int32 {
	if flavour == "cooperative" {
		return 0
	}
	var found []int32
	must(eventually(ctx, "members agree on the generation", func() (bool, error) {
		found = nil
		for _, m := range f.members {
			m.lock.Lock()
			found = append(found, m.generation)
			m.lock.Unlock()
		}
		return len(slices.Compact(slices.Clone(found))) == 1, fmt.Errorf("generations: %v", found)
	}))
	return found[0]
}

func sticky(ctx context.Context, r *run, admin *kadm.Client, flavour string) string {
	f := newFleet(ctx, r, admin, "sticky", flavour, groupPartitions)
	first := f.join(2)
	f.settle(ctx)
	revoked := func() (all []int32) {
		for _, m := range first {
			m.lock.Lock()
			all = append(all, indexes(m.revoked)...)
			m.revoked = nil
			m.lock.Unlock()
		}
		slices.Sort(all)
		return all
	}
	_ = revoked()
	third := f.join(1)[0]
	f.settle(ctx)
	owned, _, _, _ := third.state()
	must(expectEqual(fmt.Sprint(revoked()), fmt.Sprint(indexes(owned)), "revoked from the first two, against what the third was given"))
	f.progress(ctx)
	f.leave(third)
	f.settle(ctx)
	must(expectEqual(len(revoked()), 0, "revoked from the others when the third left"))
	f.progress(ctx)
	return f.finish(ctx)
}

func regex(ctx context.Context, r *run, admin *kadm.Client, flavour string) string {
	group, book := r.topic("regex-"+flavour), newLedger()
	must(create(ctx, admin, r.topic("not-regex-"+flavour), 1))
	must(create(ctx, admin, group+"-before", 2))
	how := joining{Bootstrap: r.bootstrap, Group: group, Flavour: flavour, Topic: "^" + group + "-.*", Regex: true}
	members := []*member{startMember("member-1", book, how), startMember("member-2", book, how)}
	ends, loads := nextOffsets{}, []*load{}
	for i, topic := range []string{group + "-before", group + "-after"} {
		if i > 0 {
			must(create(ctx, admin, topic, 2))
		}
		loads = append(loads, startLoad(r, topic, 2))
		must(eventually(ctx, topic+" is assigned", func() (bool, error) {
			var all []partition
			for _, m := range members {
				owned, _, _, _ := m.state()
				all = append(all, owned...)
			}
			return len(all) == 2*(i+1), fmt.Errorf("assigned: %v", all)
		}))
	}
	for _, one := range loads {
		for at, end := range one.stop() {
			ends[at] = end
		}
	}
	must(eventually(ctx, "all of both topics is committed", func() (bool, error) { return book.covers(ends), nil }))
	for _, m := range members {
		m.leave()
	}
	return book.verify(ends)
}

func restart(ctx context.Context, r *run, admin *kadm.Client) string {
	var fleets []*fleet
	for _, flavour := range []string{"classic", "cooperative", "consumer"} {
		f := newFleet(ctx, r, admin, "restart", flavour, groupPartitions)
		f.join(2)
		f.settle(ctx)
		fleets = append(fleets, f)
	}
	idle, left := r.topic("restart-idle"), kadm.Offsets{}
	left.Add(kadm.Offset{Topic: fleets[0].how.Topic, Partition: 1, At: 8, LeaderEpoch: -1, Metadata: "left"})
	must(admin.CommitAllOffsets(ctx, idle, left))
	for _, signal := range []string{"TERM", "KILL"} {
		for _, f := range fleets {
			f.progress(ctx)
		}
		restartBroker(signal)
		must(eventually(ctx, "what was committed before "+signal+" is committed", func() (bool, error) {
			fetched, err := admin.FetchOffsets(ctx, idle)
			one, _ := fetched.Lookup(fleets[0].how.Topic, 1)
			return err == nil && one.At == 8 && one.Metadata == "left", fmt.Errorf("%v %v", one, err)
		}))
		for _, f := range fleets {
			f.progress(ctx)
			f.settle(ctx)
		}
	}
	var notes []string
	for _, f := range fleets {
		notes = append(notes, f.finish(ctx))
	}
	return strings.Join(notes, "; ")
}
