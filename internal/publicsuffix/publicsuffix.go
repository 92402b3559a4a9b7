// Package publicsuffix says which wildcards nobody may have, because anybody can have a name below them.
//
// It must not decide about other domains. It links net/http, so package lease is handed its function.
package publicsuffix

import (
	"fmt"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Check returns why a domain may not be one owner's: it is a wildcard such as *.co.uk and *.duckdns.org, whose names have
// many (publicsuffix.org). Suffixes that the list does not know are owned.
func Check(domain string) error {
	rest, wildcard := strings.CutPrefix(domain, "*.")
	if suffix, _ := publicsuffix.PublicSuffix(rest); wildcard && suffix == rest {
		return fmt.Errorf("%.80q stands for names of many owners, because anybody can have a name below %.80s", domain, rest)
	}
	return nil
}
