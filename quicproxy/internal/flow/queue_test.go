package flow

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestQueueShares: services that always have something get the same number of bytes, whatever the size of
// their datagrams and however much waits; one that was idle gets nothing for that.
func TestQueueShares(t *testing.T) {
	t.Parallel()
	var q queue
	sizes := map[string]int{"a": 100, "b": 1200, "c": 100}
	fill := func(service string, n int) {
		for range n {
			q.push(item{service, make([]byte, sizes[service])})
		}
	}
	got := make(map[string]int)
	take := func(bytes int) {
		clear(got)
		for taken := 0; taken < bytes; {
			i, ok := q.pop()
			if !ok {
				t.Fatalf("empty after %v", got)
			}
			got[i.service] += i.cost()
			taken += i.cost()
		}
	}
	same := func(names ...string) {
		t.Helper()
		for _, name := range names {
			if d := got[name] - got[names[0]]; d > 1300 || d < -1300 {
				t.Errorf("not the same: %v", got)
			}
		}
	}
	fill("a", 2000)
	fill("b", 200)
	take(100_000)
	same("a", "b")
	fill("c", 500)
	take(100_000)
	same("a", "b", "c")
}

// TestQueueOrder: what remains of a service stays in its order, whatever is dropped.
func TestQueueOrder(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var q queue
	last, pushed, popped, dropped := make(map[string]int), 0, 0, 0
	for n := range 50_000 {
		service := fmt.Sprint(random.IntN(3))
		data := fmt.Appendf(nil, "%d", n)
		pushed++
		dropped += q.push(item{service, append(data, make([]byte, random.IntN(3000))...)})
		if q.cost > maxQueued {
			t.Fatalf("%d bytes wait", q.cost)
		}
		if random.IntN(3) == 0 {
			i, _ := q.pop()
			popped++
			var number int
			if _, err := fmt.Sscanf(string(i.data), "%d", &number); err != nil || number < last[i.service] {
				t.Fatalf("%d of %s after %d, %v", number, i.service, last[i.service], err)
			}
			last[i.service] = number
		}
	}
	left := q.clear()
	if dropped == 0 || pushed != popped+dropped+left || q.cost != 0 {
		t.Errorf("%d pushed, %d popped, %d dropped, %d left, %d bytes", pushed, popped, dropped, left, q.cost)
	}
	if _, ok := q.pop(); ok {
		t.Error("an empty queue has something")
	}
}

// TestQueueFlood: a flood of one service takes nothing from what another has waiting.
func TestQueueFlood(t *testing.T) {
	t.Parallel()
	var q queue
	for range 10 {
		q.push(item{"echo", make([]byte, 100)})
	}
	for range 100_000 {
		q.push(item{"flood", make([]byte, 1000)})
	}
	for range 20 {
		q.pop()
	}
	echo := 0
	if w := q.services["echo"]; w != nil {
		echo = len(w.items)
	}
	if echo != 0 {
		t.Errorf("%d of the echo still wait after 20 datagrams", echo)
	}
}
