package certs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func nobody(string) bool { return false }

func invite(t *testing.T, i *Invitations, name string, uses int, lasts time.Duration) []byte {
	t.Helper()
	offer, secret, err := i.Create(OpenInvitation{Name: name, Uses: uses, Expires: time.Now().Add(lasts)}, nobody)
	if err != nil || name != "" && offer.Name != name || len(secret) != joinSecretSize {
		t.Fatalf("%+v, %d bytes, %v", offer, len(secret), err)
	}
	return secret
}

// join uses a secret and returns the invitation's name.
func join(i *Invitations, secret []byte) (name string, err error) {
	err = i.Use(secret, func(o OpenInvitation) error { name = o.Name; return nil })
	return name, err
}

func TestInvitations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "invitations")
		i := NewInvitations(path)
		if open, err := i.Open(); err != nil || len(open) != 0 {
			t.Fatalf("without a file: %v, %v", open, err)
		}
		once := invite(t, i, "shed-pi", 1, time.Hour)
		thrice := invite(t, i, "school", 3, time.Hour)
		withdrawn := invite(t, i, "", 1, time.Hour)
		wantMode(t, path, 0o600)
		for _, secret := range [][]byte{once, thrice} {
			if strings.Contains(readFile(t, path), string(secret)) {
				t.Error("the secret is in the file")
			}
		}
		if _, _, err := i.Create(OpenInvitation{Name: "school", Uses: 1, Expires: time.Now().Add(time.Hour)}, nobody); !errors.Is(err, ErrInvitationName) || hintOf(err) == "" {
			t.Errorf("the same name again: %v", err)
		}
		if err := i.Withdraw("node-1"); err != nil {
			t.Error(err)
		}
		if err := i.Withdraw("node-1"); !errors.Is(err, ErrInvitationName) {
			t.Errorf("withdrawn again: %v", err)
		}
		for _, secret := range [][]byte{withdrawn, nil, []byte("guess"), append(once[:15:15], once[15]^1)} {
			if name, err := join(i, secret); !errors.Is(err, ErrNoInvitation) {
				t.Errorf("%x let in as %q, %v", secret, name, err)
			}
		}
		if name, err := join(i, once); name != "shed-pi" || err != nil {
			t.Errorf("%q, %v", name, err)
		}
		if _, err := join(i, once); !errors.Is(err, ErrNoInvitation) {
			t.Errorf("used twice: %v", err)
		}
		if name, err := join(NewInvitations(path), thrice); name != "school" || err != nil { // after a restart
			t.Errorf("%q, %v", name, err)
		}
		broken := errors.New("the disk is full")
		if err := i.Use(thrice, func(OpenInvitation) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("join failed: %v", err)
		}
		if open, err := i.Open(); err != nil || len(open) != 1 || open[0].Uses != 2 || open[0].Joined != 1 {
			t.Errorf("%+v, %v", open, err)
		}
		time.Sleep(time.Hour)
		if _, err := join(i, thrice); !errors.Is(err, ErrNoInvitation) {
			t.Errorf("used when it had ended: %v", err)
		}
		if open, err := i.Open(); err != nil || len(open) != 0 {
			t.Errorf("%+v, %v", open, err)
		}
	})
}

// TestInvitationUses: no more nodes are admitted than allowed, however many try at once.
func TestInvitationUses(t *testing.T) {
	t.Parallel()
	i := NewInvitations(filepath.Join(t.TempDir(), "invitations"))
	secret := invite(t, i, "many", 5, time.Hour)
	var in atomic.Int64
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if _, err := join(i, secret); err == nil {
				in.Add(1)
			} else if !errors.Is(err, ErrNoInvitation) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if in.Load() != 5 {
		t.Errorf("%d nodes got in, want 5", in.Load())
	}
}

// TestInvitationUsedBeforeJoin: a power cut between the two writes costs a use, and admits nobody twice.
func TestInvitationUsedBeforeJoin(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "invitations")
	i := NewInvitations(path)
	secret := invite(t, i, "once", 1, time.Hour)
	err := i.Use(secret, func(OpenInvitation) error {
		if content := readFile(t, path); content != "" {
			t.Errorf("while the node joins the file has %q", content)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestBadInvitations(t *testing.T) {
	t.Parallel()
	for name, offer := range map[string]OpenInvitation{
		"no uses":    {Name: "a", Uses: 0, Expires: time.Now().Add(time.Hour)},
		"many uses":  {Name: "a", Uses: MaxInvitationUses + 1, Expires: time.Now().Add(time.Hour)},
		"over":       {Name: "a", Uses: 1, Expires: time.Now()},
		"for ever":   {Name: "a", Uses: 1, Expires: time.Now().Add(MaxInvitationTime + time.Hour)},
		"two words":  {Name: "a b", Uses: 1, Expires: time.Now().Add(time.Hour)},
		"an option":  {Name: "-a", Uses: 1, Expires: time.Now().Add(time.Hour)},
		"an id":      {Name: bootstrapID, Uses: 1, Expires: time.Now().Add(time.Hour)},
		"long":       {Name: strings.Repeat("a", 65), Uses: 1, Expires: time.Now().Add(time.Hour)},
		"a sequence": {Name: "a\x1b[2J", Uses: 1, Expires: time.Now().Add(time.Hour)},
	} {
		path := filepath.Join(t.TempDir(), "invitations")
		if offer, _, err := NewInvitations(path).Create(offer, nobody); err == nil {
			t.Errorf("%s: %+v", name, offer)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: a file was made", name)
		}
	}
	directory := t.TempDir()
	for name, content := range map[string]string{
		"junk": "junk\n", "no hash": `{"name":"a","uses":1,"created":"2026-01-01T00:00:00Z","expires":"2026-01-02T00:00:00Z"}`,
	} {
		path := filepath.Join(directory, "invitations")
		writeFile(t, path, content)
		if _, err := NewInvitations(path).Open(); err == nil || hintOf(err) == "" || strings.Contains(err.Error(), "junk") {
			t.Errorf("%s: %v", name, err)
		}
	}
	path := filepath.Join(directory, "invitations")
	writeFile(t, path, "")
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := NewInvitations(path).Open(); err == nil || !strings.Contains(hintOf(err), "chmod") {
		t.Errorf("a file that others may write: %v", err)
	}
}

func TestManyInvitations(t *testing.T) {
	t.Parallel()
	i := NewInvitations(filepath.Join(t.TempDir(), "invitations"))
	for range maxInvitations {
		invite(t, i, "", 1, time.Hour)
	}
	if _, _, err := i.Create(OpenInvitation{Uses: 1, Expires: time.Now().Add(time.Hour)}, nobody); err == nil {
		t.Error("one more than there may be")
	}
}

func FuzzInvitations(f *testing.F) {
	hash := hashSecret([]byte("secret"))
	for _, s := range []string{"", "\n", "{}", "junk", `{"name":"a","uses":1,"created":"2026-01-01T00:00:00Z","expires":"2026-01-02T00:00:00Z","secretSHA256":"` + hash + `"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		all, err := parseInvitations(content)
		if err != nil {
			if len(all) > 0 {
				t.Fatalf("%q: %v beside an error", content, all)
			}
			return
		}
		for _, o := range all {
			if o.check() != nil || len(o.Hash) != 64 {
				t.Fatalf("%q: %+v", content, o)
			}
		}
	})
}
