package settings

import (
	"fmt"

	"apquic/internal/notices"
	"apquic/internal/settings/internal/notice"
)

// noticesRow is whom a program tells what happens.
func noticesRow(field *[]notices.Notice) row {
	return row{
		key: "notices", live: true, unset: "none",
		help: "whom to tell what happens, such as a node that is away: `JSON` as in a file",
		docs: "A list of [notices](#notices). See [howto/notices.md](howto/notices.md).",
		setting: kind[[]notices.Notice]{
			name: "list of objects", flag: "json", want: notice.Want,
			read: notice.Read, parse: notice.Parse, check: notices.Check, show: func([]notices.Notice) string { return "" },
			lines: func(all []notices.Notice) (lines []line) {
				for i, n := range all {
					lines = append(lines, line{Unseen: fmt.Sprintf("%+v", n), Key: fmt.Sprintf("[%d]", i), Value: n.Describe()})
				}
				return lines
			},
		}.bind(field, nil),
	}
}
