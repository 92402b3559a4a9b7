package cli

import (
	"cmp"
	"runtime/debug"
)

// version is set by the linker: -X apquic/internal/cli.version=...
var version string

// Version returns the version of the program: the one set by the linker, else the module's version or
// revision, else "devel".
func Version() string {
	info, _ := debug.ReadBuildInfo()
	return versionFrom(version, info)
}

func versionFrom(linked string, info *debug.BuildInfo) string {
	if linked != "" || info == nil {
		return cmp.Or(linked, "devel")
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && setting.Value != "" {
			return "devel-" + setting.Value[:min(12, len(setting.Value))]
		}
	}
	return "devel"
}
