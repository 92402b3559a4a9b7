package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"

	"apquic/internal/hint"
)

const maxSecret = 4 << 10 // bytes of a line

// AskSecret reads a secret, such as a "password": from a terminal without an echo, and twice if it is a new one;
// otherwise the first line.
func AskSecret(from *os.File, prompt io.Writer, what string, isNew bool) (string, error) {
	if !term.IsTerminal(int(from.Fd())) {
		return readSecret(from, what)
	}
	ask := func(text string) (string, error) {
		fmt.Fprint(prompt, text)
		typed, err := term.ReadPassword(int(from.Fd()))
		fmt.Fprintln(prompt)
		if err != nil {
			return "", fmt.Errorf("reading a %s: %w", what, err)
		}
		return string(typed), nil
	}
	first, err := ask(strings.ToUpper(what[:1]) + what[1:] + ": ")
	if err != nil || !isNew {
		return first, err
	}
	second, err := ask("Once more: ")
	if err == nil && first != second {
		err = fmt.Errorf("these are two different %ss", what)
	}
	return first, err
}

func readSecret(from io.Reader, what string) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(from, maxSecret)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading a %s: %w", what, err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// ReadSecretFile reads the first line of a file that nobody else can read.
func ReadSecretFile(path, what string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("the %s file: %w", what, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("the %s file: %w", what, err)
	}
	// Windows has access lists instead, and reports 0666 for every file.
	if mode := info.Mode(); mode.IsRegular() && mode.Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return "", hint.Add(fmt.Errorf("the %s file %s has mode %04o, so others than its owner can use it", what, path, mode.Perm()), "chmod 600 %s", path)
	}
	return readSecret(file, what)
}
