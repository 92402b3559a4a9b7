// Apquic-server lends public ports to nodes behind NAT and relays the connections that arrive there.
// It wires the packages of this module together; what they do is theirs.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"apquic/internal/cli"
	"apquic/internal/config"
)

func main() {
	// quic-go's own warning about socket buffers is for programmers; advise has ours.
	os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	os.Exit(program().Main(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

type call = cli.Call[config.Server]

func program() *cli.Program[config.Server] {
	var newSecret bool
	return &cli.Program[config.Server]{
		Name: "apquic-server", Help: help,
		Defaults: config.DefaultServer, Load: config.LoadServer, Validate: config.Server.Validate,
		Bind: func(into *config.Server, settings, others *pflag.FlagSet) {
			bind(into, settings)
			others.BoolVar(&newSecret, "new-secret", false, "with the command invitation: change the secret first")
		},
		Commands: map[string]func(*call) error{
			"": func(c *call) error {
				if newSecret {
					return cli.UsageError("apquic-server", errors.New("--new-secret belongs to the command invitation"))
				}
				return serve(c)
			},
			"check":      check,
			"id":         printID,
			"invitation": func(c *call) error { return printInvitation(c, newSecret) },
		},
	}
}

// check says what the settings mean.
func check(c *call) error {
	if err := c.Validate(); err != nil {
		return err
	}
	fmt.Fprint(c.Stdout, c.Settings.Describe())
	return nil
}

// printID makes the key if there is none yet.
func printID(c *call) error {
	key, err := serverKey(c.Settings)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.Stdout, key.ID())
	return nil
}
