package loglimit

import (
	"cmp"
	"hash/maphash"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// A warning that repeats a recent one of its subject is not news for repeatAfter.
	repeatAfter = 10 * time.Minute
	// One subject may log so many lines of a kind at once, events and warnings, and then one every
	// subjectPause.
	eventBurst, warningBurst = 32, 8
	subjectPause             = 2 * time.Minute
	// All subjects together may log so many of a kind at once, and then one every pause, so that a new
	// subject with each line cannot fill the log either.
	allEvents, allWarnings   = 256, 64
	eventPause, warningPause = 2 * time.Second, 10 * time.Second
	// Lines that say who may do what are suppressed last: one cause may log auditBurst of a kind at once,
	// more than a node has services, and then one every auditPause. They have no common limit, so that none
	// silences another; but all guests together also count as a cause, since whoever has one address has
	// many.
	auditBurst = 1024
	auditPause = 30 * time.Second
	// maxSubjects, maxKinds and maxCauses bound what is remembered. Kinds are constant texts in the program.
	maxSubjects, maxKinds, maxCauses = 1024, 256, 4096
	// maxWarned is how many warnings of a subject are remembered.
	maxWarned = 32
)

// logLines is what a Handler remembers.
type logLines struct {
	seed maphash.Seed

	mu       sync.Mutex
	kinds    map[string]*logKind    // by message
	subjects map[string]*logSubject // by attribute
	causes   map[auditCause]*rate.Limiter
}

// auditCause is who causes audit lines of a kind.
type auditCause struct{ kind, who string }

// logKind is the lines with the same message.
type logKind struct {
	all     *rate.Limiter
	left    int // lines suppressed since the last summary
	level   slog.Level
	example string // the subject of one of them
}

// logSubject is somebody or something that lines are about.
type logSubject struct {
	kinds  map[string]*rate.Limiter
	warned map[uint64]time.Time // warnings, by what they say
}

func (s *logLines) hash(texts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	for _, text := range texts {
		h.WriteString(text)
		h.WriteByte(0)
	}
	return h.Sum64()
}

// news reports whether to write a line.
func (s *logLines) news(r slog.Record, name, subject string, says uint64) bool {
	now := r.Time
	if now.IsZero() {
		now = time.Now()
	}
	warning := r.Level >= slog.LevelWarn
	says ^= s.hash(r.Message)
	s.mu.Lock()
	defer s.mu.Unlock()
	about := s.subjectLocked(subject)
	if warning {
		if at, ok := about.warned[says]; ok && now.Sub(at) < repeatAfter {
			return false // a repetition: nobody misses it
		}
	} else {
		clear(about.warned)
	}
	kind := s.kindLocked(name, warning)
	if !about.limiter(name, warning).AllowN(now, 1) || !kind.all.AllowN(now, 1) {
		kind.left++
		kind.level, kind.example = r.Level, subject
		return false
	}
	if warning {
		if len(about.warned) >= maxWarned {
			clear(about.warned)
		}
		about.warned[says] = now
	}
	return true
}

// audit is news for an audit line; guest is empty for one about a known node.
func (s *logLines) audit(guest string) func(r slog.Record, name, subject string, _ uint64) bool {
	return func(r slog.Record, name, subject string, _ uint64) bool {
		now := r.Time
		if now.IsZero() {
			now = time.Now()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		allowed := s.causeLocked(auditCause{name, cmp.Or(guest, subject)}, auditPause).AllowN(now, 1)
		if allowed && guest != "" {
			allowed = s.causeLocked(auditCause{name, GuestKey}, eventPause).AllowN(now, 1)
		}
		if !allowed {
			kind := s.kindLocked(name, false)
			kind.left++
			kind.level, kind.example = r.Level, cmp.Or(guest, subject)
		}
		return allowed
	}
}

func (s *logLines) causeLocked(cause auditCause, pause time.Duration) *rate.Limiter {
	limiter := s.causes[cause]
	if limiter == nil {
		if len(s.causes) >= maxCauses {
			for other := range s.causes { // in random order
				if other.who != GuestKey {
					delete(s.causes, other) // it gets a new burst
					break
				}
			}
		}
		limiter = rate.NewLimiter(rate.Every(pause), auditBurst)
		s.causes[cause] = limiter
	}
	return limiter
}

func (s *logLines) subjectLocked(name string) *logSubject {
	about := s.subjects[name]
	if about == nil {
		if len(s.subjects) >= maxSubjects {
			clear(s.subjects) // they get new bursts, but all together do not
		}
		about = &logSubject{kinds: make(map[string]*rate.Limiter), warned: make(map[uint64]time.Time)}
		s.subjects[name] = about
	}
	return about
}

func (s *logLines) kindLocked(message string, warning bool) *logKind {
	kind := s.kinds[message]
	if kind == nil {
		if len(s.kinds) >= maxKinds {
			message = "" // some message is not constant; together they are still limited
			if kind = s.kinds[message]; kind != nil {
				return kind
			}
		}
		kind = &logKind{all: rate.NewLimiter(rate.Every(eventPause), allEvents)}
		if warning {
			kind.all = rate.NewLimiter(rate.Every(warningPause), allWarnings)
		}
		s.kinds[message] = kind
	}
	return kind
}

func (s *logSubject) limiter(message string, warning bool) *rate.Limiter {
	limiter := s.kinds[message]
	if limiter == nil {
		if len(s.kinds) >= maxWarned {
			clear(s.kinds)
		}
		limiter = rate.NewLimiter(rate.Every(subjectPause), eventBurst)
		if warning {
			limiter = rate.NewLimiter(rate.Every(subjectPause), warningBurst)
		}
		s.kinds[message] = limiter
	}
	return limiter
}

// summary is how many lines of a kind were suppressed.
type summary struct {
	message string
	level   slog.Level
	left    int
	example string
}

func (s *logLines) summaries() (all []summary) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for message, kind := range s.kinds {
		if kind.left > 0 {
			all = append(all, summary{message, kind.level, kind.left, kind.example})
			kind.left = 0
		}
	}
	slices.SortFunc(all, func(a, b summary) int { return b.left - a.left })
	return all
}
