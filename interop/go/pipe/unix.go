//go:build !windows

// Package pipe is go-winio on Windows and a Unix socket elsewhere, under one name.
package pipe

import (
	"context"
	"net"
)

func Dial(ctx context.Context, path string) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, "unix", path)
}

func Listen(path string) (net.Listener, error) {
	return net.Listen("unix", path)
}
