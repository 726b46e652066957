package tunnel

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
)

func worldAddr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// scriptSession is a session whose peer is the test.
type scriptSession struct {
	session
	t *testing.T

	mu     sync.Mutex
	in     []conn.Message
	came   chan struct{}
	sent   []conn.Message
	kinds  []conn.MessageOptions // of sent
	mtu    int
	closed bool
	code   uint64
}

func (s *scriptSession) ReceiveMessageInto(ctx context.Context, _ []byte) (conn.Message, error) {
	for {
		s.mu.Lock()
		n, closed := len(s.in), s.closed
		s.mu.Unlock()
		if closed {
			return conn.Message{}, net.ErrClosed
		}
		if n > 0 {
			return conn.Message{}, io.ErrShortBuffer
		}
		select {
		case <-s.came:
		case <-ctx.Done():
			return conn.Message{}, ctx.Err()
		}
	}
}

func (s *scriptSession) ReceiveBatch(buf []conn.Received) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n < len(buf) && len(s.in) > 0 {
		buf[n].Message = s.in[0]
		s.in = s.in[1:]
		n++
	}
	return n
}

func (s *scriptSession) SendMessage(p []byte, o conn.MessageOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, conn.Message{Channel: o.Channel, Data: bytes.Clone(p)})
	s.kinds = append(s.kinds, o)
	return nil
}

func (s *scriptSession) ChannelStats(uint16) conn.ChannelStats { return conn.ChannelStats{} }
func (s *scriptSession) Flush() error                          { return nil }
func (s *scriptSession) Stats() conn.Stats                     { return conn.Stats{MTU: s.mtu} }

func (s *scriptSession) CloseWithError(code uint64, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.code = true, code
	return nil
}

// give has a message come, and waits until it was dealt with.
func (s *scriptSession) give(channel uint16, data []byte) {
	s.mu.Lock()
	s.in = append(s.in, conn.Message{Channel: channel, Data: data})
	s.mu.Unlock()
	select {
	case s.came <- struct{}{}:
	default:
	}
	synctest.Wait()
}

func (s *scriptSession) control(data []byte) { s.give(controlChannel, data) }

// datagram has a datagram of a flow come.
func (s *scriptSession) datagram(flow uint64, text string) {
	s.give(1, append(appendVarint(nil, flow), text...))
}

// controls are the control messages that were sent.
func (s *scriptSession) controls() (list []control) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.sent {
		if m.Channel == controlChannel {
			c, err := parseControl(m.Data)
			require.NoError(s.t, err)
			list = append(list, c)
		}
	}
	return list
}

// recorder is a target that keeps what it gets.
type recorder struct {
	mu     sync.Mutex
	got    []string
	err    error // of writing
	closed chan struct{}
	once   sync.Once
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return 0, r.err
	}
	r.got = append(r.got, string(b))
	return len(b), nil
}

func (r *recorder) Read([]byte) (int, error) {
	<-r.closed
	return 0, net.ErrClosed
}

func (r *recorder) Close() error {
	r.once.Do(func() { close(r.closed) })
	return nil
}

func (r *recorder) LocalAddr() net.Addr             { return nil }
func (r *recorder) RemoteAddr() net.Addr            { return net.UDPAddrFromAddrPort(worldAddr("10.2.0.1:5000")) }
func (r *recorder) SetReadDeadline(time.Time) error { return nil }

func (r *recorder) texts() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got
}

// inMux runs a test with one end of a session whose peer is the test: a server, which reaches target and nothing else.
func inMux(t *testing.T, test func(t *testing.T, m *udpMux, s *scriptSession, target *recorder)) {
	synctest.Test(t, func(t *testing.T) {
		target := &recorder{closed: make(chan struct{})}
		server := newServer(ServerConfig{Allow: rules(t, "udp://10.2.0.1:5000")})
		server.dialer.connectUDP = func(netip.AddrPort, uint16) (udpConn, error) { return target, nil }
		s := &scriptSession{t: t, came: make(chan struct{}, 1), mtu: 1472}
		v := newServing(server, s, testKey(1), slog.New(slog.DiscardHandler))
		m := newUDPMux(s, false, v, &v.udp, v.log)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.run(ctx)
		}()
		test(t, m, s, target)
		cancel()
		<-done
		require.Zero(t, v.udp.stats().Flows)
	})
}

