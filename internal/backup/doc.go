// Package backup keeps the files of a data directory in one encrypted file, and makes a data directory of one.
//
// The file is that of age (age-encryption.org/v1) with a passphrase as its only recipient, so that nobody can change
// it without the passphrase, nor cut it off. In it is a tar archive, whose first entry says what it is ([About]).
// "age -d FILE | tar -t" lists it.
//
// The package must not know what the files are for: [Directory] says which there are, how large they may be, and how
// to check them. It trusts nothing in a file that it reads, and gives the directory all of it or nothing.
package backup
