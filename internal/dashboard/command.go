package dashboard

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"

	"apquic/internal/cli"
	"apquic/internal/control"
)

// CommandOf is the command line of the command dashboard of a program with a data directory.
func CommandOf(program, dataDir string) string {
	return program + " dashboard --data-dir " + cli.Quoted(dataDir)
}

// Command prints the link that opens the page of the program running on a data directory, and logs in. What is not the
// link goes to others.
func Command(ctx context.Context, dataDir string, asJSON bool, out, others io.Writer) error {
	link, err := control.Link(ctx, dataDir)
	if err != nil {
		return err
	}
	if asJSON {
		return cli.WriteJSON(out, map[string]string{"link": link})
	}
	where := ""
	if at, err := url.Parse(link); err == nil && net.ParseIP(at.Hostname()).IsLoopback() {
		where = fmt.Sprintf("\nof this machine, or of yours after ssh -L %s:%s THIS-MACHINE", at.Port(), at.Host)
	}
	fmt.Fprintf(others, "Whoever has this link may do everything here that you may. Open it in a browser%s:\n", where)
	_, err = fmt.Fprintln(out, link)
	return err
}
