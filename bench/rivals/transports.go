package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"time"

	"github.com/godwit-net/godwit/conn"
	"github.com/quic-go/quic-go"
)

func openTCP(ctx context.Context) (*pair, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return dialPair(ctx, l)
}

// dialPair connects to a listener and closes it.
func dialPair(ctx context.Context, l net.Listener) (*pair, error) {
	defer l.Close()
	var d net.Dialer
	near, err := d.DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	far, err := l.Accept()
	if err != nil {
		return nil, err
	}
	return &pair{send: near, receive: far, close: func() { near.Close(); far.Close() }}, nil
}

func openTLS(ctx context.Context) (*pair, error) {
	p, err := openTCP(ctx)
	if err != nil {
		return nil, err
	}
	server, client, err := tlsConfigs()
	if err != nil {
		return nil, err
	}
	near, far := tls.Client(p.send.(net.Conn), client), tls.Server(p.receive.(net.Conn), server)
	shaken := make(chan error, 1)
	go func() { shaken <- far.HandshakeContext(ctx) }()
	if err := near.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	if err := <-shaken; err != nil {
		return nil, err
	}
	p.send, p.receive = near, far
	return p, nil
}

// tlsConfigs are those of a server with a fresh certificate, and of a client that trusts it.
func tlsConfigs() (server, client *tls.Config, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	const protocol = "rivals"
	return &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}},
			MinVersion:   tls.VersionTLS13, NextProtos: []string{protocol},
		}, &tls.Config{
			RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13, NextProtos: []string{protocol},
		}, nil
}

func openQUIC(ctx context.Context) (*pair, error) {
	server, client, err := tlsConfigs()
	if err != nil {
		return nil, err
	}
	l, err := quic.ListenAddr("127.0.0.1:0", server, nil)
	if err != nil {
		return nil, err
	}
	near, err := quic.DialAddr(ctx, l.Addr().String(), client, nil)
	if err != nil {
		return nil, err
	}
	far, err := l.Accept(ctx)
	if err != nil {
		return nil, err
	}
	send, err := near.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := send.Write([]byte{0}); err != nil { // a stream shows with its first byte
		return nil, err
	}
	receive, err := far.AcceptStream(ctx)
	if err != nil {
		return nil, err
	}
	return &pair{send: send, receive: receive, close: func() {
		_ = near.CloseWithError(0, "")
		_ = far.CloseWithError(0, "")
		_ = l.Close()
	}}, nil
}

func openGodwit(ctx context.Context) (*pair, error) {
	l, err := conn.Listen("127.0.0.1:0", nil)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	near, err := conn.Dial(ctx, l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
	if err != nil {
		return nil, err
	}
	far, err := l.AcceptSession(ctx)
	if err != nil {
		return nil, err
	}
	return &pair{send: near, receive: far, close: func() {
		_ = near.CloseWithError(0, "")
		_ = far.CloseWithError(0, "")
	}}, nil
}
