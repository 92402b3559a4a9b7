// Package suggest finds what a misspelled word probably meant. It must not decide anything: suggestions are
// for people to read.
package suggest

import (
	"slices"
	"strings"
)

// maxTypos is how many letters a suggestion may differ in.
const maxTypos = 2

// Nearest returns the known word that word probably meant, or "".
func Nearest(word string, known []string) string {
	best, least := "", maxTypos+1
	for _, candidate := range slices.Sorted(slices.Values(known)) {
		if strings.EqualFold(word, candidate) {
			return candidate
		}
		if typos := distance(word, candidate, maxTypos); typos < least && typos < len(candidate) {
			best, least = candidate, typos
		}
	}
	return best
}

// distance is the Levenshtein distance of a and b in bytes, or most+1 if their lengths alone differ by more
// than most.
func distance(a, b string, most int) int {
	if max(len(a), len(b))-min(len(a), len(b)) > most {
		return most + 1
	}
	row := make([]int, len(b)+1) // distances of a[:i] to each b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
