package cli

import (
	"log/slog"
	"time"

	"apquic/internal/files"
)

// RemoveLeftovers removes files from a data directory that processes killed before start left behind. Failing
// to do so does not keep a program from starting.
func RemoveLeftovers(directory string, start time.Time, log *slog.Logger) {
	if directory == "" {
		return
	}
	removed, err := files.RemoveLeftovers(directory, start)
	if removed > 0 {
		log.Info("removed temporary files of a killed process", "files", removed)
	}
	if err != nil {
		log.Warn("cannot remove temporary files of a killed process", "err", err)
	}
}
