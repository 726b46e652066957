package realtime

import (
	"time"

	"github.com/godwit-net/godwit/protocol"
)

// transferPause is the time from the end of a transfer to the start of the next.
const transferPause = 100 * time.Millisecond

// transfer is what goes out on a stream beside the messages.
type transfer struct {
	running bool
	left    int // to write
	unread  int
}

// filler is what streams carry: any bytes do.
var filler [16 << 10]byte

func (t *transfer) write(s *protocol.Stream) error {
	for t.left > 0 {
		n, err := s.Write(filler[:min(t.left, len(filler))])
		t.left -= n
		if n == 0 || err != nil {
			return err
		}
	}
	s.CloseWrite()
	return nil
}

// startTransfer writes to a new stream.
func (r *run) startTransfer() {
	if r.err != nil {
		return
	}
	stream, err := r.session.OpenStream(true)
	if err != nil {
		r.err = err
		return
	}
	r.transfer = transfer{running: true, left: r.scenario.Transfer, unread: r.scenario.Transfer}
	r.err = r.transfer.write(stream)
	r.client.Wake(r.session)
}

// readTransfer reads at the server. When all has come, the next transfer follows.
func (r *run) readTransfer(s *protocol.Stream) {
	for {
		n, err := s.Read(r.buf[:cap(r.buf)])
		r.transfer.unread -= n
		if n == 0 || err != nil {
			break
		}
	}
	if r.transfer.running && r.transfer.unread == 0 {
		r.transfer.running = false
		r.world.After(transferPause, r.startTransfer)
	}
}
