package cli

import (
	"fmt"
	"io"
	"log/slog"
)

// levels by their names in the settings.
var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// Log is a logger whose level can change while it is used.
type Log struct {
	*slog.Logger
	level slog.LevelVar
}

// NewLog returns a Log that writes to w from a level on (debug, info, warn or error) in a format (text or json).
func NewLog(w io.Writer, level, format string) (*Log, error) {
	log := new(Log)
	if _, ok := levels[level]; !ok {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	log.SetLevel(level)
	options := &slog.HandlerOptions{Level: &log.level}
	switch format {
	case "text":
		log.Logger = slog.New(slog.NewTextHandler(w, options))
	case "json":
		log.Logger = slog.New(slog.NewJSONHandler(w, options))
	default:
		return nil, fmt.Errorf("log format %q: want text or json", format)
	}
	return log, nil
}

// SetLevel changes the level to another known one.
func (l *Log) SetLevel(level string) { l.level.Set(levels[level]) }
