//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/godwit-net/godwit/bench/netpath"
)

// connectTCP opens a connection whose near end uses one of the kernel's congestion controls.
func connectTCP(ctx context.Context, p *netpath.Path, controller string) (*transfer, error) {
	var listener net.Listener
	err := p.Far.Do(func() (err error) {
		var lc net.ListenConfig
		lc.SetMultipathTCP(false)
		listener, err = lc.Listen(ctx, "tcp", net.JoinHostPort(p.Far.Host, "0"))
		return err
	})
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	var in *net.TCPConn
	err = p.Near.Do(func() error {
		dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error { return setCongestion(raw, controller) }}
		dialer.SetMultipathTCP(false)
		c, err := dialer.DialContext(ctx, "tcp", listener.Addr().String())
		if err == nil {
			in = c.(*net.TCPConn)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out, err := listener.Accept() // it is there: the handshake is over
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return &transfer{
		in: halfClosing{in}, out: out,
		lost: func() (lost, sent uint64) { return retransmitted(in) },
		close: func() {
			_ = in.SetLinger(0) // a reset: nobody waits for what is on its way
			_ = in.Close()
			_ = out.Close()
		},
	}, nil
}

// setCongestion chooses the kernel's congestion control for a socket.
func setCongestion(raw syscall.RawConn, controller string) error {
	var err error
	if ctrl := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, controller)
	}); ctrl != nil {
		return ctrl
	}
	if err != nil {
		return fmt.Errorf("TCP_CONGESTION %s: %w (see sysctl net.ipv4.tcp_available_congestion_control)", controller, err)
	}
	return nil
}

// retransmitted returns how many segments with data a connection has sent, and how many of them again.
func retransmitted(c *net.TCPConn) (again, sent uint64) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			again, sent = uint64(info.Total_retrans), uint64(info.Data_segs_out)
		}
	})
	return again, sent
}