var allowedTarget = Target{Network: NetworkUDP, Addr: netip.MustParseAddr("10.2.0.1"), Port: 5000}

func openMessage(flow uint64, t Target) []byte {
	return appendUDPRequest(appendVarint([]byte{controlOpen}, flow), t, &UDPOptions{}, flowNames{})
}

func closeMessage(flow uint64) []byte {
	return appendReply(appendVarint([]byte{controlClose}, flow), CodeConnected, "")
}

func TestDatagramsThatOvertakeTheirFlowWaitForIt(t *testing.T) {
	// spec: TUN-35
	inMux(t, func(t *testing.T, m *udpMux, s *scriptSession, target *recorder) {
		s.datagram(2, "one")
		s.datagram(0, "other")
		s.datagram(2, "two")
		require.Empty(t, target.texts())
		s.control(openMessage(0, Target{Network: NetworkUDP, Addr: netip.MustParseAddr("10.2.0.1"), Port: 53}))
		require.Empty(t, target.texts(), "what waits for a flow that is refused is dropped")
		s.control(openMessage(2, allowedTarget))
		s.datagram(2, "three")
		require.Equal(t, []string{"one", "two", "three"}, target.texts())
		require.Zero(t, m.held.bytes)
		require.EqualValues(t, 1, m.count.stats().Dropped)
	})
}

func TestWhatWaitsForFlowsIsBounded(t *testing.T) {
	// spec: TUN-35
	inMux(t, func(t *testing.T, m *udpMux, s *scriptSession, target *recorder) {
		for range 144 {
			s.datagram(0, string(make([]byte, 1472)))
		}
		require.Zero(t, m.count.stats().Dropped, "a burst fits")
		for i := range 1000 {
			s.datagram(uint64(2*i), string(make([]byte, 4000)))
			require.LessOrEqual(t, m.held.bytes, maxHeldBytes)
		}
		dropped := m.count.stats().Dropped
		require.Greater(t, dropped, uint64(900))
		for i := range 1000 {
			s.datagram(uint64(2*i), "")
			require.LessOrEqual(t, len(m.held.list), maxHeldDatagrams)
		}
		time.Sleep(holdTime + time.Millisecond)
		s.datagram(4000, "late") // what is too old makes room
		require.Len(t, m.held.list, 1)
		s.control(openMessage(0, allowedTarget))
		require.Empty(t, target.texts())
	})
}

func TestDatagramsOfAFlowThatIsOverAreAnsweredOnceInAWhile(t *testing.T) {
	// spec: TUN-35
	inMux(t, func(t *testing.T, m *udpMux, s *scriptSession, target *recorder) {
		s.control(openMessage(0, allowedTarget))
		s.datagram(0, "a")
		s.control(closeMessage(0))
		for range 10 {
			s.datagram(0, "b")
		}
		require.Equal(t, []string{"a"}, target.texts())
		require.Len(t, s.controls(), 1)
		require.Equal(t, control{kind: controlClose}, s.controls()[0])
		time.Sleep(strayPause)
		s.datagram(0, "c")
		require.Len(t, s.controls(), 2)
		require.EqualValues(t, 11, m.count.stats().Stale)
		s.datagram(1, "of a flow of this end that never was")
		require.EqualValues(t, 12, m.count.stats().Stale)
	})
}

func TestATargetThatDoesNotListenEndsNothing(t *testing.T) {
	// spec: TUN-39
	inMux(t, func(t *testing.T, m *udpMux, s *scriptSession, target *recorder) {
		s.control(openMessage(0, allowedTarget))
		target.err = refusedError
		for range 10 {
			s.datagram(0, "lost")
		}
		target.err = nil
		s.datagram(0, "now it does")
		require.Equal(t, []string{"now it does"}, target.texts())
		require.EqualValues(t, 10, m.count.stats().Unwritten)
		require.Empty(t, s.controls())
	})
}

