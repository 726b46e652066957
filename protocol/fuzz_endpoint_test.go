package protocol

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/protocol/wire"
)

// recorded are the datagrams of one handshake with proof of address and a first word each way, in order.
var recorded = sync.OnceValue(func() (all [][]byte) {
	p := newPair(panicking{}, small, func(_, _ *Config, e *EndpointConfig) { e.Retry = RetryAlways })
	p.filter = func(_ bool, _ int, data []byte) int {
		all = append(all, append([]byte(nil), data...))
		return 1
	}
	k := &talk{pair: p}
	p.run(time.Second, k.done)
	return all
})

// strangers are addresses that send what the fuzzer makes up. The first is the honest client's own, as
// when a source is forged.
var strangers = [4]netip.AddrPort{
	netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("198.51.100.1:53"),
	netip.MustParseAddrPort("198.51.100.2:53"), netip.MustParseAddrPort("[2001:db8::1]:443"),
}

// endpointFuzz throws datagrams at both endpoints while an honest client connects.
type endpointFuzz struct {
	*pair
	in  []byte
	own [][]byte // what the honest ends said so far
	// bytes from and to the strangers that are not the honest client
	from, to [len(strangers)]int
}

func (f *endpointFuzz) next() byte {
	if len(f.in) == 0 {
		return 0
	}
	b := f.in[0]
	f.in = f.in[1:]
	return b
}

// datagram takes the next datagram from the input: raw bytes, or one of the real ones with changes.
func (f *endpointFuzz) datagram(how byte) []byte {
	switch how & 3 {
	case 0:
		n := min(int(f.next()), len(f.in))
		b := append([]byte(nil), f.in[:n]...)
		f.in = f.in[n:]
		if how&4 != 0 && len(b) > 0 {
			b = append(b, make([]byte, wire.MinInitSize)...)[:wire.MinInitSize]
		}
		return b
	case 1:
		return f.changed(recorded(), how)
	case 2:
		return f.changed(f.own, how)
	}
	// What belongs to a session or a half-open handshake of the server, by its ID.
	id := wire.MakeID(make([]byte, wire.ServerIDLen))
	if len(f.server.half.list) > 0 {
		id = f.server.half.list[0].id
	} else if f.ss != nil && len(f.ss.ids.local) > 0 {
		id = f.ss.ids.local[0].id
	}
	b := append([]byte{0x08 | f.next()&7}, id.Bytes()...)
	if how&4 != 0 {
		b = wire.Long{Kind: wire.KindFin, Version: wire.Version1, DCID: id}.Append(nil)
	}
	return append(b, make([]byte, int(f.next())*5)...)
}

// changed is a copy of one of a list, whole or with a few bytes or the length changed.
func (f *endpointFuzz) changed(list [][]byte, how byte) []byte {
	if len(list) == 0 {
		return nil
	}
	b := append([]byte(nil), list[int(f.next())%len(list)]...)
	for range how >> 2 & 3 {
		at := int(binary.BigEndian.Uint16([]byte{f.next(), f.next()})) % (len(b) + 1)
		if at == len(b) || f.next()&7 == 7 {
			b = b[:at]
			continue
		}
		b[at] ^= f.next()
	}
	return b
}

// throw hands a datagram to one of the endpoints, and counts what it says to a stranger.
func (f *endpointFuzz) throw(toServer bool, data []byte, stranger int) {
	if !toServer {
		d := Datagram{Data: data, Addr: AddrPair{Local: f.clientAddr, Remote: f.serverAddr}}
		if s := f.client.Dispatch(f.now, d); s != nil {
			s.HandleDatagram(f.now, d)
		}
		return
	}
	f.from[stranger] += len(data)
	d := Datagram{Data: data, Addr: AddrPair{Local: f.serverAddr, Remote: strangers[stranger]}}
	if s := f.server.Dispatch(f.now, d); s != nil {
		s.HandleDatagram(f.now, d)
	}
}

