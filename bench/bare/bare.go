// Package bare moves bytes between two UDP sockets of one process with next to nothing around the system calls:
// datagrams built back to back, one segmented write, one coalesced read, one pass of AES-256-GCM at each end. What it
// costs is the floor for every protocol in this language that sends encrypted datagrams.
//
// What it does not know: loss, acknowledgements, congestion, streams, sessions. It works where the sockets lose
// nothing, which is on loopback with less in flight than their buffers hold.
//
// Who calls it: the programs that measure (bench/profile, bench/rivals).
package bare

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"github.com/godwit-net/godwit/conn/udp"
)

const (
	// headerSize is what a packet of a session has in front of what is encrypted: octet, ID, number.
	headerSize = 1 + 8 + 3
	tagSize    = 16
	// bufferShare is the part of a receive buffer that may be in flight: the kernel counts its own bookkeeping,
	// too, twice over.
	bufferShare = 4
	// readBuffers is how many buffers of 64 kB one read fills.
	readBuffers = 2
)

// ErrLost says that a datagram was lost or came out of order: the loop cannot go on.
var ErrLost = errors.New("bare: a datagram was lost")

// Loop is the pair of sockets. One goroutine writes, another one reads.
type Loop struct {
	from, to *udp.Socket
	size     int

	seal, open cipher.AEAD // nil: not encrypted
	sealNonce  [12]byte
	openNonce  [12]byte

	buf    []byte
	msgs   []udp.Message
	in     *udp.ReadBatch
	rest   []byte // plaintext that did not fit into a Read
	sent   uint64
	window uint64 // datagrams in flight at most

	received atomic.Uint64
	room     chan struct{} // capacity 1: something was received
	over     chan struct{}
	close    sync.Once
}

// New returns a loop of datagrams of size bytes of UDP payload, at least 64, encrypted or not.
func New(size int, encrypted bool) (*Loop, error) {
	if size < 64 || size > udp.MaxDatagram {
		return nil, errors.New("bare: datagrams of 64 to 65527 bytes")
	}
	l := &Loop{size: size, room: make(chan struct{}, 1), over: make(chan struct{})}
	var err error
	if l.from, err = listen(); err != nil {
		return nil, err
	}
	if l.to, err = listen(); err != nil {
		_ = l.from.Close() // nothing was sent on it
		return nil, err
	}
	if encrypted {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		l.seal, l.open = newGCM(key), newGCM(key)
	}
	run := udp.RunLength(size)
	l.buf, l.msgs = make([]byte, 0, run*size), make([]udp.Message, 0, run)
	l.in = l.to.NewReadBatch(readBuffers)
	l.window = uint64(max(2*run, l.to.Info().ReceiveBuffer/bufferShare/size))
	return l, nil
}

func listen() (*udp.Socket, error) {
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	return udp.New(pc, udp.AllFeatures)
}

func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("BUG: bare: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("BUG: bare: " + err.Error())
	}
	return aead
}

// Write sends p, as many datagrams at once as one segmented write takes. It waits while the window is full.
func (l *Loop) Write(p []byte) (n int, err error) {
	for n < len(p) {
		l.buf, l.msgs = l.buf[:0], l.msgs[:0]
		for len(l.msgs) < cap(l.msgs) && n < len(p) {
			n += l.build(p[n:])
		}
		for l.sent-l.received.Load() > l.window {
			select {
			case <-l.room:
			case <-l.over:
				return n, net.ErrClosed
			}
		}
		if _, err := l.from.WriteBatch(l.msgs); err != nil {
			return n, err
		}
	}
	return n, nil
}

// build appends a datagram with the first bytes of p and returns how many.
func (l *Loop) build(p []byte) int {
	start := len(l.buf)
	n := min(len(p), l.size-headerSize-tagSize)
	l.buf = append(l.buf, "\x40bareloop"...)
	l.buf = append(l.buf, byte(l.sent>>16), byte(l.sent>>8), byte(l.sent))
	l.buf = append(l.buf, p[:n]...)
	body := start + headerSize
	if l.seal != nil {
		binary.BigEndian.PutUint64(l.sealNonce[4:], l.sent)
		l.buf = l.seal.Seal(l.buf[:body], l.sealNonce[:], l.buf[body:], l.buf[start:body])
	} else {
		l.buf = l.buf[:len(l.buf)+tagSize]
	}
	l.msgs = append(l.msgs, udp.Message{Data: l.buf[start:len(l.buf):len(l.buf)], Remote: l.to.AddrPort()})
	l.sent++
	return n
}

// Read waits for datagrams and copies what they carry into p. Give it at least 128 kB: what one read of the socket
// brings beyond that waits for the next.
func (l *Loop) Read(p []byte) (n int, err error) {
	if len(l.rest) > 0 {
		n = copy(p, l.rest)
		l.rest = l.rest[n:]
		return n, nil
	}
	msgs, err := l.to.ReadBatch(l.in)
	if err != nil {
		return 0, err
	}
	for i := range msgs {
		plain, err := l.take(msgs[i].Data)
		if err != nil {
			return n, err
		}
		k := copy(p[n:], plain)
		n += k
		if k < len(plain) {
			l.rest = append(l.rest, plain[k:]...)
		}
	}
	select {
	case l.room <- struct{}{}:
	default: // a signal is already on its way
	}
	return n, nil
}

// take opens a datagram where it lies.
func (l *Loop) take(data []byte) ([]byte, error) {
	number := l.received.Load()
	if len(data) < headerSize+tagSize || data[headerSize-1] != byte(number) {
		return nil, ErrLost
	}
	l.received.Store(number + 1)
	if l.open == nil {
		return data[headerSize : len(data)-tagSize], nil
	}
	binary.BigEndian.PutUint64(l.openNonce[4:], number)
	return l.open.Open(data[headerSize:headerSize], l.openNonce[:], data[headerSize:], data[:headerSize])
}

// Close ends the loop: Write and Read return errors.
func (l *Loop) Close() error {
	l.close.Do(func() { close(l.over) })
	return errors.Join(l.from.Close(), l.to.Close())
}
