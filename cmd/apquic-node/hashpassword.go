package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"apquic/internal/cli"
	"apquic/internal/password"
)

// hashPassword prints what belongs into a file for a user whose password comes from the terminal, or from
// stdin.
func hashPassword(c *call) error {
	user := ""
	if len(c.Operands) > 0 {
		user = c.Operands[0]
	}
	if err := password.CheckUser(user); err != nil {
		return cli.UsageError("apquic-node", fmt.Errorf("hash-password NAME: %w", err))
	}
	secret, err := readPassword(os.Stdin, c.Stderr)
	if err != nil {
		return err
	}
	hash, err := password.Hash(secret)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.Stdout, "%q: %q\n", user, hash)
	return nil
}

// readPassword reads a line, from a terminal without an echo and twice.
func readPassword(from *os.File, prompt io.Writer) (string, error) {
	terminal := int(from.Fd())
	if !term.IsTerminal(terminal) {
		line, err := bufio.NewReader(io.LimitReader(from, 4<<10)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("reading a password: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	ask := func(text string) (string, error) {
		fmt.Fprint(prompt, text)
		typed, err := term.ReadPassword(terminal)
		fmt.Fprintln(prompt)
		return string(typed), err
	}
	first, err := ask("Password: ")
	if err != nil {
		return "", fmt.Errorf("reading a password: %w", err)
	}
	second, err := ask("Once more: ")
	if err != nil {
		return "", fmt.Errorf("reading a password: %w", err)
	}
	if first != second {
		return "", errors.New("these are two different passwords")
	}
	return first, nil
}
