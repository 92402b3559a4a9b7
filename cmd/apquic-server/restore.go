package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"unicode/utf8"

	"apquic/internal/backup"
	"apquic/internal/cli"
	"apquic/internal/control"
	"apquic/internal/hint"
	"apquic/internal/settings"
)

// minPassphrase is in characters: whoever has the file may guess for as long as he likes.
const minPassphrase = 12

// restore makes a data directory of a backup; "-" reads it from stdin.
func restore(c *call, o *options) error {
	path, config := c.Operands[0], c.Settings
	if _, err := control.Connect(context.Background(), config.DataDir); err == nil {
		return hint.Add(fmt.Errorf("a server is running on %s", config.DataDir), "name another directory with --data-dir")
	}
	from := os.Stdin
	if path != "-" {
		var err error
		if from, err = os.Open(path); err != nil {
			return err
		}
		defer from.Close()
	} else if o.secret == "" {
		return cli.UsageError("apquic-server", errors.New("restore -: the backup comes from stdin; give --passphrase-file"))
	}
	passphrase, err := o.passphrase(c, false)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	about, err := saved(config.DataDir, "", "").Restore(ctx, from, passphrase)
	if err != nil {
		return err
	}
	printNext(c.Stdout, config, about)
	return nil
}

// printNext says what has to be done until nodes come back.
func printNext(w io.Writer, config settings.Server, about backup.About) {
	host, _, _ := net.SplitHostPort(about.Address)
	where := hint.Printable(cmp.Or(host, "the address in the nodes' invitations"), 255)
	if net.ParseIP(host) != nil {
		where += ", an address rather than a name: this machine must have it, or each node joins again"
	}
	fmt.Fprintf(w, `%s is that of the server %s, as it was at %s.
1. The old server must stay off: two with one key give the same ports to different nodes.
2. Nodes look for it at %s
3. Start it with the settings of the old one: apquic-server --data-dir %s
`, config.DataDir, hint.Printable(about.Server, 64), about.Made.UTC().Format("2006-01-02 15:04 UTC"), where, cli.Quoted(config.DataDir))
}

// passphrase comes from a file or a terminal, never from a flag, which other users see. A new one must not be short.
func (o *options) passphrase(c *call, isNew bool) (passphrase string, err error) {
	switch {
	case o.secret != "":
		passphrase, err = cli.ReadSecretFile(o.secret, "passphrase")
	case !cli.IsTerminal(os.Stdin):
		return "", cli.UsageError("apquic-server", errors.New("stdin is no terminal on which to ask for a passphrase: give --passphrase-file"))
	default:
		passphrase, err = cli.AskSecret(os.Stdin, c.Stderr, "passphrase", isNew)
	}
	if err != nil {
		return "", err
	}
	if n := utf8.RuneCountInString(passphrase); isNew && n < minPassphrase {
		return "", hint.Add(fmt.Errorf("the passphrase has %s, and needs %d", count(n, "character"), minPassphrase),
			"take several words; whoever gets the file may try as many as he likes")
	}
	return passphrase, nil
}
