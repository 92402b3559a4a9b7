package netmon

import (
	"context"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// subscribe makes the kernel report changes until ctx ends; an error says that it does not, as on Android.
func subscribe(ctx context.Context, events chan<- struct{}) error {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{
		Groups: unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE,
	})
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	for failures := 0; failures < 10; {
		if _, err := conn.Receive(); err == nil {
			failures = 0
		} else if ctx.Err() != nil {
			return nil
		} else {
			failures++ // most likely ENOBUFS: there were more changes than fit
		}
		tell(events)
	}
	conn.Close()
	return unix.EIO
}
