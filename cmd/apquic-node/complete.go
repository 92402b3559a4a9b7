package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"apquic/internal/console"
	"apquic/internal/control"
	"apquic/internal/nodeapi"
)

// completeTime is how long a person may wait for names.
const completeTime = time.Second

// complete returns the words that may follow, of which the running node knows some.
func complete(c *call, command, flag string) (words []string) {
	switch {
	case flag == "log-level":
		return []string{"debug", "error", "info", "warn"}
	case flag == "log-format":
		return []string{"json", "text"}
	case flag == "" && command == "connect":
		ctx, cancel := context.WithTimeout(context.Background(), completeTime)
		defer cancel()
		var s nodeapi.Status
		if control.Get(ctx, c.Settings.DataDir, nodeapi.StatusPath, &s) != nil {
			return nil
		}
		for _, service := range s.Services {
			if target, private := strings.CutPrefix(service.Public, console.PrivateScheme); private {
				words = append(words, target)
			}
		}
		slices.Sort(words)
	}
	return words
}
