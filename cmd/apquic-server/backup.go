package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"apquic/admin"
	"apquic/certs"
	"apquic/internal/backup"
	"apquic/internal/cli"
	"apquic/internal/control"
	"apquic/internal/guards"
	"apquic/internal/settings/limits"
	kept "apquic/internal/totals"
	"apquic/lease"
	"apquic/lease/boltstore"
)

// saved are the files of a data directory that a backup has. A node that the leases name was in authorized_nodes before,
// and its invitation used up before that, so they are saved in this order. The rest is made again: peers and
// public_address say where a machine was, and sockets belong to a process.
func saved(dataDir, leases, totals string) backup.Directory {
	const line, list, all = 4 << 10, 4 << 20, 1 << 30 // bytes
	return backup.Directory{Path: dataDir, Files: []backup.File{
		{Name: leasesFile, Entry: "leases", Source: leases, Max: all, Put: imported(boltstore.Import)},
		{Name: totalsFile, Entry: "totals", Source: totals, Max: all, Put: imported(kept.Import)},
		{Name: authorizedFile, Max: list},
		{Name: invitationsFile, Max: list, Check: checkInvitations},
		{Name: limits.Name, Max: limits.MaxSize, Check: checkLimits},
		{Name: keyFile, Max: line, Together: true, Check: checkKey},
		{Name: nextKeyFile, Max: line, Together: true, Check: checkKey},
		{Name: previousKeyFile, Max: line, Together: true, Check: checkKey},
		{Name: resetKeyFile, Max: line, Together: true, Check: checkSecret},
		{Name: tokenKeyFile, Max: line, Together: true, Check: checkSecret},
		{Name: guards.KeyFile, Max: line, Check: checkSecret},
		{Name: control.TokenName, Max: line, Check: checkToken},
		{Name: acmeFolder, Max: 1 << 20, Folder: true},
	}}
}

// imported makes a store of its copy.
func imported(make func(open func(string, int, os.FileMode) (*os.File, error), name string, from io.Reader) error) func(*os.Root, string, io.Reader) error {
	return func(root *os.Root, name string, from io.Reader) error { return make(root.OpenFile, name, from) }
}

func checkInvitations(path string, _ backup.About) error {
	_, err := certs.NewInvitations(path).Open()
	return err
}

func checkLimits(path string, _ backup.About) error {
	_, err := limits.Open(path)
	return err
}

func checkKey(path string, _ backup.About) error {
	_, err := certs.LoadKey(path)
	return err
}

func checkSecret(path string, _ backup.About) error {
	_, err := certs.LoadOrCreateSecret(path, secretSize)
	return err
}

func checkToken(path string, _ backup.About) error {
	_, err := certs.LoadOrCreateToken(path)
	return err
}

// copyLeases returns what admin.Authority needs.
func copyLeases(dataDir string, store lease.Store, totals admin.TotalsKept) func(context.Context) (admin.LeaseCopy, error) {
	return func(ctx context.Context) (copied admin.LeaseCopy, err error) {
		copied.File, err = cli.WriteBeside(dataDir, leasesFile, func(w io.Writer) (err error) {
			copied.Leases, err = boltstore.Export(ctx, store, w)
			return err
		})
		if err != nil {
			return admin.LeaseCopy{}, err
		}
		if copied.Totals, err = cli.WriteBeside(dataDir, totalsFile, totals.Export); err != nil {
			return admin.LeaseCopy{}, errors.Join(err, os.Remove(filepath.Join(dataDir, copied.File)))
		}
		return copied, nil
	}
}

// save makes a backup; "-" writes it to stdout.
func save(c *call, o *options) error {
	path, config := c.Operands[0], c.Settings
	if path == "-" && cli.IsTerminal(c.Stdout) {
		return cli.UsageError("apquic-server", errors.New("backup -: stdout is a terminal; name a file"))
	}
	key, err := existingKey(config)
	if err != nil {
		return err
	}
	passphrase, err := o.passphrase(c, true)
	if err != nil {
		return err
	}
	return with(c, func(ctx context.Context, operations admin.Operations) error {
		ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), os.Interrupt, syscall.SIGTERM) // a large one takes its time
		defer stop()
		copied, err := operations.CopyLeases(ctx)
		if err != nil {
			return err
		}
		copied.File, copied.Totals = filepath.Base(copied.File), filepath.Base(copied.Totals)
		defer os.Remove(filepath.Join(config.DataDir, copied.File))
		defer os.Remove(filepath.Join(config.DataDir, copied.Totals))
		about := backup.About{Program: "apquic-server " + cli.Version(), Made: time.Now().UTC().Truncate(time.Second), Server: key.ID().String()}
		if host, port, err := readPublicAddress(config.DataDir); err == nil {
			about.Address = net.JoinHostPort(host, strconv.Itoa(int(port)))
		}
		write := func(w io.Writer) error {
			return saved(config.DataDir, copied.File, copied.Totals).Save(ctx, w, passphrase, about)
		}
		if path == "-" {
			return write(c.Stdout)
		}
		if err := backup.Create(path, write); err != nil {
			return err
		}
		fmt.Fprintf(c.Stdout, "%s has the keys, %s, the nodes and invitations, and the certificates of this server.\n"+
			"Whoever has it and the passphrase can be this server. Without the passphrase it is worth nothing.\n", path, count(copied.Leases, "lease"))
		if !config.Key.IsZero() {
			fmt.Fprintln(c.Stdout, "The server's own key is not in it but in the configuration: save that, too.")
		}
		return nil
	})
}
