package pace

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// mover moves bytes through a share as fast as it may until a time, and says how many.
func mover(s *Share, until time.Time) (moved int) {
	for time.Now().Before(until) {
		n := min(s.Chunk(), 64<<10)
		moved += n
		s.Moved(n)
	}
	return moved
}

// TestRate: what passes is the rate, whatever it is, alone or together.
func TestRate(t *testing.T) {
	t.Parallel()
	for _, perSecond := range []int64{1 << 10, 10_000, 1_000_000, 100_000_000} {
		for _, shares := range []int{1, 2, 7} {
			synctest.Test(t, func(t *testing.T) {
				var r Rate
				r.Set(perSecond)
				const seconds = 30
				until := time.Now().Add(seconds * time.Second)
				moved := make([]int, shares)
				var all sync.WaitGroup
				for i := range moved {
					s := r.Share()
					all.Go(func() { moved[i] = mover(s, until) })
				}
				all.Wait()
				sum, chunk := 0, r.Share().Chunk()
				for _, n := range moved {
					sum += n
					if fair := seconds * int(perSecond) / shares; n < fair*9/10-chunk || n > fair*11/10+2*chunk {
						t.Errorf("%d B/s among %d: one had %d, a fair share is %d", perSecond, shares, n, fair)
					}
				}
				if most := (seconds+0.1)*float64(perSecond) + float64(2*chunk*shares); float64(sum) > most || float64(sum) < seconds*float64(perSecond)*0.99 {
					t.Errorf("%d B/s among %d: %d within %d s", perSecond, shares, sum, seconds)
				}
			})
		}
	}
}

// TestTrickle: who moves little waits for no more than a chunk of another one, however many are greedy.
func TestTrickle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r Rate
		r.Set(100_000)
		until := time.Now().Add(20 * time.Second)
		var all sync.WaitGroup
		for range 20 {
			s := r.Share()
			all.Go(func() { mover(s, until) })
		}
		trickle, worst := r.Share(), time.Duration(0)
		for time.Now().Before(until) {
			begin := time.Now()
			trickle.Moved(100)
			worst = max(worst, time.Since(begin))
			time.Sleep(100 * time.Millisecond)
		}
		all.Wait()
		if worst > 60*time.Millisecond { // a chunk takes 50 ms
			t.Errorf("100 bytes waited %v", worst)
		}
	})
}

// TestChangedRate: a new rate holds at once for those who wait, and none lets them all go.
func TestChangedRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r Rate
		if s := r.Share(); s != nil || s.Chunk() < 1<<40 || !s.Take(1<<40) {
			t.Error("without a limit there is one")
		}
		r.Set(1000)
		s, begin := r.Share(), time.Now()
		s.Moved(100_000)
		go func() {
			time.Sleep(time.Second)
			r.Set(1_000_000)
		}()
		s.Moved(1)
		if took := time.Since(begin); took < time.Second || took > 1200*time.Millisecond {
			t.Errorf("the wait took %v", took)
		}
		r.Set(1000)
		s.Moved(100_000)
		begin = time.Now()
		go func() {
			time.Sleep(time.Second)
			r.Set(0)
		}()
		s.Moved(1)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("the wait took %v", took)
		}
		s.Moved(1 << 40)
	})
}

// TestRelease: a wait can be ended, and what was moved counts nevertheless.
func TestRelease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r Rate
		r.Set(1000)
		s, other := r.Share(), r.Share()
		s.Moved(100)
		s.Moved(10_000)
		begin := time.Now()
		go func() {
			time.Sleep(time.Second)
			s.Release()
		}()
		s.Moved(10_000)
		s.Moved(10_000)
		s.Release()
		if took := time.Since(begin); took != time.Second {
			t.Errorf("the wait took %v", took)
		}
		other.Moved(1)
		if took := time.Since(begin); took < 29*time.Second || took > 31*time.Second {
			t.Errorf("others waited %v", took)
		}
		if r.waiting.Len() != 0 {
			t.Error("somebody still waits")
		}
		(*Share)(nil).Release()
	})
}

// TestTake: what is dropped keeps to the rate, too, and who has less than others loses nothing.
func TestTake(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var r Rate
			r.Set(100_000)
			const seconds = 20
			until := time.Now().Add(seconds * time.Second)
			var all sync.WaitGroup
			waited := 0
			if !alone {
				s := r.Share()
				all.Go(func() { waited = mover(s, until) })
			}
			greedy, trickle, sum, lost := r.Share(), r.Share(), 0, 0
			for i := 0; time.Now().Before(until); i++ {
				if greedy.Take(1000) {
					sum += 1000
				}
				if i%100 == 0 && !trickle.Take(100) {
					lost++
				}
				time.Sleep(time.Millisecond) // ten times the rate
			}
			all.Wait()
			if most := 100_000 * (seconds + 1); sum+waited > most || sum+waited < most*8/10 || lost > 2 {
				t.Errorf("alone %v: %d and %d bytes, %d lost", alone, sum, waited, lost)
			}
			if !alone && (sum < waited/2 || waited < sum/2) {
				t.Errorf("datagrams had %d bytes, the relay %d", sum, waited)
			}
		})
	}
}
