package main

import (
	"fmt"
	"os"

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
	secret, err := cli.AskSecret(os.Stdin, c.Stderr, "password", true)
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
