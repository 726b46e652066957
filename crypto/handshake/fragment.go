package handshake

import (
	"bytes"
	"encoding/binary"
)

// assembler puts RESPs together from fragments that have proved to be
// authentic. It holds at most MaxResponders of them; the oldest makes room.
type assembler struct {
	groups [MaxResponders]group
	next   int // the group that makes room next
}

// group is one RESP: all fragments under one header, which holds the server's
// ID.
type group struct {
	header []byte
	core   []byte
	front  int // bytes present from the start
	back   int // bytes present up to the end
}

// fragment is the body of a RESP datagram; chunk is a view.
type fragment struct {
	offset, total int
	chunk         []byte
}

// parseFragment reads offset, total and chunk, and holds them to what a server
// may send: a beginning or an end of a RESP of possible size.
//
// spec: HS-25
func parseFragment(body []byte) (f fragment, ok bool) {
	if len(body) <= fragmentHeader+tagSize {
		return f, false
	}
	f.offset = int(binary.BigEndian.Uint16(body))
	f.total = int(binary.BigEndian.Uint16(body[2:]))
	f.chunk = body[fragmentHeader : len(body)-tagSize]
	end := f.offset + len(f.chunk)
	ok = f.total >= minCore && f.total <= maxCore && end <= f.total &&
		(f.offset == 0 || end == f.total)
	return f, ok
}

// add takes an authentic fragment and returns the group that is complete with
// it, or nil. Bytes that are there already must agree, else the fragment is
// dropped.
func (a *assembler) add(header []byte, f fragment) *group {
	g := a.group(header, f.total)
	// spec: HS-25
	if len(g.core) != f.total || !g.agrees(f) {
		return nil
	}
	copy(g.core[f.offset:], f.chunk)
	if f.offset == 0 {
		g.front = max(g.front, len(f.chunk))
	}
	if f.offset+len(f.chunk) == f.total {
		g.back = max(g.back, len(f.chunk))
	}
	if g.front+g.back < f.total {
		return nil
	}
	return g
}

// agrees reports whether no byte that is present would change.
func (g *group) agrees(f fragment) bool {
	end := f.offset + len(f.chunk)
	if n := min(end, g.front); f.offset < n && !bytes.Equal(g.core[f.offset:n], f.chunk[:n-f.offset]) {
		return false
	}
	from := max(f.offset, len(g.core)-g.back)
	return from >= end || bytes.Equal(g.core[from:end], f.chunk[from-f.offset:])
}

// group finds the group of a header, or starts one in the oldest place.
//
// spec: HS-26
func (a *assembler) group(header []byte, total int) *group {
	for i := range a.groups {
		if g := &a.groups[i]; g.core != nil && bytes.Equal(g.header, header) {
			return g
		}
	}
	g := &a.groups[a.next]
	a.next = (a.next + 1) % MaxResponders
	*g = group{header: bytes.Clone(header), core: make([]byte, total)}
	return g
}