func TestAPeerThatSendsWhatMakesNoSenseIsLeft(t *testing.T) {
	// spec: TUN-31, TUN-36
	large := make([]byte, maxUDPMessage+1)
	for name, messages := range map[string][]conn.Message{
		"an empty control message":          {{Channel: controlChannel}},
		"an unknown kind":                   {{Channel: controlChannel, Data: []byte{99, 0}}},
		"a kind alone":                      {{Channel: controlChannel, Data: []byte{controlClose}}},
		"a close without a reply":           {{Channel: controlChannel, Data: []byte{controlClose, 0}}},
		"a close with more":                 {{Channel: controlChannel, Data: append(closeMessage(0), 0)}},
		"an unlisten with more":             {{Channel: controlChannel, Data: []byte{controlUnlisten, 1, 1}}},
		"an inbound flow without a port":    {{Channel: controlChannel, Data: []byte{controlInbound, 0}}},
		"a flow of this end":                {{Channel: controlChannel, Data: openMessage(1, allowedTarget)}},
		"a flow that was":                   {{Data: openMessage(4, allowedTarget)}, {Data: openMessage(2, allowedTarget)}},
		"the same flow":                     {{Data: openMessage(4, allowedTarget)}, {Data: openMessage(4, allowedTarget)}},
		"a listener that was":               {{Data: listenMessage(2)}, {Data: listenMessage(2)}},
		"an empty datagram message":         {{Channel: 3}},
		"half a number of a flow":           {{Channel: 3, Data: []byte{0x40}}},
		"a datagram larger than any":        {{Channel: 3, Data: large}},
		"a control message larger than all": {{Channel: controlChannel, Data: large}},
	} {
		t.Run(name, func(t *testing.T) {
			inMux(t, func(t *testing.T, _ *udpMux, s *scriptSession, _ *recorder) {
				for i, m := range messages {
					require.False(t, s.closed)
					s.give(m.Channel, m.Data)
					require.Equal(t, i == len(messages)-1, s.closed)
				}
				require.EqualValues(t, closeProtocol, s.code)
			})
		})
	}
}

func listenMessage(number uint64) []byte {
	return appendUDPRequest(appendVarint([]byte{controlListen}, number), allowedTarget, &UDPOptions{}, flowNames{})
}

func TestRequestsThatCannotBeCarriedAreAnsweredWithTheReason(t *testing.T) {
	// spec: TUN-32, TUN-33
	good := openMessage(0, allowedTarget)
	with := func(change func(b []byte) []byte) []byte { return change(bytes.Clone(good)) }
	options := func(b ...byte) []byte {
		return append(good[:len(good)-2:len(good)-2], append([]byte{0, byte(len(b))}, b...)...)
	}
	for name, c := range map[string]struct {
		message []byte
		code    Code
	}{
		"another version":           {with(func(b []byte) []byte { b[2] = 9; return b }), CodeVersion},
		"another network":           {with(func(b []byte) []byte { b[3] = byte(NetworkTCP); return b }), CodeUnsupported},
		"an unknown form":           {with(func(b []byte) []byte { b[4] = 9; return b }), CodeMalformed},
		"port 0":                    {with(func(b []byte) []byte { b[9], b[10] = 0, 0; return b }), CodeMalformed},
		"no options length":         {good[:len(good)-2], CodeMalformed},
		"options beyond the end":    {with(func(b []byte) []byte { b[len(b)-1] = 5; return b }), CodeMalformed},
		"half an option":            {options(0, 1, 0), CodeMalformed},
		"an option beyond the end":  {options(0, 9, 0, 2, 1), CodeMalformed},
		"a deadline of one octet":   {options(0, 1, 0, 1, 1), CodeMalformed},
		"a deadline of 0":           {options(0, 1, 0, 2, 0, 0), CodeMalformed},
		"a deadline of 31 s":        {options(0, 1, 0, 2, 0x79, 0x18), CodeMalformed},
		"unordered with a value":    {options(0, 2, 0, 1, 1), CodeMalformed},
		"a token of 1 octet":        {options(0, 4, 0, 1, 1), CodeMalformed},
		"a token of 17 octets":      {options(append([]byte{0, 4, 0, 17}, make([]byte, 17)...)...), CodeMalformed},
		"a play-out of 3 octets":    {options(0, 3, 0, 3, 1, 1, 1), CodeMalformed},
		"a pair of 7 octets":        {options(append([]byte{0, 6, 0, 7}, make([]byte, 7)...)...), CodeMalformed},
		"an overhead of one octet":  {options(0, 5, 0, 1, 1), CodeMalformed},
		"an overhead of 301 %":      {options(0, 5, 0, 2, 1, 45), CodeMalformed},
		"an option that is unknown": {options(0x7f, 9, 0, 2, 1, 1), CodeConnected},
		"all options":               {options(0, 1, 0, 2, 0, 100, 0, 2, 0, 0, 0, 3, 0, 2, 0, 200, 0, 5, 0, 2, 1, 44), CodeConnected},
	} {
		t.Run(name, func(t *testing.T) {
			inMux(t, func(t *testing.T, m *udpMux, s *scriptSession, target *recorder) {
				s.control(c.message)
				require.False(t, s.closed)
				if c.code == CodeConnected {
					require.Empty(t, s.controls())
					require.Len(t, m.far, 1)
					return
				}
				require.Len(t, s.controls(), 1)
				require.Equal(t, c.code, s.controls()[0].code)
				require.Empty(t, m.far)
			})
		})
	}
}

