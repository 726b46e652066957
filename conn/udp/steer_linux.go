package udp

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/godwit-net/godwit/protocol/wire"
)

// steer has the kernel give datagrams to the socket that the last octet of the server's ID names, of n that
// share the port in the order in which they were bound, and others to the n after those. It reports whether the kernel
// took the program.
func steer(s *Socket, n int) bool {
	raw, err := rawConn(s.pc)
	if err != nil || raw == nil {
		return false
	}
	program, err := bpf.Assemble(steering(uint32(n)))
	if err != nil {
		panic("BUG: the steering program does not assemble: " + err.Error())
	}
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	_ = raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
			&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	})
	return err == nil
}

// steering is the program: it looks at a datagram's payload and returns the number of a socket. What names no
// session of a server is for a door, one of the sockets from n on (spec: SESS-31): an octet that clients draw chooses
// it, so that a first packet and its repetitions have one home. What is too short ends at socket 0, where it is dropped.
func steering(n uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: wire.FinOctet, SkipTrue: 3},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: wire.ShortMask},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: wire.ShortOctet, SkipTrue: 7},
		bpf.Jump{Skip: 2},

		bpf.LoadAbsolute{Off: wire.LongIDLenOffset, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: wire.ServerIDLen, SkipTrue: 6},

		bpf.LoadAbsolute{Off: wire.LongIDLenOffset + wire.ServerIDLen, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: n},
		bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: n},
		bpf.RetA{},

		bpf.LoadAbsolute{Off: wire.ServerIDLen, Size: 1}, // of a short header: the ID follows one octet
		bpf.Jump{Skip: 1},
		bpf.LoadAbsolute{Off: wire.LongIDLenOffset + wire.ServerIDLen, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: n},
		bpf.RetA{},
	}
}
