package jsonc

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzDecode: each mistake is at a place in the document, their number and length are bounded, and what is read
// is within the bounds of the form.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		`{"name": "tea", "cups": "3", "hot": true, "time": "3m", "steps": ["boil"], "serving": {"milk": "a little"}}`,
		`{"title": 7, "name": "", "cups": 1e9, "time": null, "steps": [{}, "x!"], "serving": {"salt": 1, "salt": 2}}`,
		"\ufeff// x\n{/**/}", "[[[", `{"name": "tea`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r recipe
		root, err := Parse("f", data, nothingElse)
		if err == nil {
			err = r.read(root)
		}
		if err == nil {
			if r.name == "" || len(r.name) > maxText || r.cups < 0 || r.cups > 12 {
				t.Errorf("%q is read as %+v", data, r)
			}
			return
		}
		mistakes, ok := errors.AsType[Errors](err)
		if !ok || len(mistakes) == 0 || len(mistakes) > maxMistakes+1 {
			t.Fatalf("a %T with %d mistakes: %v", err, len(mistakes), err)
		}
		lines := 1 + bytes.Count(data, []byte("\n"))
		for _, m := range mistakes {
			if len(data) <= MaxSize && (m.Line < 1 || m.Line > lines || m.Column < 1 || m.Column > len(data)+1) || m.Text == "" || len(m.Text) > 4<<10 {
				t.Errorf("mistake at %d:%d of %d lines: %v", m.Line, m.Column, lines, m)
			}
		}
	})
}
