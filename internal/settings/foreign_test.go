package settings

import "testing"

func TestForeignFiles(t *testing.T) {
	t.Parallel()
	for file, place := range map[string]string{
		`{"serverAddr": "x", "proxies": []}`:                            "f:1: ",
		"# client\nserverAddr = \"x\"\n\n[[proxies]]\nname = \"web\"\n": "f:2: ",
		"[common]\nserver_addr = x\n":                                   "f:1: ",
	} {
		n := DefaultNode()
		err := ParseNode("f", []byte(file), &n)
		wantMistakes(t, err, []string{place + "this is a file for frp"})
		if hintOf(err) == "" {
			t.Errorf("%s: no hint", file)
		}
	}
}
