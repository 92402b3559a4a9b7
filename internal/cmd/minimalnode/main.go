// Minimalnode is the node of docs/protocol.md section 13, the least that serves relays: a session over QUIC,
// the necessary messages, TCP both ways. It shows that the document is sufficient, and what can be left out;
// the end-to-end tests run it against the real server. Nobody should use it.
//
//	minimalnode KEYFILE INVITATION NAME=HOST:PORT...
//
// It prints "NAME tcp://HOST:PORT" for each public address. It imports nothing of this module: Protocol
// Buffers, base58 and signed bytes are written by hand, so that a mistake that the module makes on both sides
// shows here.
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	random "math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// service is what the node exposes.
type service struct{ name, upstream string }

// node is what outlives a connection.
type node struct {
	key      ed25519.PrivateKey
	server   []byte // id
	address  string
	secret   []byte // nil once the node was admitted
	services []service
	instance uint64
	standby  bool
}

func run(ctx context.Context, args []string) error {
	if len(args) < 3 {
		return errors.New("usage: minimalnode KEYFILE INVITATION NAME=HOST:PORT [NAME=HOST:PORT]")
	}
	n := &node{instance: random.Uint64()}
	var err error
	if n.key, err = loadKey(args[0]); err != nil {
		return err
	}
	if err := n.parseInvitation(args[1]); err != nil {
		return err
	}
	for _, arg := range args[2:] {
		name, upstream, _ := strings.Cut(arg, "=")
		n.services = append(n.services, service{name, upstream})
	}
	limit := time.Second
	for ctx.Err() == nil {
		begin := time.Now()
		err := n.connect(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(begin) > 10*time.Second {
			limit = time.Second
		}
		pause := max(random.N(limit), retryAfter(err)) // section 9
		limit = min(2*limit, time.Minute)
		fmt.Fprintf(os.Stderr, "not connected: %v; again in %v\n", err, pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	return nil
}

// loadKey reads the seed of the key, or makes one.
func loadKey(file string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return key, os.WriteFile(file, []byte(hex.EncodeToString(key.Seed())), 0o600)
	}
	if err != nil {
		return nil, err
	}
	seed, err := hex.DecodeString(string(text))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s has no key", file)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// parseInvitation is section 2.3.
func (n *node) parseInvitation(text string) error {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), "apquic://")
	rest, secret, secretThere := strings.Cut(rest, "#")
	id, address, at := strings.Cut(rest, "@")
	n.server, n.address = decodeBase58(id), address
	if !ok || !at || len(id) > 44 || len(n.server) != 32 || len(text) > 512 {
		return errors.New("this is not an invitation")
	}
	if !secretThere {
		return nil
	}
	checked := decodeBase58(secret)
	if len(checked) < 3 {
		return errors.New("the secret of the invitation is truncated")
	}
	n.secret = checked[:len(checked)-2]
	check := sha256.Sum256(append(append([]byte("apquic/1 invitation\x00"), n.server...), n.secret...))
	if string(check[:2]) != string(checked[len(n.secret):]) {
		return errors.New("the secret of the invitation is truncated or mistyped")
	}
	return nil
}

// decodeBase58 is section 2.2; nil: text is not base58.
func decodeBase58(text string) []byte {
	const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	number, zeros := new(big.Int), 0
	for i, c := range text {
		digit := strings.IndexRune(alphabet, c)
		if digit < 0 {
			return nil
		}
		if digit == 0 && zeros == i {
			zeros++
		}
		number.Add(number.Mul(number, big.NewInt(58)), big.NewInt(int64(digit)))
	}
	return append(make([]byte, zeros), number.Bytes()...)
}
