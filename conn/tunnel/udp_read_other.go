//go:build !unix

package tunnel

// flowReader reads the datagrams that come to a flow's socket.
type flowReader struct {
	conn   udpConn
	header []byte // the flow's number
}

func newFlowReader(c udpConn, id uint64) *flowReader {
	return &flowReader{conn: c, header: appendVarint(nil, id)}
}

// read waits for a datagram and gives it with the flow's number in front. It is valid during the call.
func (r *flowReader) read(give func(packet []byte, size int)) error { return r.readOne(give) }
