//go:build linux || darwin || freebsd

package udp

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// option is one integer socket option.
type option struct{ level, name, value int }

// setEither sets the option of each family and reports whether at least one was taken: a socket of one
// family refuses the other's.
func setEither(raw syscall.RawConn, opts ...option) (ok bool) {
	_ = raw.Control(func(fd uintptr) {
		for _, o := range opts {
			if unix.SetsockoptInt(int(fd), o.level, o.name, o.value) == nil {
				ok = true
			}
		}
	})
	return ok
}

// appendHeader adds a control message header for n bytes of data to oob, which must have the capacity,
// and returns the grown oob and the zeroed data.
func appendHeader(oob []byte, level, kind, n int) (grown, data []byte) {
	start := len(oob)
	grown = oob[:start+unix.CmsgSpace(n)]
	clear(grown[start:])
	h := (*unix.Cmsghdr)(unsafe.Pointer(&grown[start]))
	h.Level = int32(level)
	h.Type = int32(kind)
	h.SetLen(unix.CmsgLen(n))
	off := start + unix.CmsgLen(0)
	return grown, grown[off : off+n]
}

// refusesOption reports whether the error can mean that the system does not know the control data.
func refusesOption(err error) bool { return errors.Is(err, unix.EINVAL) }

// refusesAddress reports whether the error can mean that the chosen local address is not ours any more.
func refusesAddress(err error) bool {
	return errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH)
}

// isTooBig reports whether the interface carries no datagram of this size.
func isTooBig(err error) bool { return errors.Is(err, unix.EMSGSIZE) }

// isHint reports whether a failed read only tells of an ICMP message.
func isHint(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.ENETUNREACH)
}
