package stage

import (
	"sync"
	"testing"
)

func TestNeverBack(t *testing.T) {
	t.Parallel()
	var p Progress
	if p.Last() != Joining {
		t.Errorf("it begins as %v", p.Last())
	}
	p.Become(Replaced)
	p.Become(Primary)
	if p.Last() != Replaced {
		t.Errorf("it went back to %v", p.Last())
	}
	var all sync.WaitGroup
	for _, next := range []Stage{Primary, Retiring, Replaced, Joining} {
		all.Go(func() { p.Become(next) })
	}
	all.Wait()
	if p.Last() != Retiring {
		t.Errorf("of several the furthest is %v", p.Last())
	}
}
