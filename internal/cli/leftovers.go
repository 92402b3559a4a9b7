package cli

import (
	"log/slog"
	"time"

	"apquic/internal/files"
)

// RemoveLeftovers removes from a data directory what processes left that were killed before start. That it cannot keeps no
// program from starting.
func RemoveLeftovers(directory string, start time.Time, log *slog.Logger) {
	if directory == "" {
		return
	}
	removed, err := files.RemoveLeftovers(directory, start)
	if removed > 0 {
		log.Info("temporary files of a process that was killed were removed", "files", removed)
	}
	if err != nil {
		log.Warn("temporary files of a process that was killed are still there", "err", err)
	}
}
