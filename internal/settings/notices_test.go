package settings

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNotices: a notice in a file and as a flag, what a reload makes of it, and no description with what may be secret.
func TestNotices(t *testing.T) {
	t.Parallel()
	const text = `[
		{"events": ["node-away", "join"], "after": "10m", "url": "https://ntfy.example.org/geheim", "headers": {"Title": "geheim"}, "body": {"text": /* what */ "{text}",}},
		{"events": ["log"], "command": ["/bin/true", "geheim"], "perHour": 3},
	]`
	s := DefaultServer()
	if err := ParseServer("s", []byte(`{"notices": `+text+`}`), &s); err != nil {
		t.Fatal(err)
	}
	first, second := s.Notices[0], s.Notices[1]
	if first.After != 10*time.Minute || first.PerHour != 20 || !first.JSON || first.Body != `{"text":"{text}"}` || first.Headers["Title"] != "geheim" {
		t.Errorf("%+v", first)
	}
	if second.After != 5*time.Minute || second.PerHour != 3 || !slices.Equal(second.Command, []string{"/bin/true", "geheim"}) {
		t.Errorf("%+v", second)
	}
	described := s.Describe()
	for _, want := range []string{"notices[0]", "node-away, join (after 10m0s) to https://ntfy.example.org, each 20 times an hour at most", "log to /bin/true, each 3 times"} {
		if !strings.Contains(described, want) {
			t.Errorf("%q is missing in\n%s", want, described)
		}
	}
	n := DefaultNode()
	if err := noticesRow(&n.Notices).Set(text); err != nil || len(n.Notices) != 2 {
		t.Errorf("as a flag: %v, %v", n.Notices, err)
	}
	next := s
	next.Notices = slices.Clone(s.Notices)
	next.Notices[0].Headers = map[string]string{"Title": "geheimer"}
	next.Notices = append(next.Notices, second)
	now, changes := s.Follow(next)
	if len(now.Notices) != 3 || len(changes) != 2 || !changes[0].Live || changes[0].What != "notices[0]: changed" || !strings.HasPrefix(changes[1].What, "notices[2]: added, log to") {
		t.Errorf("%+v", changes)
	}
	if strings.Contains(described, "geheim") || strings.Contains(changes[0].What+changes[1].What, "geheim") {
		t.Errorf("secrets are shown in\n%s\n%v", described, changes)
	}
}

func TestWrongNotices(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{}`:               "a list such as",
		`[{}]`:             "events is missing",
		`[{"events": []}]`: "no events",
		`[{"events": ["joim"], "url": "https://a.example.org"}]`:               "did you mean join",
		`[{"events": ["join"], "url": "geheim"}]`:                              "the url is none",
		`[{"events": ["join"], "url": "https://a.example.org", "body": 1}]`:    "neither a text nor an object",
		`[{"events": ["join"], "ulr": "https://a.example.org/geheim"}]`:        "did you mean url",
		`[{"events": ["join"], "command": "reboot"}]`:                          "command",
		`[{"events": ["join"], "command": ["reboot"]}]`:                        "no absolute path",
		`[{"events": ["join"], "url": "https://a.example.org", "after": "x"}]`: "after",
	} {
		s := DefaultServer()
		err := ParseServer("s", []byte(`{"notices": `+text+`}`), &s)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if err := noticesRow(&s.Notices).Set(text); err == nil {
			t.Errorf("%s is a flag", text)
		}
	}
}

// TestNoticesHowto: the settings in docs/howto/notices.md are right.
func TestNoticesHowto(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/howto/notices.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?ms)^```json\n(.*?)^```$").FindAllSubmatch(text, -1)
	if len(examples) != 4 {
		t.Errorf("%d examples", len(examples))
	}
	for _, example := range examples {
		s := DefaultServer()
		if err := ParseServer("howto", example[1], &s); err != nil || len(s.Notices) != 1 {
			t.Errorf("%v in\n%s", err, example[1])
		}
	}
}