// note counts and keeps what is sent.
func (f *endpointFuzz) note(toServer bool, _ int, data []byte) int {
	if len(f.own) < 32 {
		f.own = append(f.own, append([]byte(nil), data...))
	}
	return 1
}

func (f *endpointFuzz) count() {
	for _, w := range f.wire {
		for i, s := range strangers[1:] {
			if !w.toServer && w.to == s {
				f.to[i+1] += len(w.data)
			}
		}
	}
	kept := f.wire[:0]
	for _, w := range f.wire {
		if w.toServer || w.to == f.clientAddr {
			kept = append(kept, w)
		}
	}
	f.wire = kept
	for i := range strangers[1:] {
		require.LessOrEqual(f.t, f.to[i+1], amplification*f.from[i+1], "stranger %d", i+1)
	}
}

func (f *endpointFuzz) op(c byte) {
	switch c & 7 {
	case 0, 1:
		f.step(f.now.Add(time.Second))
	case 2:
		f.now = f.now.Add(time.Duration(c>>3) * 10 * time.Millisecond)
		f.server.HandleTimeout(f.now)
	case 3:
		f.throw(false, f.datagram(c>>3), 0)
	default:
		how := f.next()
		f.throw(true, f.datagram(how), int(c>>3)%len(strangers))
	}
	f.drain()
	f.count()
	require.LessOrEqual(f.t, len(f.server.half.list), maxHalfOpen)
	require.LessOrEqual(f.t, f.server.live, 2, "no session without its client")
	for _, h := range f.server.half.list {
		require.LessOrEqual(f.t, h.earlyBytes, maxWorkingEarlyBytes)
	}
}

// FuzzDatagramsIntoEndpoint throws datagrams, made up or real and changed, from forged and other
// addresses, at a server and a client at every state of a handshake. No stranger is told more than three
// times what it said, nothing panics, and an honest client connects afterwards. The first byte says when
// the server asks for a proof of address.
func FuzzDatagramsIntoEndpoint(f *testing.F) {
	f.Add([]byte{0, 4, 0, 5, 4, 1, 2, 3, 4, 0, 12, 1, 0, 0, 20, 2, 0, 0})
	f.Add([]byte{1, 12, 1, 0, 12, 1, 0, 20, 1, 2, 0, 4, 1, 5, 0, 0, 3, 2, 0x6b, 0, 9, 9, 9, 0, 0})
	f.Add([]byte{2, 12, 1, 0, 28, 5, 0, 4, 200, 1, 0xff, 0, 0, 0, 12, 3, 1, 50, 0, 12, 7, 1, 237, 0})
	f.Add([]byte{0, 0, 0, 4, 3, 2, 100, 4, 7, 0, 237, 0, 0, 0, 4, 6, 1, 3, 9, 8, 1, 0})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 4, 2, 0, 4, 2, 1, 4, 2, 2, 4, 2, 3, 4, 2, 4, 3, 2, 1, 11, 0, 19, 0})
	f.Add([]byte{0, 12, 4, 30, 4, 0x47, 0x57, 0, 9, 8, 1, 2, 3, 4, 5, 6, 7, 8, 4, 1, 2, 3, 4, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) == 0 {
			return
		}
		p := newPair(t, small, func(_, _ *Config, e *EndpointConfig) { e.Retry = RetryMode(in[0] % 3) })
		f := &endpointFuzz{pair: p, in: in[1:]}
		p.filter = f.note
		for n := 0; len(f.in) > 0 && n < 60; n++ {
			f.op(f.next())
		}
		p.filter = nil
		p.run(5*time.Second, func() bool { return p.cs.Confirmed() || p.cs.Err() != nil })
		var err error
		p.ss = nil
		cfg := *p.cs.cfg
		cfg.Rand = seeded(77)
		p.clientAddr = netip.MustParseAddrPort("192.0.2.77:7")
		p.cs, err = p.client.Dial(p.now, &cfg, AddrPair{Remote: p.serverAddr})
		require.NoError(t, err)
		p.connect()
		p.say("hello")
		p.answer("hello")
	})
}
