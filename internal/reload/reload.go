package reload

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"apquic/internal/cli"
)

const (
	// lookEvery is how often the file is looked at. One that has changed is read when it has stayed the same for as long
	// again: whoever writes it may not be done.
	lookEvery = time.Second
	// A file that changes while it is read is read again, so often, after this pause.
	tries, tryPause = 20, 100 * time.Millisecond
)

// Report says what came of a reload.
type Report struct {
	Changed []string `json:"changed,omitempty"`      // holds from now on
	Restart []string `json:"needsRestart,omitempty"` // stays as it was until a restart
	Errors  []string `json:"errors,omitempty"`       // why nothing has changed at all
	Hints   []string `json:"hints,omitempty"`        // what to do about that
}

// Add notes that a setting has changed, if it holds now, or needs a restart.
func (r *Report) Add(what string, live bool) {
	if live {
		r.Changed = append(r.Changed, what)
	} else {
		r.Restart = append(r.Restart, what)
	}
}

// Config says what a Reloader does.
type Config struct {
	// Path is the file; empty: there is none.
	Path string
	// Apply reads the settings and makes those that can change hold. After an error nothing has changed.
	Apply func() (Report, error)
	// Around surrounds each reload; nil: nothing does.
	Around func(reload func())
	Log    *slog.Logger
}

// Reloader reloads the settings of a program.
type Reloader struct {
	config Config
	asked  chan struct{} // has room for one: a signal came

	mu    sync.Mutex // held during a reload, with all that it logs
	inUse sight      // of the file when it was read last, even in vain
	owner int        // of the file in use
}

// New returns the Reloader of a program that has just read its file.
func New(config Config) *Reloader {
	if config.Around == nil {
		config.Around = func(reload func()) { reload() }
	}
	r := &Reloader{config: config, asked: make(chan struct{}, 1)}
	r.inUse = look(config.Path)
	r.owner = r.inUse.owner()
	return r
}

// Signal has Run reload. It returns at once.
func (r *Reloader) Signal() {
	select {
	case r.asked <- struct{}{}:
	default: // it will
	}
}

// Start begins Run, which the function that it returns ends.
func (r *Reloader) Start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	return func() { cancel(); running.Wait() }
}

// Run reloads on signals, and when the file changes, until ctx ends.
func (r *Reloader) Run(ctx context.Context) {
	var every <-chan time.Time
	if r.config.Path != "" {
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		every = ticker.C
	}
	var last sight
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.asked:
			r.Now("SIGHUP")
		case <-every:
			last = r.follow(last)
		}
	}
}

// follow reloads if the file has changed, and has not since the last look.
func (r *Reloader) follow(last sight) (now sight) {
	now = look(r.config.Path)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case now.equals(r.inUse) || !now.equals(last):
	case now.err == nil && now.owner() != r.owner:
		r.inUse = now
		r.config.Log.Warn("the configuration file belongs to another user now, so it is not followed by itself",
			"file", r.config.Path, "hint", "if that is meant, run the command reload, or send SIGHUP")
	default:
		r.nowLocked("the file has changed")
	}
	return now
}

// Now reloads, after any other reload, and logs what came of it.
func (r *Reloader) Now(why string) (report Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.nowLocked(why)
}

func (r *Reloader) nowLocked(why string) (report Report) {
	r.config.Around(func() {
		var err error
		if report, err = r.readLocked(); err != nil {
			report = Report{Errors: cli.Errors(err), Hints: cli.Hints(err)}
		}
	})
	r.log(why, report)
	return report
}

// readLocked applies the file as it is when nobody writes it.
func (r *Reloader) readLocked() (report Report, err error) {
	for range tries {
		before := look(r.config.Path)
		report, err = r.config.Apply()
		r.inUse = look(r.config.Path)
		if err == nil {
			r.owner = r.inUse.owner()
		}
		if before.equals(r.inUse) {
			break
		}
		time.Sleep(tryPause)
	}
	return report, err
}

func (r *Reloader) log(why string, report Report) {
	log := r.config.Log.With("why", why)
	for _, text := range report.Errors {
		log.Error("the settings were not reloaded; those in use stay", "err", text)
	}
	for _, setting := range report.Changed {
		log.Info("a setting has changed", "setting", setting)
	}
	for _, setting := range report.Restart {
		log.Warn("a changed setting needs a restart", "setting", setting)
	}
	if len(report.Errors)+len(report.Changed)+len(report.Restart) == 0 {
		log.Info("the settings were reloaded; none has changed")
	}
}
