package guards

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadSecret(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	if _, err := readSecret(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("there is none: %v", err)
	}
	for text, want := range map[string]string{"geheim\n": "geheim", " a b\r\n": "a b", "\n": "", "geheim\nmore": "", strings.Repeat("geheim", 1000): ""} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readSecret(file)
		if got != want || (err == nil) != (want != "") || err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%.20q: %q, %v", text, got, err)
		}
	}
}
