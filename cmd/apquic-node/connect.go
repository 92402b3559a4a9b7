package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"apquic/certs"
	"apquic/internal/cli"
	"apquic/internal/hint"
	"apquic/internal/joint"
	"apquic/internal/settings"
	"apquic/quicproxy/node"
)

const (
	// knownNodesName is the file of what names of nodes meant when they were first used.
	knownNodesName = "known_nodes"
	// connectTimeout bounds a connect, with the wait for a connection to the server.
	connectTimeout = 30 * time.Second
	// maxConnects is how many connections a listener carries at once.
	maxConnects = 256
)

// connector connects to one private service of another node.
type connector struct {
	node    *node.Node
	to      string // its id or name
	service string
	log     *slog.Logger
}

// connect carries connections to a private service: those to the address listen, or the one of stdin and stdout.
func connect(c *call, listen string, stdio bool) error {
	to, service, err := settings.ParseTarget(strings.Join(c.Operands, " "))
	if err == nil && (listen == "") != stdio {
		err = errors.New("connect needs either --listen ADDRESS, such as 127.0.0.1:2222, or --stdio")
	}
	if err != nil {
		return cli.UsageError("apquic-node", err)
	}
	stopping, cancel := cli.NewStopping(func() {})
	defer cancel()
	n, log, err := connectingNode(c, stopping)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(stopping.Soon)
	var serving sync.WaitGroup
	serving.Go(func() { n.Run(running) })
	defer serving.Wait()
	defer stop()
	connector := &connector{node: n, to: to, service: service, log: log}
	if stdio {
		return connector.overStdio(running)
	}
	return connector.listen(running, listen, c.Stdout)
}

// connectingNode makes a node that only connects. Its log has only what is wrong, unless more was asked for: it is read
// between the lines of other programs.
func connectingNode(c *call, stopping cli.Stopping) (*node.Node, *slog.Logger, error) {
	server, err := findServer(&c.Settings)
	if err != nil {
		return nil, nil, err
	}
	if err := c.Settings.ValidateJoin(); err != nil {
		return nil, nil, cli.UsageError("apquic-node", err)
	}
	config := c.Settings
	if config.LogLevel == settings.DefaultNode().LogLevel {
		config.LogLevel = "warn"
	}
	logger, err := cli.NewLog(c.Stderr, config.LogLevel, config.LogFormat)
	if err != nil {
		return nil, nil, cli.UsageError("apquic-node", err)
	}
	log := logger.Logger
	key, err := nodeKey(config)
	if err != nil {
		return nil, nil, err
	}
	n, err := newNode(config, key, server, func(into *node.Config) {
		into.Connects, into.StopNow, into.Log = true, stopping.Now, log
		into.KnownNode = knownNode(config.DataDir, func(name, id, file string) {
			fmt.Fprintf(c.Stderr, "%s is the node %s, says the server; that is remembered in %s\n", name, id, file)
		})
		into.OnWelcome = func(w node.Welcome) {
			if err := server.welcomed(w); err != nil {
				log.Warn("the server cannot be remembered", "err", err)
			}
		}
	})
	return n, log, err
}

// dial connects to the service.
func (c *connector) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return c.node.Connect(ctx, c.to, c.service)
}

// overStdio carries stdin and stdout. After a reset it does not wait for stdin, which cannot be interrupted.
func (c *connector) overStdio(ctx context.Context) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return fmt.Errorf("%s/%s: %w", c.to, c.service, err)
	}
	defer context.AfterFunc(ctx, func() { joint.Reset(conn) })()
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(conn, os.Stdin)
		if half, ok := conn.(interface{ CloseWrite() error }); err == nil && ok {
			err = half.CloseWrite()
		}
		sent <- err
	}()
	_, err = io.Copy(os.Stdout, conn)
	if err == nil {
		os.Stdout.Close()
		err = <-sent
	}
	if err != nil {
		joint.Reset(conn)
		return fmt.Errorf("the connection to %s/%s broke: %w", c.to, c.service, err)
	}
	conn.Close()
	return nil
}

// listen carries the connections to an address until ctx ends.
func (c *connector) listen(ctx context.Context, address string, out io.Writer) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listening for connections to %s/%s: %w", c.to, c.service, err)
	}
	defer listener.Close()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	fmt.Fprintf(out, "tcp://%v -> %s/%s\n", listener.Addr(), c.to, c.service)
	if at, err := netip.ParseAddrPort(listener.Addr().String()); err == nil && !at.Addr().Unmap().IsLoopback() {
		c.log.Warn("whoever reaches this address connects to the private service as this node does", "address", listener.Addr().String(),
			"hint", "listen at 127.0.0.1 unless others are to connect, too")
	}
	places := make(chan struct{}, maxConnects)
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		local, err := listener.Accept()
		if err != nil && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("listening for connections to %s/%s: %w", c.to, c.service, err)
		}
		select {
		case places <- struct{}{}:
			serving.Go(func() {
				defer func() { <-places }()
				c.carry(ctx, local)
			})
		default:
			joint.Reset(local)
		}
	}
}

// carry carries one connection.
func (c *connector) carry(ctx context.Context, local net.Conn) {
	conn, err := c.dial(ctx)
	if err != nil {
		c.log.Warn("no connection", "to", c.to+"/"+c.service, "err", err, "hint", hint.Of(err))
		joint.Reset(local)
		return
	}
	defer context.AfterFunc(ctx, func() { joint.Reset(local) })()
	joint.Join(local, conn)
}

// knownNode returns what decides whether a name means the node that it always meant, and tells of each new one.
func knownNode(dataDir string, tell func(name, id, file string)) func(string, certs.NodeID) error {
	path := filepath.Join(dataDir, knownNodesName)
	known := certs.NewKnownNodes(path)
	return func(name string, id certs.NodeID) error {
		first, err := known.Check(name, id)
		if first {
			tell(name, id.String(), path)
		}
		return err
	}
}
