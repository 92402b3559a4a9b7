package publicsuffix

import "testing"

func TestCheck(t *testing.T) {
	t.Parallel()
	for domain, owned := range map[string]bool{
		"www.example.org": true, "*.example.org": true, "*.home.lan": true, "*.example.co.uk": true, "nas.duckdns.org": true, "*.nas.duckdns.org": true,
		"*.co.uk": false, "*.duckdns.org": false, "*.github.io": false,
	} {
		if err := Check(domain); (err == nil) != owned {
			t.Errorf("%s: %v", domain, err)
		}
	}
}
