// Package settings is the settings of both programs. A setting is a row of [Server] or [Node]: its key in a
// file, its flag, its environment variable, its bounds and default, and what --help, check and docs/config.md
// say about it.
//
// Files are JSON with comments and trailing commas, in the plain form or in that of Elastos Carrier;
// docs/config.md describes both. The loader is strict: it reports all mistakes in a file at once, each with
// its place.
//
// The package must not read any file but the one it is given, nor the environment, from which package cli
// sets flags.
package settings

import (
	"os"
	"path/filepath"
	"runtime"

	"apquic/internal/settings/internal/file"
	"apquic/internal/settings/internal/foreign"
	"apquic/internal/settings/internal/jsonc"
)

// Error is one mistake, in a file or in the settings as a whole; Errors are all of them.
type (
	Error  = jsonc.Error
	Errors = jsonc.Errors
)

// DefaultDataDir is where a program keeps its files: /var/lib/program for root on Unix, otherwise program in
// the user's configuration directory. It is empty for a user without a home, which [Server.Validate] and
// [Node.Validate] report.
func DefaultDataDir(program string) string {
	if runtime.GOOS != "windows" && os.Geteuid() == 0 {
		return filepath.Join("/var/lib", program)
	}
	home, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, program)
}

// load reads the file at path and parses it.
func load[T any](path string, into *T, parse func(name string, data []byte, into *T) error) error {
	data, err := file.Read(path)
	if err != nil {
		return err
	}
	return parse(path, data, into)
}

// parse decodes a file in one of two forms.
func parse[T interface{ faults() faults }](name string, data []byte, into *T, plain, carrier func(*T) jsonc.Form) error {
	root, err := jsonc.Parse(name, data, foreign.Text)
	if err != nil {
		return err
	}
	if foreign.JSON(root) {
		root.Report(foreign.Err)
		return root.Err()
	}
	settings := *into
	chosen := plain(&settings)
	if other := carrier(&settings); isCarrier(root, chosen, other) {
		chosen = other
	}
	root.Apply(jsonc.Field{Want: "{...} around all settings", Set: func(v jsonc.Value) error { return v.Decode(chosen) }})
	for _, fault := range settings.faults() {
		root.ReportAt(fault.err, fault.keys...) // flags may fix others, which are left to Validate
	}
	if err := root.Err(); err != nil {
		return err
	}
	*into = settings
	return nil
}
