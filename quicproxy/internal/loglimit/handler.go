package loglimit

import (
	"cmp"
	"context"
	"hash/maphash"
	"log/slog"
	"slices"
	"strings"
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

// subjectKeys are the attributes that say who or what a line is about; the first one present counts.
var subjectKeys = []string{"node", "port", "service"}

const (
	// eventKey is the attribute that says what happened in audit lines, which all have the same message.
	eventKey = "event"
	// GuestKey is the attribute of audit lines about an unknown node: its network, which is then the cause,
	// since such a node can choose its identity. Otherwise the node is the cause.
	GuestKey = "guest"
)

// changing are attributes that do not make a line news.
var changing = []string{"from", "client", "after", "again_in", "bytes", "waiting", "older"}

// Handler is a slog.Handler that limits what others can write into a log, for instance by connecting in a loop or
// repeating invalid requests. An event (a line below slog.LevelWarn) is news each time; a warning or an error
// only if its subject did not have the same one lately, or something else has happened to it since. News is
// limited per subject and in total, separately for each kind of line, which is the message up to a number in
// it. Audit lines are limited separately for each cause and event. Suppressed lines are written as debug
// lines, which always pass, and Summarize says how many there were.
type Handler struct {
	next    slog.Handler
	subject string    // among the attributes of this handler
	bound   uint64    // a hash of them
	grouped bool      // attributes that follow are not at the top level
	lines   *logLines // shared by all derived handlers
}

// New limits what goes to next.
func New(next slog.Handler) *Handler {
	return &Handler{next: next, lines: &logLines{
		seed: maphash.MakeSeed(), kinds: make(map[string]*logKind), subjects: make(map[string]*logSubject),
		causes: make(map[auditCause]*rate.Limiter),
	}}
}

// Enabled implements slog.Handler.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// WithGroup implements slog.Handler.
func (h *Handler) WithGroup(name string) slog.Handler {
	grouped := *h
	grouped.next, grouped.grouped = h.next.WithGroup(name), true
	return &grouped
}

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs(attributes []slog.Attr) slog.Handler {
	with := *h
	with.next = h.next.WithAttrs(attributes)
	for _, a := range attributes {
		with.subject, with.bound = h.about(a, with.subject, with.bound)
	}
	return &with
}

// about adds an attribute to a line's subject and to the hash of what it says.
func (h *Handler) about(a slog.Attr, subject string, says uint64) (string, uint64) {
	if h.grouped {
		return subject, says ^ h.lines.hash(a.Key, a.Value.String())
	}
	if subject == "" && slices.Contains(subjectKeys, a.Key) {
		subject = a.Key + "=" + a.Value.String()
	}
	if !slices.Contains(changing, a.Key) {
		says ^= h.lines.hash(a.Key, a.Value.String())
	}
	return subject, says
}

// Handle implements slog.Handler.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelInfo {
		return h.next.Handle(ctx, r)
	}
	kind, subject, says, guest, audit := r.Message, h.subject, h.bound, "", false
	if i := strings.IndexAny(kind, "0123456789"); i >= 0 {
		kind = kind[:i] // "next try in 34s" and "next try in 35s" are of one kind
	}
	r.Attrs(func(a slog.Attr) bool {
		subject, says = h.about(a, subject, says)
		switch a.Key {
		case eventKey:
			kind += " " + a.Value.String()
			audit = true
		case GuestKey:
			guest = a.Key + "=" + a.Value.String()
		}
		return true
	})
	news := h.lines.news
	if audit {
		news = h.lines.audit(guest)
	}
	if news(r, kind, subject, says) {
		return h.next.Handle(ctx, r)
	}
	if !h.next.Enabled(ctx, slog.LevelDebug) {
		return nil
	}
	r.Level = slog.LevelDebug
	return h.next.Handle(ctx, r)
}

// Summarize logs how many lines were suppressed since the last time, in one line per kind.
func (h *Handler) Summarize(ctx context.Context, now time.Time) {
	for _, s := range h.lines.summaries() {
		if !h.next.Enabled(ctx, s.level) {
			continue
		}
		r := slog.NewRecord(now, s.level, "lines like this one were suppressed because there were too many", 0)
		r.Add("line", s.message, "lines", s.left, "one_of", s.example)
		h.next.Handle(ctx, r)
	}
}

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
