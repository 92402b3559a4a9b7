package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"apquic/internal/cli"
)

// options are the flags of single commands.
type options struct {
	uses     int
	expires  expiry
	port     uint16
	qr       bool
	withdraw string
	json     bool
	secret   string
	watch    bool
	node     string
	service  string
	limit    int
	clear    bool
	days     int
	by       string

	flags *pflag.FlagSet // says which were given
}

func (o *options) bind(flags *pflag.FlagSet) {
	*o = options{uses: 1, expires: expiry(7 * 24 * time.Hour), limit: 100, days: 7, flags: flags}
	flags.IntVar(&o.uses, "uses", o.uses, "invite: how many nodes the invitation admits")
	flags.Var(&o.expires, "expires", "invite: `TIME` after which it expires, such as 24h or 7d")
	flags.Uint16Var(&o.port, "port", 0, "invite: the public `PORT` for the node's first service (default: any)")
	flags.BoolVar(&o.qr, "qr", false, "invite: also show it as a QR code, on stderr")
	flags.StringVar(&o.withdraw, "withdraw", "", "invitation: withdraw the one with this `NAME`")
	flags.BoolVar(&o.json, "json", false, "print JSON: from invite to release, reload, events, dashboard and drain")
	flags.BoolVar(&o.watch, "watch", false, "nodes, status, services, relays, top, totals, limit: show it again every 2 s until ^C; events: go on with those to come")
	flags.StringVar(&o.node, "node", "", "relays: only those of this `NODE`, by name or id")
	flags.StringVar(&o.service, "service", "", "relays, totals: only those of services with this `NAME`")
	flags.IntVar(&o.limit, "limit", o.limit, "relays, totals: at most so many `ROWS`, up to 1000")
	flags.BoolVar(&o.clear, "clear", false, "limit: forget what was said of the node before")
	flags.IntVar(&o.days, "days", o.days, "totals: of so many `DAYS` in UTC, with today")
	flags.StringVar(&o.by, "by", "", "totals: one row for each of `WHAT`: some of day, node and service, or all for one (default: day,node,service)")
	flags.StringVar(&o.secret, "passphrase-file", "", "backup, restore: read the passphrase from the first line of `FILE`")
}

// command returns run, preceded by a check that at least so many operands and none but these flags were
// given.
func (o *options) command(least int, flags string, run func(*call, *options) error) func(*call) error {
	return func(c *call) error {
		var wrong []error
		o.flags.VisitAll(func(f *pflag.Flag) {
			if f.Changed && !slices.Contains(strings.Fields(flags), f.Name) {
				wrong = append(wrong, fmt.Errorf("--%s belongs to another command", f.Name))
			}
		})
		if len(c.Operands) < least {
			wrong = append(wrong, errors.New("want "+c.Usage()))
		}
		if err := errors.Join(wrong...); err != nil {
			return cli.UsageError("apquic-server", err)
		}
		return run(c, o)
	}
}

// expiry is a duration that may be given in days.
type expiry time.Duration

func (e *expiry) String() string {
	if d := time.Duration(*e); d%(24*time.Hour) != 0 {
		return d.String()
	}
	return strconv.FormatInt(int64(*e)/int64(24*time.Hour), 10) + "d"
}

func (e *expiry) Set(s string) error {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil && n > 0 {
			*e = expiry(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second {
		return errors.New("want a time such as 24h or 7d")
	}
	*e = expiry(d)
	return nil
}

func (e *expiry) Type() string { return "TIME" }
