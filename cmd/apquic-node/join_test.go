package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"apquic/certs"
)

// TestReadInvitation: on the command line, on stdin without an end, and in a file.
func TestReadInvitation(t *testing.T) {
	t.Parallel()
	want := certs.Invitation{Server: certs.NodeID{1}, Host: "h", Port: 1, Secret: []byte("sixteen bytes is")}.String()
	file := filepath.Join(t.TempDir(), "invitation.txt")
	if err := os.WriteFile(file, []byte("\n  "+want+"\r\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	terminal, person := io.Pipe()
	defer person.Close()
	go io.WriteString(person, "\n"+want+"\n")
	for operand, stdin := range map[string]io.Reader{want: nil, " " + want + "\n": nil, "-": terminal, file: nil} {
		if got, err := readInvitation(operand, stdin); err != nil || got.String() != want {
			t.Errorf("%q: %v, %v", operand, got, err)
		}
	}
	secret := want[strings.Index(want, "#")+1:]
	for operand, stdin := range map[string]io.Reader{
		"-":                    strings.NewReader(strings.Repeat("\n", 2*maxInvitationFile) + want),
		t.TempDir():            nil,
		filepath.Base(file):    nil,
		secret:                 nil,
		want + " and more":     nil,
		want[:len(want)-1]:     nil,
		"apquic://" + secret:   nil,
		"https://h:1/#" + want: nil,
	} {
		_, err := readInvitation(operand, stdin)
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", operand, err)
		}
	}
}
