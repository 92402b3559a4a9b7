package machine

import (
	"os"
	"path/filepath"
	"testing"
)

func TestGroupLimit(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	write("system.slice/memory.max", "1000\n")
	write("system.slice/apquic.service/memory.max", "max\n")
	write("tight/memory.max", "10\n")
	for membership, want := range map[string]int64{
		"0::/system.slice/apquic.service\n":                     1000,
		"4:memory:/x\n0::/system.slice/apquic.service/deeper\n": 1000,
		"0::/tight\n":         10,
		"0::/other\n":         0,
		"0::/../../../etc\n":  0,
		"1:name=systemd:/x\n": 0,
		"":                    0,
	} {
		if got := groupLimit(write("membership", membership), root); got != want {
			t.Errorf("%q: %d, want %d", membership, got, want)
		}
	}
	if got := groupLimit(filepath.Join(root, "none"), root); got != 0 {
		t.Errorf("no file: %d", got)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	if got := Memory(); got < 16<<20 {
		t.Errorf("%d bytes", got)
	}
	if got := Descriptors(); got < 16 {
		t.Errorf("%d descriptors", got)
	}
}
