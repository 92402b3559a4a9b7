// Package table writes tables and numbers for people who read them in a terminal of 80 columns.
//
// It must not know what is in them. Whatever is in a cell, no control character and no line of more than 80 columns
// comes out.
package table

import (
	"io"
	"slices"
	"strings"
	"unicode"

	"apquic/internal/hint"
)

// Width is how many columns a line has at most.
const Width = 80

const (
	gap   = 2 // between columns
	least = 4 // columns that a cell keeps

	maxCell = 4 * Width // bytes that are looked at
)

// Write writes rows in columns as wide as their widest cell; if that is more than fits, the widest columns are cut.
// A row of one cell is a line of its own, and an empty one begins another table.
func Write(w io.Writer, rows [][]string) error {
	var text strings.Builder
	for len(rows) > 0 {
		end := slices.IndexFunc(rows, func(row []string) bool { return len(row) == 0 })
		if end < 0 {
			write(&text, rows)
			break
		}
		write(&text, rows[:end])
		text.WriteString("\n")
		rows = rows[end+1:]
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func write(text *strings.Builder, rows [][]string) {
	for _, line := range Lines(rows, Width) {
		text.WriteString(line + "\n")
	}
}

// Lines returns the lines of one table as Write writes them, of at most so many columns.
func Lines(rows [][]string, most int) (lines []string) {
	var widths []int
	for _, row := range rows {
		for i := range row {
			row[i] = hint.Printable(row[i], maxCell)
			if len(row) == 1 {
				continue
			}
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Columns(row[i]))
		}
	}
	fit(widths, most)
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			if len(row) == 1 {
				line.WriteString(Cut(cell, most))
				break
			}
			cell = Cut(cell, widths[i])
			line.WriteString(cell + strings.Repeat(" ", widths[i]-Columns(cell)+gap))
		}
		lines = append(lines, Cut(strings.TrimRight(line.String(), " "), most))
	}
	return lines
}

// fit makes the widest columns narrower until a line fits.
func fit(widths []int, most int) {
	total := gap * (len(widths) - 1)
	for _, n := range widths {
		total += n
	}
	for ; total > most; total-- {
		widest := 0
		for i, n := range widths {
			if n > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= least {
			return // there are too many columns
		}
		widths[widest]--
	}
}

// Cut returns so many columns of a text at most, with … in place of what is missing.
func Cut(text string, most int) string {
	if Columns(text) <= most {
		return text
	}
	used := 1
	for i, r := range text {
		if used += wide(r); used > most {
			return text[:i] + "…"
		}
	}
	return text
}

// Columns is how many columns a terminal shows a text in.
func Columns(text string) (n int) {
	for _, r := range text {
		n += wide(r)
	}
	return n
}

// wide is how many columns a terminal shows a character in.
func wide(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul), r >= 0x3000 && r <= 0x303f, r >= 0xff01 && r <= 0xff60, r >= 0x1f300 && r <= 0x1faff:
		return 2
	}
	return 1
}
