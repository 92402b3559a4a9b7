package main

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestSpread(t *testing.T) {
	for _, test := range []struct {
		samples []float64
		want    spread
	}{
		{[]float64{7}, spread{7, 7, 7}},
		{[]float64{3, 1, 2}, spread{2, 1, 3}},
		{[]float64{4, 1, 2, 3}, spread{2.5, 1, 4}},
	} {
		if got := spreadOf(test.samples); got != test.want {
			t.Errorf("%v: %v, not %v", test.samples, got, test.want)
		}
	}
}

func TestFormat(t *testing.T) {
	for _, test := range []struct {
		unit  unit
		value float64
		want  string
	}{
		{micros, 0, "0"}, {micros, 1234.5, "1234"}, {micros, 56.78, "56.8"}, {times, 0.987, "0.99"}, {secs, 20, "20"}, {percent, -0.126, "-0.13"}, {percent, -0.001, "0.00"},
		{yesNo, 1, "yes"}, {yesNo, 0, "no"}, {yesNo, 0.5, "at times"},
	} {
		if got := test.unit.format(test.value); got != test.want {
			t.Errorf("%v %s is written %q, not %q", test.value, test.unit, got, test.want)
		}
	}
}

func TestTable(t *testing.T) {
	m := measurement{name: "speed", rows: []row{
		{"rate", "speed", megabytesPerSecond, higher}, {"cpu", "CPU for it", secondsPerGigabyte, lower},
	}}
	never := measurement{name: "never", rows: []row{{"never", "not measured", secs, lower}}}
	other := measurement{name: "keeps", rows: []row{{"keeps", "keeps its promise", yesNo, higher}}}
	near := measurement{name: "near", rows: []row{{"near", "off by", percent, exact}}}
	b := &bench{contenders: []contender{{name: ownName}, {name: "peer"}, {name: directName}}, measurements: []measurement{m, never, other, near}}
	found := newResults()
	for _, rate := range []float64{100, 200, 300} {
		found.add(m, ownName, values{"rate": rate, "cpu": 4}, nil)
		found.add(m, directName, values{"rate": 2 * rate}, nil)
		found.add(other, ownName, values{"keeps": 1}, nil)
		found.add(near, ownName, values{"near": (rate - 150) / 1000}, nil)
	}
	found.add(near, "peer", values{"near": 3}, nil)
	found.add(m, "peer", values{"rate": 50}, errors.New("no | CPU"))
	found.add(m, "peer", nil, errors.New("stopped"))
	const want = `
|                       | better | apquic                  | peer                               | direct                  |
|-----------------------|--------|-------------------------|------------------------------------|-------------------------|
| speed, MB/s           | ↑      | **200** (100–300) ×1.00 | **50** ×0.25, 1 of 2 runs failed   | **400** (200–600) ×2.00 |
| – CPU for it, s/GB    | ↓      | **4** ×1.00             | failed: stopped                    | –                       |
| keeps its promise     | ↑      | **yes**                 | –                                  | –                       |
| off by, %             | → 0    | **0.05** (-0.05–0.15)   | **3**                              | –                       |
`
	found.add(never, ownName, nil, nil)
	got := b.table(found)
	if squeeze(got) == squeeze(want) {
		return
	}
	for i, line := range strings.Split(squeeze(want), "\n") {
		if lines := strings.Split(squeeze(got), "\n"); i >= len(lines) || lines[i] != line {
			t.Errorf("line %d is not %s in:\n%s", i, line, got)
		}
	}
}

// squeeze takes the padding out of a table.
func squeeze(table string) string {
	var lines []string
	for line := range strings.Lines(strings.TrimSpace(table)) {
		if !strings.HasPrefix(line, "|--") {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
	}
	return strings.Join(lines, "\n")
}

func TestRowsAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range measurements() {
		if seen[m.name] {
			t.Errorf("two measurements are called %s", m.name)
		}
		seen[m.name] = true
		for _, r := range m.rows {
			if seen["row "+r.key] {
				t.Errorf("two rows have the key %s", r.key)
			}
			seen["row "+r.key] = true
		}
	}
}

func TestBrief(t *testing.T) {
	long := errors.New(strings.Repeat("while ", 20) + "the cause")
	if got := brief(long); !strings.HasSuffix(got, "the cause") || len([]rune(got)) != maxReason+1 {
		t.Errorf("%q", got)
	}
	if got := brief(errors.New("a|b\nc")); got != "a/b c" {
		t.Errorf("%q", got)
	}
}

func TestReplaceMeasured(t *testing.T) {
	const old = "# Title\n\nby hand\n\n<!-- measured: begin -->\nold\n<!-- measured: end -->\n\nmore by hand\n\n" +
		"<!-- measured udp: begin -->\nold\n<!-- measured udp: end -->\n"
	const first = "# Title\n\nby hand\n\n<!-- measured: begin -->\n\nnew\n\n<!-- measured: end -->\n\nmore by hand\n\n" +
		"<!-- measured udp: begin -->\nold\n<!-- measured udp: end -->\n"
	const second = "# Title\n\nby hand\n\n<!-- measured: begin -->\nold\n<!-- measured: end -->\n\nmore by hand\n\n" +
		"<!-- measured udp: begin -->\n\nnew\n\n<!-- measured udp: end -->\n"
	for part, want := range map[string]string{"": first, "udp": second} {
		got, err := replaceMeasured(old, part, "new\n")
		if err != nil || got != want {
			t.Errorf("%q: %v: %q", part, err, got)
		}
		if again, err := replaceMeasured(got, part, "new\n"); err != nil || again != want {
			t.Errorf("%q, the second time: %v: %q", part, err, again)
		}
	}
	for _, bad := range []string{"", "<!-- measured: begin -->\n", "<!-- measured: end -->\n<!-- measured: begin -->\n"} {
		if got, err := replaceMeasured(bad, "", "new"); err == nil {
			t.Errorf("%q became %q", bad, got)
		}
	}
	if got, err := replaceMeasured(old, "http", "new"); err == nil {
		t.Errorf("a part that is not there: %q", got)
	}
}

func TestMachine(t *testing.T) {
	if got := cpuModel("processor\t: 0\nmodel name\t: Some CPU 3000\n"); got != "Some CPU 3000" {
		t.Errorf("%q", got)
	}
	if got := cpuModel("processor\t: 0\nHardware\t: BCM\nModel\t\t: Raspberry Pi 4\n"); got != "Raspberry Pi 4" {
		t.Errorf("%q", got)
	}
	if got := memoryGiB("MemTotal:       2097152 kB\n"); got != 2 {
		t.Errorf("%v", got)
	}
}

func TestOptions(t *testing.T) {
	for _, bad := range [][]string{{"--runs", "0"}, {"word"}, {"--unheard-of"}} {
		if _, err := parse(bad, io.Discard); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	o, err := parse([]string{"--peers", "dir", "--runs", "3", "--only", "echo", "--who", "frp", "--part", "udp"}, io.Discard)
	if err != nil || command(o) != "make bench PEERS=dir RUNS=3 ONLY='echo' WHO='frp' PART=udp" {
		t.Errorf("%v: %s", err, command(o))
	}
}
