package admin

import (
	"context"
	"fmt"

	"apquic/internal/events"
)

// Events calls do with each event of the server, and missed with the number of those that are no longer kept: the last
// ones that are kept, and with follow those to come until ctx or the server ends.
func (c *Client) Events(ctx context.Context, last int, follow bool, do func(events.Event) error, missed func(uint64) error) error {
	body, err := c.control.Stream(ctx, fmt.Sprintf("%sevents?last=%d&follow=%t", Prefix, last, follow))
	if err != nil {
		return err
	}
	defer body.Close()
	return events.Read(body, do, missed)
}
