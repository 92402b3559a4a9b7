package loglimit

import (
	"context"
	"hash/maphash"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// subjectKeys are the attributes that say who or what a line is about; the first one present counts.
var subjectKeys = []string{"node", "port", "domain", "service"}

const (
	// eventKey is the attribute that says what happened in audit lines, which all have the same message.
	eventKey = "event"
	// GuestKey is the attribute of audit lines about an unknown node: its network, which is then the cause,
	// since such a node can choose its identity. Otherwise the node is the cause.
	GuestKey = "guest"
)

// changing are attributes that do not make a line news.
var changing = []string{"from", "client", "after", "again_in", "bytes", "waiting", "older"}

// Handler is a slog.Handler that limits what others can write into a log, for instance by connecting in a loop
// or repeating invalid requests. An event (a line below slog.LevelWarn) is news each time; a warning or an
// error only if its subject did not have the same one lately, or something else has happened to it since. News
// is limited per subject and in total, separately for each kind of line, which is the message up to a number
// in it. Audit lines are limited separately for each cause and event. Suppressed lines are written as debug
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
