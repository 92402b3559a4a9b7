package show

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// quiet is the empty border that readers need, in modules.
const quiet = 2

// QRCode draws a text as a QR code with one character per two modules, dark ones as spaces: most terminals are dark,
// and readers also accept the inverse, which light ones show.
func QRCode(text string) (string, error) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return "", fmt.Errorf("drawing the QR code: %w", err)
	}
	return draw(code), nil
}

func draw(code *qr.Code) string {
	light := func(x, y int) bool {
		return y < code.Size+quiet && !code.Black(x, y)
	}
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		for x := -quiet; x < code.Size+quiet; x++ {
			switch upper, lower := light(x, y), light(x, y+1); {
			case upper && lower:
				b.WriteRune('█')
			case upper:
				b.WriteRune('▀')
			case lower:
				b.WriteRune('▄')
			default:
				b.WriteRune(' ')
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
