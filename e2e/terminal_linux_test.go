package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is one on which a test types.
type terminal struct {
	t     *testing.T
	ours  *os.File
	ended chan struct{} // everything was shown

	mu    sync.Mutex
	shown strings.Builder
}

// onTerminal starts a program whose stdin and stderr are a terminal.
func onTerminal(t *testing.T, program string, arguments ...string) (*terminal, *process) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	number, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	its, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer its.Close()
	term := &terminal{t: t, ours: ours, ended: make(chan struct{})}
	p := launch(t, func(cmd *exec.Cmd) { cmd.Stdin, cmd.Stderr = its, its }, program, arguments...)
	go func() {
		defer close(term.ended)
		for buffer := make([]byte, 1024); ; {
			n, err := ours.Read(buffer) // fails when nobody has the other end
			if err != nil {
				return
			}
			term.mu.Lock()
			term.shown.Write(buffer[:n])
			term.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-term.ended
		ours.Close()
	})
	return term, p
}

func (term *terminal) text() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.shown.String()
}

// answer types a secret at a prompt, once what is typed no longer is shown.
func (term *terminal) answer(prompt, secret string) {
	term.t.Helper()
	for end := time.Now().Add(maxWait); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		mode, err := unix.IoctlGetTermios(int(term.ours.Fd()), unix.TCGETS)
		if err == nil && mode.Lflag&unix.ECHO == 0 && strings.HasSuffix(term.text(), prompt) {
			term.ours.WriteString(secret + "\n")
			return
		}
	}
	term.t.Fatalf("no %q in %q", prompt, term.text())
}

// TestPassphraseOnTerminal: it is asked for twice when it is new, and is never shown.
func TestPassphraseOnTerminal(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	saved, data := filepath.Join(t.TempDir(), "saved"), filepath.Join(t.TempDir(), "new")
	const secret, other = "correct horse battery", "correct horse batery"
	for _, test := range []struct {
		command []string
		typed   []string
		status  int
		says    string
	}{
		{[]string{"backup", saved, "--data-dir", n.data}, []string{secret, other}, 1, "error: these are two different passphrases"},
		{[]string{"backup", saved, "--data-dir", n.data}, []string{secret, secret}, 0, ""},
		{[]string{"restore", saved, "--data-dir", data}, []string{other}, 1, "error: the passphrase is wrong"},
		{[]string{"restore", saved, "--data-dir", data}, []string{secret}, 0, ""},
	} {
		term, p := onTerminal(t, "apquic-server", test.command...)
		for i, typed := range test.typed {
			term.answer([]string{"Passphrase: ", "Once more: "}[i], typed)
		}
		if status := p.status(t); status != test.status {
			t.Errorf("%v: exit status %d", test.command, status)
		}
		<-term.ended
		if text := term.text() + p.stdout.text(); !strings.Contains(text, test.says) || strings.Contains(text, "horse") {
			t.Errorf("%v: %s", test.command, text)
		}
	}
}
