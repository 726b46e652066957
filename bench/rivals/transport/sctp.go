package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
	"github.com/pion/sctp"
)

// sctpDTLS is pion/sctp over pion/dtls, as in a WebRTC data channel.
type sctpDTLS struct{}

// SCTP returns pion/sctp over DTLS 1.2.
func SCTP() Transport { return sctpDTLS{} }

// Sizes in bytes. A record of DTLS 1.2 with AES-GCM adds 13 + 8 + 16 to a packet.
const (
	sctpPacket  = 1400     // as large as paths of the Internet carry for certain; the library does not search
	sctpBuffer  = 16 << 20 // its default of 1 MiB is less than what a long path holds
	sctpMessage = 64 << 10
	dtlsRecord  = 13 + 8 + 16
)

func (sctpDTLS) About() About {
	return About{
		Name: "sctp", Module: "github.com/pion/sctp",
		Settings: "over pion/dtls 1.2 with AES-128-GCM, no second checksum (RFC 9653), packets of 1400, buffer of 16 MiB; snapshots unordered and never sent again, media ordered with a lifetime of 150 ms (RFC 3758)",
		Streams:  true, Multiplexed: true, Messages: true,
	}
}

// quiet writes no log: errors show where they are returned.
func quiet() *logging.DefaultLoggerFactory {
	f := logging.NewDefaultLoggerFactory()
	f.DefaultLogLevel = logging.LogLevelDisabled
	return f
}

// dtlsSuites are those of one pass over the data, as everybody else here uses.
var dtlsSuites = dtls.WithCipherSuites(dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)

// associate returns the options of both ends.
func associate[Option any](c net.Conn, o *Options, each func(sctp.AssociationOption) Option) (all []Option) {
	packet := uint32(sctpPacket)
	if o.Datagram > 0 {
		packet = uint32(o.Datagram - dtlsRecord)
	}
	for _, option := range []sctp.AssociationOption{
		sctp.WithNetConn(c), sctp.WithLoggerFactory(quiet()), sctp.WithBlockWrite(true), sctp.WithEnableZeroChecksum(true),
		sctp.WithMTU(packet), sctp.WithMaxReceiveBufferSize(sctpBuffer), sctp.WithMaxMessageSize(sctpMessage),
	} {
		all = append(all, each(option))
	}
	return all
}

func (sctpDTLS) Listen(o Options) (Server, error) {
	config, err := serverTLS(o.Host)
	if err != nil {
		return nil, err
	}
	s := &sctpServer{Options: o, certificate: config.Certificates[0], ready: make(chan Session), closed: make(chan struct{})}
	err = o.Open(func() (err error) {
		listen := net.ListenConfig{}
		s.listener, err = dtls.ListenWithOptions("udp", &net.UDPAddr{IP: net.ParseIP(o.Host)},
			dtls.WithCertificates(config.Certificates...), dtlsSuites, dtls.WithLoggerFactory(quiet()), dtls.WithListenConfig(listen))
		return err
	})
	if err == nil {
		go s.run()
	}
	return s, err
}

type sctpServer struct {
	Options
	certificate tls.Certificate
	listener    net.Listener
	ready       chan Session
	once        sync.Once
	closed      chan struct{}
}

func (s *sctpServer) Target() string {
	return target(s.listener.Addr().String(), s.certificate.Certificate[0])
}

// run shakes hands with each client beside the others.
func (s *sctpServer) run() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			if err := c.(*dtls.Conn).HandshakeContext(timeout(handshakeTime)); err != nil {
				c.Close()
				return
			}
			a, err := sctp.ServerWithOptions(associate(c, &s.Options, func(o sctp.AssociationOption) sctp.ServerOption { return o })...)
			if err != nil {
				c.Close()
				return
			}
			session, err := newSCTPSession(a, c, 0)
			if err != nil {
				return
			}
			select {
			case s.ready <- session:
			case <-s.closed:
				_ = session.Close()
			}
		}()
	}
}

// handshakeTime bounds a handshake that nobody else bounds.
const handshakeTime = 20 * time.Second

func timeout(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	context.AfterFunc(ctx, cancel)
	return ctx
}

