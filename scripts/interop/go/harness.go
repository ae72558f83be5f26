package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	mathrand "math/rand"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// What ends a check that hangs: none of them takes as long on a busy machine.
const (
	waitDeadline  = 60 * time.Second // of one wait
	checkDeadline = 5 * time.Minute  // of a check, beside which dozens may run
)

// run is one run of the checks: the broker, the seed its data comes from, the tally.
type run struct {
	bootstrap      string
	only           string
	seed           int64
	tag            string
	random         *mathrand.Rand
	counts         sync.Mutex
	passed, failed int
}

func newRun() *run {
	r := &run{bootstrap: os.Getenv("BOOTSTRAP"), only: os.Getenv("ONLY")}
	if r.bootstrap == "" {
		r.bootstrap = "127.0.0.1:9092"
	}
	if seed, err := strconv.ParseInt(os.Getenv("SEED"), 10, 64); err == nil {
		r.seed = seed
	} else {
		var bytes [4]byte
		_, _ = rand.Read(bytes[:])
		r.seed = int64(binary.BigEndian.Uint32(bytes[:]))
	}
	r.random = mathrand.New(mathrand.NewSource(r.seed))
	r.tag = fmt.Sprintf("franz-go-%d-%d", r.seed, time.Now().UnixMilli()%100_000_000)
	fmt.Printf("client franz-go, broker %s, SEED=%d\n", r.bootstrap, r.seed)
	return r
}

func (r *run) topic(name string) string { return r.tag + "-" + name }

func (r *run) bytes(count int) []byte {
	bytes := make([]byte, count)
	r.random.Read(bytes)
	return bytes
}

// check runs one named check with its own deadline; an error fails it.
func (r *run) check(name, what string, body func(ctx context.Context) error) {
	r.noted(name, what, checkDeadline, func(ctx context.Context) (string, error) { return "", body(ctx) })
}

// noted runs a check that has something to tell when it passes.
func (r *run) noted(name, what string, within time.Duration, body func(ctx context.Context) (string, error)) {
	if !strings.Contains(name, r.only) {
		return
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	note, err := body(ctx)
	r.counts.Lock()
	defer r.counts.Unlock()
	if err != nil {
		r.failed++
		fmt.Printf("  FAIL  %s: %s: %v\n", name, what, err)
		return
	}
	r.passed++
	if note != "" {
		what += ": " + note
	}
	fmt.Printf("  ok    %s: %s (%d ms)\n", name, what, time.Since(start).Milliseconds())
}

func (r *run) finish() int {
	fmt.Printf("franz-go: SEED=%d\n%d passed, %d failed\n", r.seed, r.passed, r.failed)
	if r.failed > 0 {
		return 1
	}
	return 0
}

func expect(condition bool, format string, args ...any) error {
	if condition {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func expectEqual[T comparable](got, wanted T, what string) error {
	return expect(got == wanted, "%s: got %v, wanted %v", what, got, wanted)
}

// expectRefused wants exactly this broker error.
func expectRefused(err error, wanted *kerr.Error, what string) error {
	return expect(errors.Is(err, wanted), "%s: got %v, wanted %s", what, err, wanted.Message)
}

// eventually asks until the probe holds: metadata may trail an acknowledged change.
func eventually(ctx context.Context, what string, probe func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, waitDeadline)
	defer cancel()
	for {
		holds, err := probe()
		if holds {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s (%v)", what, waitDeadline, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// choose takes count of them at random.
func (r *run) choose(among []*member, count int) []*member {
	r.counts.Lock()
	defer r.counts.Unlock()
	var chosen []*member
	for _, i := range r.random.Perm(len(among))[:count] {
		chosen = append(chosen, among[i])
	}
	return chosen
}
