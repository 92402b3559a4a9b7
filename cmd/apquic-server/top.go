package main

import (
	"context"
	"time"

	"apquic/admin"
	"apquic/admin/show"
)

func takeSample(ctx context.Context, operations admin.Operations) (s show.Sample, err error) {
	status, err := operations.Status(ctx)
	if err != nil {
		return s, err
	}
	s.Services, s.At = status.Services, time.Now()
	s.Nodes, err = operations.ListNodes(ctx)
	return s, err
}

// top shows who moves most bytes, by two looks at the counters.
func top(c *call, o *options) error {
	var before show.Sample
	return look(c, o, func(ctx context.Context, operations admin.Operations) (any, [][]string, error) {
		var err error
		if before.At.IsZero() {
			if before, err = takeSample(ctx, operations); err != nil {
				return nil, nil, err
			}
			pause(ctx, 2*twice)
		}
		now, err := takeSample(ctx, operations)
		if err != nil {
			return nil, nil, err
		}
		b := show.Compare(before, now)
		before = now
		return b, b.Rows(), nil
	})
}
