//go:build windows

// Package pipe is go-winio on Windows and a Unix socket elsewhere, under one name.
package pipe

import (
	"context"
	"net"
	"syscall"
	"time"

	"github.com/Microsoft/go-winio"
)

func Dial(ctx context.Context, path string) (net.Conn, error) {
	return winio.DialPipeContext(ctx, path)
}

func Listen(path string) (net.Listener, error) {
	config := &winio.PipeConfig{InputBufferSize: 65536, OutputBufferSize: 65536}
	listener, err := winio.ListenPipe(path, config)
	// go-winio holds its name with an instance that it never serves. Windows 8 and later let nobody connect to that
	// one; Wine does, and the first client would hang there. So be the first client.
	if err == nil && syscall.NewLazyDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil {
		timeout := time.Second
		if pipe, err := winio.DialPipe(path, &timeout); err == nil {
			pipe.Close()
		}
	}
	return listener, err
}
