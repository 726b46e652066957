//go:build !linux

package emulator

import (
	"net"
	"net/netip"
)

// oobSize is 0: ECN is not carried here, datagrams leave as not ECN-capable.
const oobSize = 0

// prepare asks for large buffers; a system that refuses has more loss.
func prepare(conn *net.UDPConn) {
	_ = conn.SetReadBuffer(socketBuffer)
	_ = conn.SetWriteBuffer(socketBuffer)
}

func codepoint([]byte) uint8 { return 0 }

func ecnMessage(uint8, netip.Addr) []byte { return nil }
