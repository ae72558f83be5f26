package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// told is the account of a member in a process of its own: each line is out before what follows it.
type told struct{ lock sync.Mutex }

type line struct {
	Kind   string
	At     partition
	Offset int64
	Value  string
	Owned  []partition
	Alive  int64 // microseconds of the clock that processes share
}

func (t *told) say(said line) {
	t.lock.Lock()
	defer t.lock.Unlock()
	text, _ := json.Marshal(said)
	if _, err := os.Stdout.Write(append(text, '\n')); err != nil {
		os.Exit(1)
	}
}

func (t *told) processed(_ string, at partition, offset int64, value string) {
	t.say(line{Kind: "processed", At: at, Offset: offset, Value: value})
}

func (t *told) commit(committed nextOffsets) {
	for at, offset := range committed {
		t.say(line{Kind: "commit", At: at, Offset: offset})
	}
}

// doom is the whole program of a member that is going to be killed. It says what the time is whenever it has some.
func doom(how string) {
	var joins joining
	_ = json.Unmarshal([]byte(how), &joins)
	to := &told{}
	m := startMember("doomed", to, joins)
	for before := -1; ; time.Sleep(20 * time.Millisecond) {
		if owned, _, rebalances, _ := m.state(); rebalances != before {
			before = rebalances
			to.say(line{Kind: "owned", Owned: owned})
		}
		to.say(line{Kind: "alive", Alive: time.Now().UnixMicro()})
	}
}

// startDoomed starts a member in a process of its own, which only kill -9 ends.
func startDoomed(to account, how joining) *member {
	m := newMember("doomed", to)
	text, _ := json.Marshal(how)
	m.process = exec.Command(os.Args[0], "member", string(text))
	out, err := m.process.StdoutPipe()
	must(err)
	must(m.process.Start())
	go m.listen(out)
	return m
}

func (m *member) listen(out io.Reader) {
	defer close(m.done)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var said line
		if json.Unmarshal(lines.Bytes(), &said) != nil {
			return // cut off in the middle
		}
		switch said.Kind {
		case "processed":
			m.account.processed(m.name, said.At, said.Offset, said.Value)
		case "commit":
			m.account.commit(nextOffsets{said.At: said.Offset})
		}
		m.lock.Lock()
		switch said.Kind {
		case "processed":
			m.handled++
		case "alive":
			m.alive = append(m.alive, time.UnixMicro(said.Alive))
		case "owned":
			m.owned = map[partition]bool{}
			for _, at := range said.Owned {
				m.owned[at] = true
			}
		}
		m.lock.Unlock()
	}
}

// kill says when that was, and for how long the member may have had no time for a heartbeat before: a machine can be that busy.
func (m *member) kill() (killed time.Time, stalled time.Duration) {
	killed = time.Now()
	_ = m.process.Process.Kill()
	<-m.done
	_ = m.process.Wait()
	before := killed
	for _, now := range append(m.alive, killed) {
		if now.Add(heartbeatWithin).After(killed) {
			stalled = max(stalled, now.Sub(before))
		}
		before = now
	}
	return killed, stalled
}
