package framing

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// grammar is a set of rules in ABNF (RFC 5234), by name.
type grammar map[string]string

// coreRules are those of RFC 5234 appendix B.1 and of RFC 3986 appendix A that the specification uses.
const coreRules = `
ALPHA = %x41-5A / %x61-7A
DIGIT = %x30-39
HEXDIG = DIGIT / "A" / "B" / "C" / "D" / "E" / "F"
IPv6address = 6( h16 ":" ) ls32 / "::" 5( h16 ":" ) ls32 / [ h16 ] "::" 4( h16 ":" ) ls32
 / [ *1( h16 ":" ) h16 ] "::" 3( h16 ":" ) ls32 / [ *2( h16 ":" ) h16 ] "::" 2( h16 ":" ) ls32
 / [ *3( h16 ":" ) h16 ] "::" h16 ":" ls32 / [ *4( h16 ":" ) h16 ] "::" ls32
 / [ *5( h16 ":" ) h16 ] "::" h16 / [ *6( h16 ":" ) h16 ] "::"
h16 = 1*4HEXDIG
ls32 = ( h16 ":" h16 ) / IPv4address
IPv4address = dec-octet "." dec-octet "." dec-octet "." dec-octet
dec-octet = DIGIT / %x31-39 DIGIT / "1" 2DIGIT / "2" %x30-34 DIGIT / "25" %x30-35
`

// readGrammar reads the rules of the specification.
func readGrammar(t testing.TB) grammar {
	t.Helper()
	g := make(grammar)
	text := coreRules
	for _, m := range regexp.MustCompile("(?s)\n```abnf\n(.*?)```").FindAllStringSubmatch(readSpecification(t), -1) {
		text += m[1]
	}
	text = regexp.MustCompile(`(?m) *;.*$`).ReplaceAllString(text, "")
	for _, m := range regexp.MustCompile(`(?m)^([A-Za-z][\w-]*) *= *(.*(?:\n .*)*)`).FindAllStringSubmatch(text, -1) {
		if g[m[1]] != "" {
			t.Fatalf("two rules %s", m[1])
		}
		g[m[1]] = m[2]
	}
	return g
}

var (
	abnfToken  = regexp.MustCompile(`^\s*(%s"[^"]*"|"[^"]*"|%x[0-9A-F]+(?:-[0-9A-F]+)?|\d*\*\d*|\d+|[A-Za-z][\w-]*|[()\[\]/])`)
	abnfRepeat = regexp.MustCompile(`^(\d*)(\*?)(\d*)$`)
)

// compile makes an expression of a rule that matches the whole of a text. The rules must not refer to
// themselves.
func (g grammar) compile(t testing.TB, rule string) *regexp.Regexp {
	t.Helper()
	return regexp.MustCompile("^(?:" + g.expression(t, rule) + ")$")
}

func (g grammar) expression(t testing.TB, rule string) string {
	t.Helper()
	text, ok := g[rule]
	if !ok {
		t.Fatalf("there is no rule %s", rule)
	}
	var out strings.Builder
	repeat := ""
	for strings.TrimSpace(text) != "" {
		token := abnfToken.FindStringSubmatch(text)
		if token == nil {
			t.Fatalf("rule %s: cannot read %q", rule, text)
		}
		text = text[len(token[0]):]
		if m := abnfRepeat.FindStringSubmatch(token[1]); m != nil {
			repeat = repetition(m[1], m[2], m[3])
			continue
		}
		switch {
		case token[1] == "(":
			// What repeats a group stands before it in ABNF and behind it here.
			group, rest := cutGroup(text, '(', ')')
			out.WriteString("(?:" + with(g, "", group).expression(t, "") + ")" + repeat)
			text = rest
		case token[1] == "[":
			group, rest := cutGroup(text, '[', ']')
			out.WriteString("(?:" + with(g, "", group).expression(t, "") + ")?")
			text = rest
		case token[1] == "/":
			out.WriteString("|")
		default:
			out.WriteString(g.element(t, token[1]) + repeat)
		}
		repeat = ""
	}
	return out.String()
}

func (g grammar) element(t testing.TB, token string) string {
	t.Helper()
	switch {
	case strings.HasPrefix(token, `%s"`):
		return "(?:" + regexp.QuoteMeta(strings.Trim(token[2:], `"`)) + ")"
	case strings.HasPrefix(token, `"`): // in either case
		return "(?i:" + regexp.QuoteMeta(strings.Trim(token, `"`)) + ")"
	case strings.HasPrefix(token, "%x"):
		from, to, isRange := strings.Cut(token[2:], "-")
		if !isRange {
			to = from
		}
		return fmt.Sprintf(`[\x{%s}-\x{%s}]`, from, to)
	}
	return "(?:" + g.expression(t, token) + ")"
}

