//go:build unix

package main

import "net"

func listen(address string) (net.Listener, error) {
	return net.Listen("unix", address)
}

func dial(address string) (net.Conn, error) {
	return net.Dial("unix", address)
}
