package transport

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Framed carries messages over a stream, each with its length in front, as a program would that has only streams.
// All classes are reliable and ordered.
type Framed struct {
	stream io.ReadWriter
	out    *bufio.Writer // nil until something is sent
	in     *bufio.Reader // nil until something is awaited
}

const (
	lengthSize = 2
	// framedBuffer holds what is written with more: a frame of media has 12,520 bytes.
	framedBuffer = 16 << 10
)

// NewFramed returns messages over a stream. Sessions that carry none cost nothing.
func NewFramed(stream io.ReadWriter) *Framed { return &Framed{stream: stream} }

// SendMessage writes b, at once unless more of them follow.
func (f *Framed) SendMessage(b []byte, _ Class, more bool) error {
	if f.out == nil {
		f.out = bufio.NewWriterSize(f.stream, framedBuffer)
	}
	_, _ = f.out.Write(binary.BigEndian.AppendUint16(f.out.AvailableBuffer(), uint16(len(b)))) // the next call has its error
	if _, err := f.out.Write(b); err != nil || more {
		return err
	}
	return f.out.Flush()
}

// ReceiveMessage reads the next message.
func (f *Framed) ReceiveMessage(buf []byte, _ Class) (int, error) {
	if f.in == nil {
		f.in = bufio.NewReaderSize(f.stream, framedBuffer)
	}
	var length [lengthSize]byte
	if _, err := io.ReadFull(f.in, length[:]); err != nil {
		return 0, err
	}
	n := int(binary.BigEndian.Uint16(length[:]))
	if n > len(buf) {
		return 0, fmt.Errorf("a message of %d bytes does not fit %d", n, len(buf))
	}
	return io.ReadFull(f.in, buf[:n])
}
