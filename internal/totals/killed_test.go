package totals

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"apquic/certs"
	"apquic/internal/usage"
	"apquic/lease"
)

// victim is the environment variable that makes this program write to the file that it names until it is killed.
const victim = "APQUIC_TEST_TOTALS"

// TestKilled: a file whose writer was killed at any moment, also while it made the file, can be opened, and has all that
// was written.
func TestKilled(t *testing.T) {
	if path := os.Getenv(victim); path != "" {
		writeUntilKilled(path)
	}
	t.Parallel()
	path := newPath(t)
	written, most := uint64(0), uint64(0)
	for round := range 30 {
		if round%3 == 0 {
			os.Remove(path)
			written = 0
		}
		program := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		program.Env = append(os.Environ(), victim+"="+path)
		stdout, err := program.StdoutPipe()
		if err := program.Start(); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(rand.N(150*time.Millisecond), func() { program.Process.Kill() })
		text := bufio.NewReader(stdout)
		for {
			line, err := text.ReadString('\n')
			if err == io.EOF {
				break
			}
			if _, err := fmt.Sscanf(line, "written %d\n", &written); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		}
		program.Wait()
		totals := newTotals(path, discard, usual)
		if err := totals.open(); err != nil {
			t.Fatal(err)
		}
		sums, err := totals.Sum(Query{To: maxDay})
		got := uint64(0)
		for _, sum := range sums {
			got = sum.In
		}
		if err != nil || got < written {
			t.Fatalf("round %d: %d, %v, want %d", round, got, err, written)
		}
		written, most = got, max(most, got)
		totals.Close()
	}
	if most == 0 {
		t.Error("nothing was ever written")
	}
}

// writeUntilKilled counts up in the file, and says how far it is.
func writeUntilKilled(path string) {
	totals := newTotals(path, discard, usual)
	if err := totals.open(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	sums, _ := totals.Sum(Query{To: maxDay})
	n := uint64(0)
	for _, sum := range sums {
		n = sum.In
	}
	for {
		for i := range 50 {
			totals.Add(lease.Key{Node: certs.NodeID{byte(rand.N(256)), byte(i)}, Service: "web"}, usage.Counts{In: 1})
		}
		if err := totals.Write(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		n += 50
		fmt.Printf("written %d\n", n)
	}
}