func repetition(least, star, most string) string {
	if star == "" {
		return "{" + least + "}"
	}
	if least == "" {
		least = "0"
	}
	return "{" + least + "," + most + "}"
}

// cutGroup splits text behind the bracket that closes the one before it.
func cutGroup(text string, opening, closing rune) (group, rest string) {
	depth, quoted := 1, false
	for i, r := range text {
		switch {
		case r == '"':
			quoted = !quoted
		case quoted:
		case r == opening:
			depth++
		case r == closing:
			if depth--; depth == 0 {
				return text[:i], text[i+1:]
			}
		}
	}
	return text, ""
}

func with(g grammar, name, text string) grammar {
	extended := make(grammar)
	for n, r := range g {
		extended[n] = r
	}
	extended[name] = text
	return extended
}

var portAtEnd = regexp.MustCompile(`[^:\[]:[0-9]+$|\]:[0-9]+$`)

// originGrammar judges origin addresses as the grammar of the specification does, with what stands in its
// comments.
func originGrammar(t testing.TB) (valid func(string) bool) {
	t.Helper()
	whole, path := readGrammar(t).compile(t, "origin"), readGrammar(t).compile(t, "path-origin")
	return func(s string) bool {
		if len(s) > 1024 || !whole.MatchString(s) || strings.ToValidUTF8(s, "") != s {
			return false
		}
		if strings.HasPrefix(s, "unix:") || strings.HasPrefix(s, "file:") {
			return path.MatchString(s)
		}
		if s == "socks5:" {
			return true
		}
		s = s[strings.LastIndexAny(s, "/]")+1:]
		if _, digits, found := strings.Cut(s, ":"); found {
			port, err := strconv.Atoi(digits)
			return err == nil && port <= 65535
		}
		return true
	}
}

// TestOriginGrammar: the grammar of the specification says the same as the vectors, which the code is tested
// with.
func TestOriginGrammar(t *testing.T) {
	t.Parallel()
	valid := originGrammar(t)
	for _, v := range readVectors(t, "origins.txt") {
		origin := v.text(t, "origin")
		if got := valid(origin); got != (v["valid"] != "no") {
			t.Errorf("%q: the grammar says %t", origin, got)
			continue
		}
		if v["valid"] == "no" {
			continue
		}
		spelling := strings.Replace(strings.Replace(origin, "unix://", "unix:", 1), "file://", "file:", 1)
		switch scheme, rest, _ := strings.Cut(spelling, "://"); {
		case strings.HasPrefix(spelling, "unix:"), strings.HasPrefix(spelling, "file:"), spelling == "socks5:":
		case scheme == "http" && !portAtEnd.MatchString(rest):
			spelling += ":80"
		case scheme == "https" && !portAtEnd.MatchString(rest):
			spelling += ":443"
		case rest == "":
			spelling = "tcp://" + spelling
		}
		if spelling != v.text(t, "uri") {
			t.Errorf("%q: the one spelling is %q", origin, spelling)
		}
	}
}

func TestServiceNameGrammar(t *testing.T) {
	t.Parallel()
	whole := readGrammar(t).compile(t, "service")
	for _, v := range readVectors(t, "service-names.txt") {
		if name := v.text(t, "service"); whole.MatchString(name) != (v.text(t, "valid") == "yes") {
			t.Errorf("%q: the grammar says %t", name, whole.MatchString(name))
		}
	}
}

// TestDomainGrammar: the grammar accepts every domain; the text excludes some that it accepts. Package domain
// has the test of the code.
func TestDomainGrammar(t *testing.T) {
	t.Parallel()
	whole := readGrammar(t).compile(t, "domain")
	refused := 0
	for _, v := range readVectors(t, "domains.txt") {
		switch name, matches := v.text(t, "domain"), whole.MatchString(v.text(t, "domain")); {
		case v.text(t, "valid") == "yes" && !matches:
			t.Errorf("%q does not match", name)
		case !matches:
			refused++
		}
	}
	if refused < 10 {
		t.Errorf("the grammar refuses only %d", refused)
	}
}

// TestGrammarIsUsed: no rule stands there for nothing.
func TestGrammarIsUsed(t *testing.T) {
	t.Parallel()
	g := readGrammar(t)
	for rule := range g {
		used := rule == "origin" || rule == "service" || rule == "domain"
		for _, text := range g {
			used = used || regexp.MustCompile(`(^|[^A-Za-z"-])`+rule+`($|[^\w"-])`).MatchString(text)
		}
		if !used {
			t.Errorf("nothing uses the rule %s", rule)
		}
	}
}
