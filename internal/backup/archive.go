package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"

	"apquic/internal/hint"
)

const (
	version   = 1 // of the archive
	aboutName = "apquic-backup.json"
	maxAbout  = 4 << 10 // bytes

	// The work for a passphrase, as the exponent of scrypt's N: new files cost 128 MiB and less than a second, which a
	// small server has. The program age makes files of 18.
	defaultWork, maxWork = 17, 18

	intro      = "age-encryption.org/v1\n-> scrypt " // a passphrase, which then is the only recipient
	maxIntro   = 4 << 10                             // bytes before what is encrypted
	maxTrailer = 1 << 20                             // bytes after the last entry
	maxEntries = 1 << 16
)

// About says what a backup is.
type About struct {
	Version int       `json:"version"`
	Program string    `json:"program"` // that made it
	Made    time.Time `json:"made"`
	Server  string    `json:"server"`            // its id
	Address string    `json:"address,omitempty"` // HOST:PORT where nodes look for it
}

var errDamaged = errors.New("the backup is damaged")

// writer writes an archive.
type writer struct {
	ctx    context.Context
	tar    *tar.Writer
	sealed io.WriteCloser
	about  About
}

func newWriter(ctx context.Context, to io.Writer, passphrase string, work int, about About) (*writer, error) {
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	recipient.SetWorkFactor(work)
	sealed, err := age.Encrypt(to, recipient)
	if err != nil {
		return nil, err
	}
	about.Version = version
	w := &writer{ctx, tar.NewWriter(sealed), sealed, about}
	text, err := json.MarshalIndent(about, "", "  ")
	if err != nil {
		return nil, err
	}
	return w, w.add(aboutName, int64(len(text)), bytes.NewReader(text))
}

func (w *writer) add(name string, size int64, from io.Reader) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: w.about.Made}); err != nil {
		return err
	}
	_, err := io.CopyN(w.tar, from, size)
	if errors.Is(err, io.EOF) {
		return errors.New("it became shorter while it was read")
	}
	return err
}

func (w *writer) close() error { return errors.Join(w.tar.Close(), w.sealed.Close()) }

// entry is a file in an archive.
type entry struct {
	name string
	size int64
	io.Reader
}

// read reads an archive up to its end, and has begin take what it is, and take each file.
func read(ctx context.Context, from io.Reader, passphrase string, begin func(About) error, take func(entry) error) error {
	plain, err := unseal(from, passphrase)
	if err != nil {
		return err
	}
	archive := tar.NewReader(plain)
	about, err := readAbout(archive)
	if err != nil {
		return err
	}
	if err := begin(about); err != nil {
		return err
	}
	for range maxEntries {
		if err := ctx.Err(); err != nil {
			return err
		}
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return readEnd(plain)
		}
		if err != nil {
			return damaged(err)
		}
		if header.Typeflag != tar.TypeReg {
			return fmt.Errorf("%w: %q is not a file", errDamaged, hint.Printable(header.Name, 80))
		}
		if err := take(entry{header.Name, header.Size, archive}); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: it has more than %d files", errDamaged, maxEntries)
}

// unseal checks the passphrase. What comes out of the reader is authentic, as far as it goes.
func unseal(from io.Reader, passphrase string) (io.Reader, error) {
	// Age would take lines of any length.
	buffered := bufio.NewReaderSize(from, maxIntro)
	begin, err := buffered.Peek(maxIntro)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the backup: %w", err)
	}
	if !bytes.HasPrefix(begin, []byte(intro)) {
		return nil, hint.Add(errors.New("this is not a backup"), "name a file that apquic-server backup has made")
	}
	_, last, found := bytes.Cut(begin, []byte("\n--- "))
	if !found || !bytes.Contains(last, []byte("\n")) {
		return nil, damaged(errors.New("it has no end of its header"))
	}
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	identity.SetMaxWorkFactor(maxWork)
	plain, err := age.Decrypt(buffered, identity)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, hint.Add(errors.New("the passphrase is wrong"), "each backup has the passphrase that was given when it was made")
	}
	if err != nil {
		return nil, damaged(err)
	}
	return plain, nil
}

func readAbout(archive *tar.Reader) (about About, err error) {
	header, err := archive.Next()
	if err != nil {
		return about, damaged(err)
	}
	if header.Name != aboutName || header.Typeflag != tar.TypeReg || header.Size > maxAbout {
		return about, hint.Add(errors.New("this is not a backup of a server"), "name a file that apquic-server backup has made")
	}
	text, err := io.ReadAll(archive)
	if err != nil {
		return about, damaged(err)
	}
	if err := json.Unmarshal(text, &about); err != nil {
		return about, damaged(err)
	}
	if about.Version != version {
		return about, hint.Add(fmt.Errorf("the backup has version %d, and this program reads version %d", about.Version, version),
			"use the program that made it: %s", hint.Printable(about.Program, 80))
	}
	return about, nil
}

// readEnd reads what follows the last file: only then is it sure that nothing was cut off.
func readEnd(plain io.Reader) error {
	n, err := io.Copy(io.Discard, io.LimitReader(plain, maxTrailer))
	if err != nil {
		return damaged(err)
	}
	if n == maxTrailer {
		return fmt.Errorf("%w: something follows its last file", errDamaged)
	}
	return nil
}

func damaged(err error) error {
	return hint.Add(fmt.Errorf("%w or was cut off: %w", errDamaged, err), "copy the whole file again, or use another backup")
}
