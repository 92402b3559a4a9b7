package jsonc

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// recipe is what the tests read documents into.
type recipe struct {
	name    string
	cups    int
	hot     bool
	time    time.Duration
	steps   []string
	serving map[string]string
}

func (r *recipe) form() Form {
	name := Field{Want: `a name such as "tea"`, Set: Into(&r.name, Value.Text), Required: true}
	f := Form{
		"name":    name,
		"cups":    {Want: "a number of cups", Set: Into(&r.cups, Whole(1, 12))},
		"hot":     {Want: "true or false", Set: Into(&r.hot, Value.Bool)},
		"time":    {Want: "a duration", Set: Into(&r.time, Value.Duration)},
		"steps":   {Want: "a list of steps", Set: r.readSteps},
		"serving": {Want: "what to serve it with", Set: r.readServing},
	}
	name.Same, name.Required = "name", false
	f["title"] = name
	return f
}

func (r *recipe) readSteps(v Value) error {
	return v.Elements(func(v Value) {
		var step string
		verb := func(s string) (string, error) {
			if strings.HasSuffix(s, "!") {
				return "", fmt.Errorf("nobody shouts %s; want a verb", s)
			}
			return s, nil
		}
		if v.Apply(Field{Want: "a step", Set: Into(&step, Parsed(verb))}) {
			r.steps = append(r.steps, step)
		}
	})
}

func (r *recipe) readServing(v Value) error {
	r.serving = map[string]string{}
	return v.Members(func(name string, at, member Value) {
		if name == "salt" {
			at.Report(errors.New("no salt"))
			return
		}
		var text string
		if member.Apply(Field{Want: "how much", Set: Into(&text, Value.Text)}) {
			r.serving[name] = text
		}
	})
}

// read decodes a whole document.
func (r *recipe) read(root Value) error {
	root.Apply(Field{Want: "{...} around it all", Set: func(v Value) error { return v.Decode(r.form()) }})
	return root.Err()
}

func TestDecode(t *testing.T) {
	t.Parallel()
	var r recipe
	root := mustParse(t, "\ufeff"+`{ // a recipe
		"title": "tea", "cups": "3", "hot": true, "time": 180, /* s */
		"steps": ["boil", "pour",], "serving": {"milk": "a little", "sugar": "none"},
	} // no newline at the end`)
	if err := r.read(root); err != nil {
		t.Fatal(err)
	}
	if r.name != "tea" || r.cups != 3 || !r.hot || r.time != 3*time.Minute || !slices.Equal(r.steps, []string{"boil", "pour"}) ||
		!maps.Equal(r.serving, map[string]string{"milk": "a little", "sugar": "none"}) {
		t.Errorf("read %+v", r)
	}
	kinds := map[string]byte{}
	for name, member := range root.All() {
		kinds[name] = member.Kind()
		if member.Key() != name {
			t.Errorf("the key of %s is %s", name, member.Key())
		}
	}
	if want := (map[string]byte{"title": '"', "cups": '"', "hot": 't', "time": '0', "steps": '[', "serving": '{'}); !maps.Equal(kinds, want) {
		t.Errorf("kinds %q, want %q", kinds, want)
	}
	for range mustParse(t, `[1]`).All() {
		t.Error("a list has members")
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`[]`:                                  "f:1: this is a list; want {...} around it all",
		`{}`:                                  `f:1: name is missing; want a name such as "tea"`,
		`{"nam": "tea"}`:                      "f:1: nam: unknown key, did you mean name?",
		`{"name": "tea", "colour": 1}`:        "f:1: colour: unknown key; known keys here: cups, hot, name, serving, steps, time, title",
		`{"name": "tea", "name": 1}`:          "f:1: name: this key is a duplicate: remove one of them",
		`{"name": "tea", "title": "tea"}`:     "f:1: title: this is another name of name, which is also given: remove one of them",
		`{"name": ""}`:                        `f:1: name: the text is empty; want a name such as "tea"`,
		"{\"name\": \"tea\",\n\"cups\": 13}":  "f:2: cups: 13 is not from 1 to 12; want a number of cups",
		`{"name": "tea", "cups": 1.5}`:        "f:1: cups: 1.5 is not a whole number; want a number of cups",
		`{"name": "tea", "hot": null}`:        "f:1: hot: null is not a value: leave out the key for its default; want true or false",
		`{"name": "tea", "time": "soon"}`:     "f:1: time: soon is not a duration; want a duration",
		`{"name": "tea", "time": 315360001}`:  "f:1: time: 315360001 is not from 0 to 315360000; want a duration",
		`{"name": "tea", "steps": ["a", {}]}`: "f:1: steps[1]: this is an object; want a step",
		`{"name": "tea", "steps": ["boil!"]}`: "f:1: steps[0]: nobody shouts boil!; want a verb",
		`{"name": "tea", "serving": "milk"}`:  "f:1: serving: this is a text; want what to serve it with",
		`{"name": 7, "serving": {"salt": "1", "a b": true}}`: "f:1: name: this is a number; want a name such as \"tea\"\n" +
			"f:1: serving.salt: no salt\nf:1: serving.\"a b\": this is true; want how much",
	} {
		var r recipe
		if err := r.read(mustParse(t, text)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// A document is to blame for what several values make together only if it has all of them.
func TestReportAt(t *testing.T) {
	t.Parallel()
	together := errors.New("too much at once")
	for text, want := range map[string]string{
		"{\"name\": \"tea\",\n\"hot\": true, \"cups\": 12}": "f:2: cups: too much at once",
		`{"name": "tea", "hot": true}`:                      "",
		`{"name": "tea", "cups": 12}`:                       "",
	} {
		var r recipe
		root := mustParse(t, text)
		if err := r.read(root); err != nil {
			t.Fatal(err)
		}
		root.ReportAt(together, "cups", "hot")
		if err := root.Err(); want == "" && err != nil || want != "" && (!errors.Is(err, together) || err.Error() != want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestErrorsElsewhere(t *testing.T) {
	t.Parallel()
	var all Errors
	if err := all.OrNil(); err != nil {
		t.Errorf("no mistakes are %v", err)
	}
	cause := errors.New("too hot")
	all.Add("tea", cause)
	if err := all.OrNil(); !errors.Is(err, cause) || err.Error() != "tea: too hot" {
		t.Errorf("error %v", err)
	}
}
