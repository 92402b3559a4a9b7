// Apquic-server lends public ports to nodes behind NAT and relays the connections that arrive there.
// It wires the packages of this module together; what they do is theirs.
package main

import (
	"fmt"
	"io"
	"os"

	"apquic/internal/cli"
)

func main() {
	// quic-go's own warning about socket buffers is for programmers; advise has ours.
	os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program: results go to stdout, everything else to stderr.
func run(args []string, stdout, stderr io.Writer) int {
	call, err := parse(args, os.LookupEnv)
	switch {
	case err != nil:
	case call.help:
		fmt.Fprint(stdout, usage())
	case call.version:
		fmt.Fprintln(stdout, "apquic-server", cli.Version())
	default:
		err = commands[call.command](call, stdout, stderr)
	}
	if err != nil {
		cli.Report(stderr, err)
	}
	return cli.ExitStatus(err)
}

// commands are the subcommands; the one without a name runs the server.
var commands = map[string]func(c *call, stdout, stderr io.Writer) error{
	"":           serve,
	"check":      check,
	"id":         printID,
	"invitation": printInvitation,
}

// check says what the settings mean.
func check(c *call, stdout, _ io.Writer) error {
	if err := c.validate(); err != nil {
		return err
	}
	fmt.Fprint(stdout, c.settings.Describe())
	return nil
}

// printID makes the key if there is none yet.
func printID(c *call, stdout, _ io.Writer) error {
	key, err := serverKey(c.settings)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, key.ID())
	return nil
}