func TestTheServerTakesSoManyFlowsOfASession(t *testing.T) {
	// spec: TUN-34
	inMux(t, func(t *testing.T, m *udpMux, s *scriptSession, target *recorder) {
		m.reach.(*serving).server.dialer.connectUDP = func(netip.AddrPort, uint16) (udpConn, error) {
			return &recorder{closed: make(chan struct{})}, nil
		}
		for i := range maxSessionFlows {
			s.control(openMessage(uint64(2*i), allowedTarget))
		}
		require.Len(t, m.far, maxSessionFlows)
		require.Empty(t, s.controls())
		s.control(openMessage(2*maxSessionFlows, allowedTarget))
		require.Len(t, s.controls(), 1)
		require.Equal(t, CodeBusy, s.controls()[0].code)
		s.control(closeMessage(0))
		s.control(openMessage(2*maxSessionFlows+2, allowedTarget))
		require.Len(t, s.controls(), 1)
		require.Len(t, m.far, maxSessionFlows)
	})
}

func TestAnswersOfTheServerAreCarriedAsTheFlowAsks(t *testing.T) {
	// spec: TUN-37, TUN-46
	inMux(t, func(t *testing.T, m *udpMux, s *scriptSession, _ *recorder) {
		media := UDPOptions{Deadline: 100 * time.Millisecond, Playout: 200 * time.Millisecond}
		costly, cheap := media, media
		costly.Overhead, cheap.Overhead = 300, NoOverhead
		s.control(openMessage(0, allowedTarget))
		s.control(appendUDPRequest(appendVarint([]byte{controlOpen}, 2), allowedTarget, &media, flowNames{}))
		s.control(appendUDPRequest(appendVarint([]byte{controlOpen}, 4), allowedTarget, &costly, flowNames{}))
		s.control(appendUDPRequest(appendVarint([]byte{controlOpen}, 6), allowedTarget, &cheap, flowNames{}))
		for flow, size := range map[uint64]int{0: 1380, 2: 1380, 4: 1380, 6: 1380} {
			f := m.far[flow]
			f.answer(append(appendVarint(nil, flow), make([]byte, size)...), size)
			f.answer(append(appendVarint(nil, flow), make([]byte, 2000)...), 2000)
		}
		seen := map[channelClass]bool{}
		for _, o := range s.kinds {
			seen[channelClass{o.Mode, o.Deadline, o.Playout, o.OverheadCap, o.Priority}] = true
		}
		require.Equal(t, map[channelClass]bool{
			{conn.Unreliable, plainDeadline, 0, 0, plainPriority}:                     true,
			{conn.ReliableUnordered, largeDeadline, 0, 30, plainPriority}:             true,
			{conn.ReliableOrdered, media.Deadline, media.Playout, 30, mediaPriority}:  true,
			{conn.ReliableOrdered, media.Deadline, media.Playout, 300, mediaPriority}: true,
			{conn.ReliableOrdered, media.Deadline, media.Playout, -1, mediaPriority}:  true,
		}, seen)
	})
}

