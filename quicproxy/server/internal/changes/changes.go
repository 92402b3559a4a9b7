// Package changes notices when what an Admitter says may have changed.
//
// It must not know nodes.
package changes

import (
	"context"
	"time"

	"apquic/quicproxy/internal/wait"
)

// poll is how often to check. A change counts once the next check finds the same revision, since an editor may empty a
// file before it writes it. So a dismissed node is gone within three checks.
const poll = 500 * time.Millisecond

// Watch calls heed at first, and then whenever the revision has changed, until it is done, until ctx ends.
func Watch(ctx context.Context, revision func(context.Context) uint64, heed func(context.Context) (done bool)) {
	checked := revision(ctx)
	heed(ctx) // what changed before
	for before := checked; ; {
		if wait.Sleep(ctx, poll); ctx.Err() != nil {
			return
		}
		now := revision(ctx)
		if now == before && now != checked && heed(ctx) {
			checked = now
		}
		before = now
	}
}
