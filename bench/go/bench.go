// Go's half of the benchmark: bench serve|work ADDRESS. It follows src/protocol.rs in its words and in what it prints.
//
// On Windows the pipes are go-winio's, elsewhere Go's own Unix sockets.
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"sort"
	"sync"
	"time"
)

const request = 17

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "serve or work, and an address")
		os.Exit(2)
	}
	var err error
	if os.Args[1] == "serve" {
		err = serve(os.Args[2])
	} else {
		err = work(os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(address string) error {
	listener, err := listen(address)
	if err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println("ready")
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go answer(conn)
	}
}

func answer(conn net.Conn) {
	defer conn.Close()
	head := make([]byte, request)
	var piece []byte
	for {
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		size := int(binary.LittleEndian.Uint64(head[1:]))
		count := int(binary.LittleEndian.Uint64(head[9:]))
		if len(piece) != size {
			piece = make([]byte, size)
		}
		switch head[0] {
		case 'e':
			for i := 0; i < count; i++ {
				if _, err := io.ReadFull(conn, piece); err != nil {
					return
				}
				if _, err := conn.Write(piece); err != nil {
					return
				}
			}
		case 's':
			for left := size * count; left > 0; {
				length, err := conn.Read(piece)
				if err != nil {
					return
				}
				left -= length
			}
			conn.Write([]byte{0})
		case 'p':
			conn.Write([]byte{0})
		}
	}
}

func head(kind byte, size, count int) []byte {
	head := make([]byte, request)
	head[0] = kind
	binary.LittleEndian.PutUint64(head[1:], uint64(size))
	binary.LittleEndian.PutUint64(head[9:], uint64(count))
	return head
}

func work(address string) error {
	conn, err := dial(address)
	if err != nil {
		return err
	}
	var idle []net.Conn
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var verb string
		var first, second int
		fmt.Sscan(lines.Text(), &verb, &first, &second)
		var answer []int64
		var err error
		switch verb {
		case "trip":
			answer, err = trips(conn, first, second)
		case "write":
			answer, err = writes(conn, first, second)
		case "connect":
			began := time.Now()
			for i := 0; i < first && err == nil; i++ {
				_, err = once(address)
			}
			answer = []int64{time.Since(began).Nanoseconds()}
		case "storm":
			answer, err = storm(address, first, second)
		case "idle":
			for len(idle) < first && err == nil {
				var more net.Conn
				if more, err = dial(address); err == nil {
					err = ping(more)
					idle = append(idle, more)
				}
			}
			answer = []int64{0}
		default:
			err = fmt.Errorf("there is no such command: %s", verb)
		}
		if err != nil {
			fmt.Println("error", err)
			continue
		}
		for i, number := range answer {
			if i > 0 {
				fmt.Print(" ")
			}
			fmt.Print(number)
		}
		fmt.Println()
	}
	return nil
}

func trips(conn net.Conn, size, count int) ([]int64, error) {
	piece := make([]byte, size)
	if _, err := conn.Write(head('e', size, count)); err != nil {
		return nil, err
	}
	began := time.Now()
	for i := 0; i < count; i++ {
		if _, err := conn.Write(piece); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(conn, piece); err != nil {
			return nil, err
		}
	}
	return []int64{time.Since(began).Nanoseconds()}, nil
}

func writes(conn net.Conn, size, count int) ([]int64, error) {
	piece := make([]byte, size)
	if _, err := conn.Write(head('s', size, count)); err != nil {
		return nil, err
	}
	began := time.Now()
	for i := 0; i < count; i++ {
		if _, err := conn.Write(piece); err != nil {
			return nil, err
		}
	}
	_, err := io.ReadFull(conn, piece[:1])
	return []int64{time.Since(began).Nanoseconds()}, err
}

func ping(conn net.Conn) error {
	if _, err := conn.Write(head('p', 0, 0)); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err
}

// Returns when it was connected.
func once(address string) (time.Time, error) {
	conn, err := dial(address)
	connected := time.Now()
	if err != nil {
		return connected, err
	}
	defer conn.Close()
	return connected, ping(conn)
}

func storm(address string, clients, rounds int) ([]int64, error) {
	var total int64
	var connects []int64
	for round := 0; round < rounds; round++ {
		times := make([][3]time.Time, clients)
		errors := make([]error, clients)
		start := make(chan struct{})
		var waiting, done sync.WaitGroup
		waiting.Add(clients)
		done.Add(clients)
		for i := 0; i < clients; i++ {
			go func(i int) {
				defer done.Done()
				waiting.Done()
				<-start
				times[i][0] = time.Now()
				times[i][1], errors[i] = once(address)
				times[i][2] = time.Now()
			}(i)
		}
		waiting.Wait()
		close(start)
		done.Wait()
		first, last := times[0][0], times[0][2]
		for i := range times {
			if errors[i] != nil {
				return nil, errors[i]
			}
			if times[i][0].Before(first) {
				first = times[i][0]
			}
			if times[i][2].After(last) {
				last = times[i][2]
			}
			connects = append(connects, times[i][1].Sub(times[i][0]).Nanoseconds())
		}
		total += last.Sub(first).Nanoseconds()
	}
	sort.Slice(connects, func(a, b int) bool { return connects[a] < connects[b] })
	return []int64{total, connects[len(connects)/2], connects[len(connects)*99/100]}, nil
}
