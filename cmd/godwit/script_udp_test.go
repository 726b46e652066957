package main

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// udpPatience is how long a tunnel may take until it carries something.
const udpPatience = 30 * time.Second

// udpEcho starts a program that answers each datagram with itself, until the script ends, and puts its address
// into a variable:
//
//	udpecho NAME
func udpEcho(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: udpecho name")
	}
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	ts.Check(err)
	ts.Defer(func() { _ = c.Close() })
	ts.Setenv(args[0], c.LocalAddr().String())
	go func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
}

// udpPorts puts addresses with ports that are free into variables:
//
//	udpports NAME...
func udpPorts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: udpports name...")
	}
	for _, name := range args {
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		ts.Check(err)
		defer c.Close() // all at once, so that they differ
		ts.Setenv(name, c.LocalAddr().String())
	}
}

// udpAsk sends a text to an address again and again until it comes back:
//
//	udpask ADDRESS TEXT
func udpAsk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: udpask address text")
	}
	c, err := net.Dial("udp", args[0])
	ts.Check(err)
	defer c.Close()
	buf := make([]byte, 65535)
	for end := time.Now().Add(udpPatience); time.Now().Before(end); {
		_, _ = c.Write([]byte(args[1])) // nobody may listen yet
		ts.Check(c.SetReadDeadline(time.Now().Add(200 * time.Millisecond)))
		n, err := c.Read(buf)
		if err == nil && string(buf[:n]) == args[1] {
			return
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			time.Sleep(50 * time.Millisecond) // refused at once
		}
	}
	ts.Fatalf("no answer from %s", args[0])
}
