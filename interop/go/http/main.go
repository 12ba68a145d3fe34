// net/http over a pipe, as a server or as a client: http serve|connect PATH [DEED...]
//
// PATH is the system's own: \\.\pipe\NAME on Windows, where go-winio dials and listens, else the socket's path.
//
// A server answers GET /hello ("Hello from Go"), POST /echo (what was posted) and GET /slow?ms=N ("slow", after N
// milliseconds), until its standard input ends. It prints "ready", and "METHOD PATH" for every request.
//
// A client does its deeds one after the other, over one connection that is kept alive:
//
//	get=PATH        print "STATUS BODY"
//	echo=N          POST N bytes of the pattern to /echo, print "echoed N"
//	many=N          N times GET /hello at once, each over a connection of its own, print "N of N"
//	keep=N          N times GET /hello one after the other, print "N of N over K connections"
//	pause           wait for a line on standard input, or for its end
//
// Anything unexpected is printed as "failed ...", and the exit code is 2.
package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"npipe/peer/pipe"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Printf("failed %v\n", err)
		os.Exit(2)
	}
}

func run(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("serve or connect, and a path")
	}
	switch words[0] {
	case "serve":
		return serve(words[1])
	case "connect":
		return connect(words[1], words[2:])
	}
	return fmt.Errorf("serve or connect, not %s", words[0])
}

func serve(path string) error {
	listener, err := pipe.Listen(path)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	handle := func(pattern string, answer func(http.ResponseWriter, *http.Request)) {
		mux.HandleFunc(pattern, func(writer http.ResponseWriter, request *http.Request) {
			fmt.Printf("%s %s\n", request.Method, request.URL.Path)
			answer(writer, request)
		})
	}
	handle("/hello", func(writer http.ResponseWriter, _ *http.Request) {
		io.WriteString(writer, "Hello from Go\n")
	})
	handle("/echo", func(writer http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			http.Error(writer, err.Error(), http.StatusBadRequest)
			return
		}
		writer.Write(body)
	})
	handle("/slow", func(writer http.ResponseWriter, request *http.Request) {
		ms, _ := strconv.Atoi(request.URL.Query().Get("ms"))
		time.Sleep(time.Duration(ms) * time.Millisecond)
		io.WriteString(writer, "slow\n")
	})
	server := &http.Server{Handler: mux}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		server.Shutdown(context.Background())
	}()
	fmt.Println("ready")
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func connect(path string, deeds []string) error {
	var dialled atomic.Int32
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			dialled.Add(1)
			return pipe.Dial(ctx, path)
		},
	}
	client := &http.Client{Transport: transport}
	stdin := bufio.NewReader(os.Stdin)
	for _, deed := range deeds {
		verb, value, _ := strings.Cut(deed, "=")
		var err error
		switch verb {
		case "get":
			var status int
			var body string
			if status, body, err = get(client, value); err == nil {
				fmt.Printf("%d %s\n", status, body)
			}
		case "echo":
			err = echo(client, number(value))
		case "many":
			// More than are kept alive, so that each has its own.
			good := many(number(value), func() bool { return hello(client) })
			fmt.Printf("%d of %s\n", good, value)
		case "keep":
			before := dialled.Load()
			good := 0
			for i := 0; i < number(value); i++ {
				if hello(client) {
					good++
				}
			}
			fmt.Printf("%d of %s over %d connections\n", good, value, dialled.Load()-before)
		case "pause":
			stdin.ReadString('\n')
		default:
			err = fmt.Errorf("no such deed")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", deed, err)
		}
	}
	transport.CloseIdleConnections()
	return nil
}

func get(client *http.Client, path string) (int, string, error) {
	answer, err := client.Get("http://pipe" + path)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, strings.TrimRight(string(body), "\r\n"), err
}

func hello(client *http.Client) bool {
	status, body, err := get(client, "/hello")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return err == nil && status == 200 && strings.HasPrefix(body, "Hello")
}

func many(count int, do func() bool) int {
	var good atomic.Int32
	var all sync.WaitGroup
	for i := 0; i < count; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			if do() {
				good.Add(1)
			}
		}()
	}
	all.Wait()
	return int(good.Load())
}

func echo(client *http.Client, count int) error {
	sent := make([]byte, count)
	for at := range sent {
		sent[at] = byte(at*31 + at>>8)
	}
	answer, err := client.Post("http://pipe/echo", "application/octet-stream", bytes.NewReader(sent))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != 200 || !bytes.Equal(got, sent) {
		return fmt.Errorf("status %d, %d bytes, or others", answer.StatusCode, len(got))
	}
	fmt.Printf("echoed %d\n", count)
	return nil
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		fmt.Printf("failed %v\n", err)
		os.Exit(2)
	}
	return value
}
