package settings

import (
	"errors"
	"math"
	"time"

	"apquic/internal/debug"
	"apquic/internal/hint"
)

// Bounds that several settings have.
const (
	longest   = 10 * 365 * 24 * time.Hour
	million   = 1_000_000
	anyNumber = math.MaxUint32
)

const wantNetID = "a number from 0 to 4294967295, the same for nodes and server"

const memoryDocs = "Data in flight takes some megabytes whatever the budget is. The connections themselves, about 16 KiB each in either program, are not counted."

// Rows that both programs have.

func dataDirRow(field *string, help string) row {
	return row{
		key: "dataDir", setting: textVar(field, "", checkDataDir), unset: "a directory of the user",
		want: `the path of a directory, such as "/var/lib/apquic"`,
		help: help,
		docs: "[The data directory](#the-data-directory) has the defaults. A relative path starts at the current directory.",
	}
}

func checkDataDir(path string) error {
	if path != "" {
		return nil
	}
	return hint.Add(errors.New("there is no data directory, because this user has no home directory"),
		"name one with --data-dir or as dataDir in the file")
}

func drainRow(field *time.Duration) row {
	return row{
		key: "drain", setting: durationVar(field, 10*time.Second, 0, time.Hour),
		help: "how long running connections may go on after a signal to stop",
		docs: ", which is SIGTERM or SIGINT; a second signal ends them at once. 0: they end with the first.",
	}
}

func logLevelRow(field *string) row {
	return row{
		key: "logLevel", live: true, setting: wordVar(field, "info", "debug", "info", "warn", "error"),
		help: "`LEVEL` of the log: debug, info, warn or error",
		docs: "Messages of this level and above go to stderr.",
	}
}

func logFormatRow(field *string) row {
	return row{
		key: "logFormat", setting: wordVar(field, "text", "text", "json"),
		help: "`FORMAT` of the log: text or json",
	}
}

func debugAddressRow(field *string) row {
	return row{
		key: "debugAddress", setting: textVar(field, "", checkDebugAddress), unset: "none",
		want: `an address of this machine alone, such as "127.0.0.1:6060"`,
		help: "serve profiles at this `ADDRESS` of this machine alone, such as 127.0.0.1:6060",
		docs: "Profiles are at `/debug/pprof/`, counters at `/debug/vars`, over HTTP.",
	}
}

func checkDebugAddress(address string) error {
	if address == "" {
		return nil
	}
	return debug.CheckAddress(address)
}

func accessLogRow(field *string) row {
	return row{
		key: "accessLog", live: true, setting: textVar(field, "", nil), unset: "none",
		want: `the path of a file, such as "/var/log/apquic/access.log", or "-"`,
		help: "`FILE` that gets a line for each public connection when it ends; - is stdout",
		docs: "It is opened again at SIGHUP. A disk that is slow or full keeps no connection waiting: 4096 lines wait, what is more is lost and counted. See [The access log](#the-access-log).",
	}
}

func accessLogFormatRow(field *string) row {
	return row{
		key: "accessLogFormat", live: true, setting: wordVar(field, "json", "json", "combined"),
		help: "`FORMAT` of these lines: json or combined, as web servers have it",
	}
}

// OrNotAtAll converts a duration in the settings, where 0 means not at all, to one of packages server and
// node, where 0 means the default and less than 0 not at all.
func OrNotAtAll(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}
