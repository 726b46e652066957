package conn_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/protocol/sim"
)

// programLinks are what the programs run over.
var programLinks = map[string]sim.Config{
	"clean": {Delay: 2 * time.Millisecond},
	"loss5": {Delay: 2 * time.Millisecond, Loss: 0.05},
}

// echo answers with what it was sent, and says which protocol it was asked in.
func echo(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Proto", r.Proto)
	body, _ := io.ReadAll(r.Body) // HTTP/1 answers after the question; the client sees what is missing
	_, _ = rw.Write(body)
}

// wantEcho posts n bytes and expects them back.
func wantEcho(t *testing.T, client *http.Client, n int, proto string) {
	t.Helper()
	data := randomBytes(n)
	resp, err := client.Post("http://server.test/echo", "application/octet-stream", bytes.NewReader(data))
	require.NoError(t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
	require.Equal(t, proto, resp.Header.Get("Proto"))
}

func TestHTTPServerAndClientRunOverSessions(t *testing.T) {
	for name, link := range programLinks {
		t.Run(name, func(t *testing.T) {
			inBubble(t, link, nil, func(t *testing.T, w *world) {
				server := &http.Server{Handler: http.HandlerFunc(echo)}
				go server.Serve(w.listener)
				dialer := w.client()
				client := &http.Client{Transport: &http.Transport{
					DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
						return dialer.Dial(ctx, serverAddr.String(), w.clientConfig())
					},
				}}
				var wg sync.WaitGroup
				for i := range 8 {
					wg.Go(func() { wantEcho(t, client, i*50_000, "HTTP/1.1") })
				}
				wg.Wait()
				client.CloseIdleConnections()
				require.NoError(t, server.Shutdown(t.Context()))
			})
		})
	}
}

// HTTP/2 runs in real time: the package holds a mutex while it writes, and whoever waits for a mutex stops
// virtual time.
func TestHTTP2RunsOverStreams(t *testing.T) {
	var http2 http.Protocols
	http2.SetUnencryptedHTTP2(true) // the session encrypts
	for name, link := range programLinks {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, link, nil)
			c, s := w.pair()
			server := &http.Server{Handler: http.HandlerFunc(echo), Protocols: &http2}
			go server.Serve(streamListener{s})
			transport := &http.Transport{
				Protocols:   &http2,
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.OpenStream(ctx) },
			}
			client := &http.Client{Transport: transport}
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() { wantEcho(t, client, i*50_000, "HTTP/2.0") })
			}
			wg.Wait()
			transport.CloseIdleConnections()
			require.NoError(t, server.Shutdown(t.Context()))
			require.NoError(t, c.Close())
		})
	}
}

// streamListener accepts the streams of one session.
type streamListener struct{ *conn.Session }

func (l streamListener) Accept() (net.Conn, error) { return l.AcceptStream(context.Background()) }
func (l streamListener) Addr() net.Addr            { return l.LocalAddr() }

// certificate makes a certificate for server.test and the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"server.test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTLSRunsOverAStream(t *testing.T) {
	for name, link := range programLinks {
		t.Run(name, func(t *testing.T) {
			inBubble(t, link, nil, func(t *testing.T, w *world) {
				cert, pool := certificate(t)
				c, s := w.pair()
				a, b := streams(t, c, s)
				server := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{cert}})
				client := tls.Client(a, &tls.Config{RootCAs: pool, ServerName: "server.test"})
				data := randomBytes(300_000)
				sent := make(chan error)
				go func() {
					_, err := client.Write(data)
					sent <- err
					sent <- client.CloseWrite()
				}()
				got := make([]byte, len(data))
				_, err := io.ReadFull(server, got)
				require.NoError(t, err)
				require.Equal(t, data, got)
				require.NoError(t, <-sent)
				require.NoError(t, <-sent)
				_, err = server.Read(got)
				require.ErrorIs(t, err, io.EOF)
				require.NoError(t, server.Close())
				require.NoError(t, client.Close())
			})
		})
	}
}

func ExampleDial() {
	l, err := conn.Listen("127.0.0.1:0", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	go func() {
		s, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(s, s) // until the client closes its direction
		_ = s.Close()
	}()

	c, err := conn.Dial(context.Background(), l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Fprint(c, "hello")
	_ = c.CloseWrite()
	answer, err := io.ReadAll(c)
	fmt.Println(string(answer), err)
	// Output: hello <nil>
}
