package show

import (
	"strings"
	"testing"

	"rsc.io/qr"
)

// TestDrawQR: what is drawn has every module of the code.
func TestDrawQR(t *testing.T) {
	t.Parallel()
	code, err := qr.Encode("apquic://example", qr.L)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(draw(code), "\n"), "\n")
	if len(lines) != (code.Size+2*quiet+1)/2 {
		t.Fatalf("%d lines for %d modules", len(lines), code.Size)
	}
	for y := range code.Size {
		line := []rune(lines[(y+quiet)/2])
		for x := range code.Size {
			lights := map[rune]string{' ': "", '▀': "u", '▄': "l", '█': "ul"}[line[x+quiet]]
			half := "u"
			if (y+quiet)%2 == 1 {
				half = "l"
			}
			if code.Black(x, y) == strings.Contains(lights, half) {
				t.Fatalf("module %d, %d is %q", x, y, line[x+quiet])
			}
		}
	}
}
