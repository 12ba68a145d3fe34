//go:build windows

// What docs/from-go-winio.md shows in Go, so that it is compiled. A test compares the two; nobody runs it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

var errNotRunning = errors.New("the server is not running")

func main() {
	_ = []any{listen, dial, number, addresses, read, ask}
}

func listen(serve func(net.Conn)) error {
	l, err := winio.ListenPipe(`\\.\pipe\mypipe`, &winio.PipeConfig{
		SecurityDescriptor: "D:P(A;;GA;;;SY)(A;;GA;;;OW)",
		MessageMode:        true,
		InputBufferSize:    65536,
		OutputBufferSize:   65536,
	})
	if err != nil {
		return err
	}
	defer l.Close()
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go serve(conn)
	}
}

func dial() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := winio.DialPipeAccessImpLevel(ctx, `\\.\pipe\mypipe`,
		windows.GENERIC_READ|windows.GENERIC_WRITE,
		winio.PipeImpLevelImpersonation)
	return conn, err
}

func number() error {
	conn, err := winio.DialPipe(`\\.\pipe\mypipe`, nil)
	var number windows.Errno
	if errors.As(err, &number) && number == windows.ERROR_FILE_NOT_FOUND {
		return errNotRunning
	}
	if err == nil {
		err = conn.Close()
	}
	return err
}

func addresses(conn net.Conn) {
	fmt.Println(conn.RemoteAddr().Network(), conn.RemoteAddr())
}

func read(conn net.Conn, buf []byte) (int, error) {
	conn.SetReadDeadline(time.Now().Add(time.Second))
	n, err := conn.Read(buf)
	if errors.Is(err, winio.ErrTimeout) {
		conn.SetReadDeadline(time.Time{})
	}
	return n, err
}

func ask(conn net.Conn, request []byte) ([]byte, error) {
	conn.Write(request)
	conn.(interface{ CloseWrite() error }).CloseWrite()
	reply, err := io.ReadAll(conn)
	return reply, err
}
