// Moves records from one topic to another in transactions, with the positions of its group; says each commit on standard output.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	bootstrap, from, to, name := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	if err := transform(bootstrap, from, to, name); err != nil {
		// Whatever it was, the next one begins at the committed positions.
		fmt.Println("ended:", err)
		os.Exit(1)
	}
}

func transform(bootstrap, from, to, name string) error {
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(bootstrap),
		kgo.TransactionalID(name),
		kgo.TransactionTimeout(20*time.Second),
		kgo.ConsumerGroup("group-"+from),
		kgo.InstanceID(name),
		kgo.SessionTimeout(10*time.Second),
		kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.ConsumeTopics(from),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(),
		kgo.DefaultProduceTopic(to),
	)
	if err != nil {
		return err
	}
	ctx := context.Background()
	for {
		fetched := session.PollRecords(ctx, 200)
		if fetched.NumRecords() == 0 {
			continue
		}
		if err := session.Begin(); err != nil {
			return err
		}
		promise := kgo.AbortingFirstErrPromise(session.Client())
		fetched.EachRecord(func(r *kgo.Record) {
			session.Produce(ctx, &kgo.Record{Key: r.Key, Value: r.Value}, promise.Promise())
		})
		produced := promise.Err()
		committed, err := session.End(ctx, kgo.TransactionEndTry(produced == nil))
		if err != nil {
			return err
		}
		if committed {
			fmt.Println("committed", fetched.NumRecords())
		}
	}
}