func (s *sctpServer) Accept(ctx context.Context) (Session, error) {
	select {
	case session := <-s.ready:
		return session, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *sctpServer) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.listener.Close()
}

func (sctpDTLS) Client(o Options) (Client, error) { return &sctpClient{o}, nil }

type sctpClient struct{ Options }

func (c *sctpClient) Dial(ctx context.Context, to string) (Session, error) {
	to, raw, err := parseTarget(to)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, err
	}
	addr, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		return nil, err
	}
	socket, err := c.socket()
	if err != nil {
		return nil, err
	}
	enlarge(socket)
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	secure, err := dtls.ClientWithOptions(socket, addr, dtls.WithRootCAs(pool), dtls.WithServerName(addr.IP.String()),
		dtlsSuites, dtls.WithLoggerFactory(quiet()))
	if err != nil {
		socket.Close()
		return nil, err
	}
	if err := secure.HandshakeContext(ctx); err != nil {
		secure.Close()
		return nil, err
	}
	a, err := sctp.ClientContext(ctx, associate(secure, &c.Options, func(o sctp.AssociationOption) sctp.ClientOption { return o })...)
	if err != nil {
		secure.Close()
		return nil, err
	}
	return newSCTPSession(a, secure, 1)
}

func (c *sctpClient) Close() error { return nil }

// sctpSession is one association. Its first streams are for bytes and for each class of messages.
type sctpSession struct {
	sctpStream
	association *sctp.Association
	under       net.Conn
	messages    [classes]*sctp.Stream

	mu   sync.Mutex
	next uint16 // stream that this end opens
}

// firstFree is the first stream that is opened by the application. Ends open every second one, as data channels do.
const firstFree = 1 + uint16(classes)

func newSCTPSession(a *sctp.Association, under net.Conn, side uint16) (*sctpSession, error) {
	s := &sctpSession{association: a, under: under, next: firstFree + side}
	first, err := a.OpenStream(0, sctp.PayloadTypeWebRTCBinary)
	if err != nil {
		return nil, err
	}
	s.sctpStream = sctpStream{Stream: first}
	for class := range s.messages {
		if s.messages[class], err = a.OpenStream(1+uint16(class), sctp.PayloadTypeWebRTCBinary); err != nil {
			return nil, err
		}
	}
	s.messages[Newest].SetReliabilityParams(true, sctp.ReliabilityTypeRexmit, 0)
	s.messages[Timed].SetReliabilityParams(false, sctp.ReliabilityTypeTimed, uint32(MediaDeadline.Milliseconds()))
	return s, nil
}

func (s *sctpSession) SendMessage(b []byte, class Class, _ bool) error {
	_, err := s.messages[class].Write(b)
	return err
}

func (s *sctpSession) ReceiveMessage(buf []byte, class Class) (int, error) {
	return s.messages[class].Read(buf)
}

func (s *sctpSession) OpenStream(context.Context) (Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stream, err := s.association.OpenStream(s.next, sctp.PayloadTypeWebRTCBinary)
	s.next += 2
	return &sctpStream{Stream: stream}, err
}

func (s *sctpSession) AcceptStream(context.Context) (Stream, error) {
	for {
		stream, err := s.association.AcceptStream()
		if err != nil || stream.StreamIdentifier() >= firstFree {
			return &sctpStream{Stream: stream}, err
		}
	}
}

func (s *sctpSession) Close() error {
	err := s.under.Close()
	_ = s.association.Close()
	return err
}

// sctpStream gives the bytes of messages, whatever their size.
type sctpStream struct {
	*sctp.Stream
	buf, rest []byte
}

func (s *sctpStream) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		if len(b) >= sctpMessage {
			return s.Stream.Read(b)
		}
		if s.buf == nil {
			s.buf = make([]byte, sctpMessage)
		}
		n, err := s.Stream.Read(s.buf)
		if err != nil {
			return 0, err
		}
		s.rest = s.buf[:n]
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *sctpStream) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = s.Stream.Write(b[n:min(n+sctpMessage, len(b))])
		n += m
	}
	return n, err
}

// CloseWrite resets the stream, which is how SCTP ends one (RFC 6525).
func (s *sctpStream) CloseWrite() error { return s.Stream.Close() }
