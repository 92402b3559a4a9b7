// Package notice is the settings that say who is told what happens.
//
// It must not read any file that the settings name.
package notice

import (
	"errors"

	"apquic/internal/notices"
	"apquic/internal/settings/internal/jsonc"
)

// Want is what Read reads.
const Want = `a list such as [{"events": ["node-away", "join"], "url": "https://ntfy.sh/my-topic", "body": "{text}"}]`

// Read reads [{"events": [...], "url": ...}, ...].
func Read(v jsonc.Value) (all []notices.Notice, err error) {
	err = v.Elements(func(element jsonc.Value) {
		n := notices.Notice{After: notices.DefaultAfter, PerHour: notices.DefaultPerHour}
		right := element.Apply(jsonc.Field{Want: "an object with events, and url, urlFile or command", Set: func(v jsonc.Value) error {
			return v.Decode(Keys(&n))
		}})
		if !right {
			return
		}
		if err := n.Check(); err != nil {
			element.Report(err)
			return
		}
		all = append(all, n)
	})
	return all, err
}

// Parse reads the same, for a flag.
func Parse(s string) (all []notices.Notice, err error) {
	root, err := jsonc.Parse("--notices", []byte(s), func([]byte) (int, error) { return 0, nil })
	if err != nil {
		return nil, err
	}
	root.Apply(jsonc.Field{Want: Want, Set: jsonc.Into(&all, Read)})
	return all, root.Err()
}

// Keys are those of a notice.
func Keys(n *notices.Notice) jsonc.Form {
	return jsonc.Form{
		"events":      {Want: `names of events such as ["node-away", "join"]`, Required: true, Set: jsonc.Into(&n.Events, texts)},
		"after":       {Want: `a duration such as "5m"`, Set: jsonc.Into(&n.After, jsonc.Value.Duration)},
		"perHour":     {Want: "a number such as 20", Set: jsonc.Into(&n.PerHour, jsonc.Whole(0, 1_000_000))},
		"url":         {Want: `a URL such as "https://ntfy.sh/my-topic"`, Set: jsonc.Into(&n.URL, jsonc.Value.Text)},
		"urlFile":     {Want: `the path of a file with a URL, such as "/etc/apquic/hook"`, Set: jsonc.Into(&n.URLFile, jsonc.Value.Text)},
		"method":      {Want: `"POST" or "PUT"`, Set: jsonc.Into(&n.Method, jsonc.OneOf("POST", "PUT"))},
		"headers":     {Want: `names and values such as {"Priority": "high"}`, Set: jsonc.Into(&n.Headers, headers)},
		"headersFile": {Want: `the path of a file with headers, such as "/etc/apquic/hook-headers"`, Set: jsonc.Into(&n.HeadersFile, jsonc.Value.Text)},
		"body": {Want: `a text such as "{text}", or an object such as {"text": "{text}"}`, Set: func(v jsonc.Value) (err error) {
			switch v.Kind() {
			case '{', '[':
				n.Body, n.JSON = v.JSON(), true
			case '"':
				n.Body, err = v.Text()
			default:
				err = errors.New("this is neither a text nor an object")
			}
			return err
		}},
		"command": {Want: `a path and arguments such as ["/usr/local/bin/notify", "--urgent"]`, Set: jsonc.Into(&n.Command, texts)},
	}
}

// texts reads a list of texts.
func texts(v jsonc.Value) (all []string, err error) {
	err = v.Elements(func(element jsonc.Value) {
		element.Apply(jsonc.Field{Want: "a text", Set: func(v jsonc.Value) error {
			text, err := v.Text()
			all = append(all, text)
			return err
		}})
	})
	return all, err
}

func headers(v jsonc.Value) (map[string]string, error) {
	all := make(map[string]string)
	err := v.Members(func(name string, _, member jsonc.Value) {
		member.Apply(jsonc.Field{Want: "a text", Set: func(v jsonc.Value) (err error) {
			all[name], err = v.Text()
			return err
		}})
	})
	return all, err
}
