package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

// protocolName is offered by ALPN, which QUIC demands.
const protocolName = "rivals"

// serverTLS returns the configuration of a server that has a fresh certificate for its address.
func serverTLS(host string) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.ParseIP(host)},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}},
		MinVersion:   tls.VersionTLS13, NextProtos: []string{protocolName},
		SessionTicketsDisabled: true, // handshakes are measured whole
	}, nil
}

// target says where a server is and what its certificate, or whatever proves who it is, is.
func target(addr string, proof []byte) string {
	return addr + " " + base64.StdEncoding.EncodeToString(proof)
}

func parseTarget(target string) (addr string, proof []byte, err error) {
	addr, text, _ := strings.Cut(target, " ")
	if proof, err = base64.StdEncoding.DecodeString(text); err != nil {
		return "", nil, fmt.Errorf("target %q: %w", target, err)
	}
	return addr, proof, nil
}

// clientTLS returns where a server is, and the configuration of a client that trusts its certificate alone.
func clientTLS(target string) (addr string, config *tls.Config, err error) {
	addr, raw, err := parseTarget(target)
	if err != nil {
		return "", nil, err
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		return "", nil, err
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "", nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return addr, &tls.Config{RootCAs: pool, ServerName: host, MinVersion: tls.VersionTLS13, NextProtos: []string{protocolName}}, nil
}