func TestTheServerReachesNothingAtTheClient(t *testing.T) {
	// spec: TUN-41, TUN-42
	synctest.Test(t, func(t *testing.T) {
		c := newClient(ClientConfig{Reverse: []Forward{{Listen: "10.2.0.1:8000", Target: allowedTarget}}})
		target := &recorder{closed: make(chan struct{})}
		c.dialer.connectUDP = func(a netip.AddrPort, _ uint16) (udpConn, error) {
			require.Equal(t, "10.2.0.1:5000", a.String())
			return target, nil
		}
		s := &scriptSession{t: t, came: make(chan struct{}, 1), mtu: 1472}
		m := newUDPMux(s, true, c, &c.farUDP, c.log)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.run(ctx)
		}()
		synctest.Wait()
		part, err := c.newUDPReverse(c.config.Load().Reverse[0])
		require.NoError(t, err)
		c.asking.Lock()
		m.ask(part.(*udpReverses).ports[0])
		c.asking.Unlock()
		asked := s.controls()[0]
		require.EqualValues(t, controlListen, asked.kind)
		require.Equal(t, "udp://10.2.0.1:8000", asked.target.String())

		s.control(openMessage(1, allowedTarget))
		s.control(listenMessage(1))
		s.control(append(appendVarint(appendVarint([]byte{controlInbound}, 3), asked.number+1), 0, 0))
		for _, answer := range s.controls()[1:] {
			require.Equal(t, CodeNotAllowed, answer.code)
		}
		require.Len(t, s.controls(), 4)
		s.control(append(appendVarint(appendVarint([]byte{controlInbound}, 5), asked.number), 0, 0))
		s.datagram(5, "hello")
		require.Equal(t, []string{"hello"}, target.texts())
		cancel()
		<-done
	})
}

func FuzzParseControl(f *testing.F) {
	f.Add(openMessage(0, allowedTarget))
	f.Add(appendUDPRequest(appendVarint([]byte{controlOpen}, 1<<20), Target{Network: NetworkUDP, Name: "a.example", Port: 53}, &UDPOptions{Deadline: time.Second, Unordered: true, Playout: time.Second}, flowNames{flowToken{1}, 7}))
	f.Add(listenMessage(7))
	f.Add(closeMessage(1 << 40))
	f.Add(appendReply(appendVarint([]byte{controlListening}, 3), CodeNotAllowed, "no"))
	f.Add([]byte{controlInbound, 1, 2, 0, 0})
	f.Add([]byte{controlUnlisten, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseControl(b)
		if err != nil {
			require.ErrorIs(t, err, errControl)
			return
		}
		require.LessOrEqual(t, c.number, uint64(maxFlowID))
		switch c.kind {
		case controlOpen, controlListen:
			if c.bad != CodeConnected {
				return
			}
			require.Equal(t, NetworkUDP, c.target.Network)
			require.NotZero(t, c.target.Port)
			again, err := parseControl(appendUDPRequest(appendVarint([]byte{c.kind}, c.number), c.target, &c.udp, c.names))
			require.NoError(t, err)
			require.Equal(t, c, again)
		case controlInbound:
			if c.bad != CodeConnected {
				return
			}
			b := appendVarint(appendVarint([]byte{c.kind}, c.number), c.parent)
			again, err := parseControl(appendUDPOptions(b, &c.udp, c.names))
			require.NoError(t, err)
			require.Equal(t, c, again)
		case controlClose, controlListening:
			again, err := parseControl(appendReply(appendVarint([]byte{c.kind}, c.number), c.code, c.reason))
			require.NoError(t, err)
			require.Equal(t, c.code, again.code)
		}
	})
}
