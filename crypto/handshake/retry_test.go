package handshake

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// retry makes a RETRY for the present INIT of a client.
func (e *ends) retry(cookie byte) []byte {
	e.t.Helper()
	require.NoError(e.t, e.receiveInit(e.client.AppendInit(nil)))
	return e.server.AppendRetry(nil, retryHeader(), &e.in, [32]byte{cookie})
}

// spec: HS-11
func TestRetryWithAValidTagBringsTheCookie(t *testing.T) {
	for name, s := range settings {
		e := newEnds(t, s)
		require.NoError(t, e.client.HandleRetry(e.retry(7), len(retryHeader())), name)
		require.Equal(t, 1, e.client.Retries())
		client, server := e.run()
		requireSame(t, client, server)
		require.Equal(t, [32]byte{7}, e.in.Cookie(), name)
	}
}

// spec: HS-11
func TestRetryWithAnyByteChangedOrMissingIsDropped(t *testing.T) {
	e := newEnds(t, setting{})
	good := e.retry(7)
	first := e.client.AppendInit(nil)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		require.ErrorIs(t, e.client.HandleRetry(bad, len(retryHeader())), ErrAuth)
	}
	for n := range good {
		require.ErrorIs(t, e.client.HandleRetry(good[:n], len(retryHeader())), ErrMalformed)
		require.ErrorIs(t, e.client.HandleRetry(good[:n], n), ErrMalformed)
	}
	require.ErrorIs(t, e.client.HandleRetry(append(good, 0), len(retryHeader())), ErrMalformed)
	require.Equal(t, first, e.client.AppendInit(nil))
	require.NoError(t, e.client.HandleRetry(good, len(retryHeader())))
}

// spec: HS-12
func TestOneRetryCountsForEachInit(t *testing.T) {
	e := newEnds(t, setting{})
	first, second := e.retry(1), e.retry(2)
	require.NoError(t, e.client.HandleRetry(first, len(retryHeader())))
	require.ErrorIs(t, e.client.HandleRetry(second, len(retryHeader())), ErrUnexpected, "the second for the same INIT")
	e.client.AppendInit(nil)
	require.ErrorIs(t, e.client.HandleRetry(second, len(retryHeader())), ErrAuth, "it was for the INIT before")
	require.ErrorIs(t, e.client.HandleRetry(first, len(retryHeader())), ErrAuth)
	require.Equal(t, 1, e.client.Retries())
}

// spec: HS-12
func TestRetryBeforeAnyInitWasSentIsDropped(t *testing.T) {
	e := newEnds(t, setting{})
	require.NoError(t, e.receiveInit(e.client.init))
	b := e.server.AppendRetry(nil, retryHeader(), &e.in, [32]byte{1})
	require.ErrorIs(t, e.client.HandleRetry(b, len(retryHeader())), ErrUnexpected)
}

// spec: HS-12
func TestNoMoreThanThreeRetriesAreFollowed(t *testing.T) {
	e := newEnds(t, setting{})
	for i := range MaxRetries {
		require.NoError(t, e.client.HandleRetry(e.retry(byte(i+1)), len(retryHeader())))
	}
	require.ErrorIs(t, e.client.HandleRetry(e.retry(99), len(retryHeader())), ErrRetries)
	require.Equal(t, MaxRetries, e.client.Retries())
	client, server := e.run()
	requireSame(t, client, server)
	require.Equal(t, [32]byte{MaxRetries}, e.in.Cookie(), "the last one that counted")
}

// spec: HS-30
func TestRetryAndRejectAfterTheRespAreDropped(t *testing.T) {
	e := newEnds(t, setting{})
	retry := e.retry(1)
	e.respond()
	reject := e.server.AppendReject(nil, rejectHeader(), &e.in, RejectFull, "")
	e.deliver()
	require.ErrorIs(t, e.client.HandleRetry(retry, len(retryHeader())), ErrUnexpected)
	got, err := e.client.HandleReject(reject, len(rejectHeader()))
	require.ErrorIs(t, err, ErrUnexpected)
	require.Nil(t, got)
}

// spec: HS-13
func TestRetryAndRejectNeedAProvedInit(t *testing.T) {
	e := newEnds(t, setting{})
	require.Panics(t, func() { e.server.AppendRetry(nil, retryHeader(), &e.in, [32]byte{}) })
	require.Panics(t, func() { e.server.AppendReject(nil, rejectHeader(), &e.in, RejectFull, "") })
	b := e.client.AppendInit(nil)
	require.NoError(t, e.server.ParseInit(&e.in, b, len(initHeader())))
	require.Panics(t, func() { e.server.AppendRetry(nil, retryHeader(), &e.in, [32]byte{}) })
	require.NoError(t, e.server.CheckMAC(&e.in))
	require.Panics(t, func() { e.server.AppendReject(nil, rejectHeader(), &e.in, RejectFull, "") })
}

// spec: HS-37
func TestRejectIsAuthenticAndCarriesItsHint(t *testing.T) {
	for hint, want := range map[string]string{
		"":                  "",
		"chat/1, chat/2":    "chat/1, chat/2",
		"line\nbreak\x00\a": "linebreak",
		"a hint that is much longer than thirty-two bytes": "a hint that is much longer than ",
		"ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄxÄÄÄ":                              "ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄx",
		"\xff\xfe":                                         "",
	} {
		e := newEnds(t, setting{})
		require.NoError(t, e.receiveInit(e.client.AppendInit(nil)))
		b := e.server.AppendReject([]byte("x"), rejectHeader(), &e.in, RejectAppProtocol, hint)[1:]
		require.LessOrEqual(t, len(b), len(rejectHeader())+3+MaxHint+16)
		got, err := e.client.HandleReject(b, len(rejectHeader()))
		require.NoError(t, err)
		require.Equal(t, &RejectError{Code: RejectAppProtocol, Hint: want}, got)
	}
}

// spec: HS-37
func TestForgedRejectIsDropped(t *testing.T) {
	e := newEnds(t, setting{})
	require.NoError(t, e.receiveInit(e.client.AppendInit(nil)))
	good := e.server.AppendReject(nil, rejectHeader(), &e.in, RejectFull, "full")
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		got, err := e.client.HandleReject(bad, len(rejectHeader()))
		require.ErrorIs(t, err, ErrAuth)
		require.Nil(t, got)
	}
	for n := range good {
		_, err := e.client.HandleReject(good[:n], min(n, len(rejectHeader())))
		require.Error(t, err)
	}
	// The length of the hint disagrees, under a valid MAC.
	n := len(rejectHeader()) + 2
	for _, length := range []byte{0, 3, 5, 255} {
		bad := bytes.Clone(good)
		bad[n] = length
		m := mac(&e.client.rejectKey, bad[:len(bad)-16])
		copy(bad[len(bad)-16:], m[:])
		_, err := e.client.HandleReject(bad, len(rejectHeader()))
		require.ErrorIs(t, err, ErrMalformed)
	}
}

// spec: HS-37
func TestRejectForOneInitDoesNotFitAnother(t *testing.T) {
	a := newEnds(t, setting{})
	b := newEnds(t, setting{client: func(c *ClientConfig) { c.Rand = seeded(33) }})
	require.NoError(t, a.receiveInit(a.client.AppendInit(nil)))
	reject := a.server.AppendReject(nil, rejectHeader(), &a.in, RejectFull, "")
	_, err := b.client.HandleReject(reject, len(rejectHeader()))
	require.ErrorIs(t, err, ErrAuth)
}

// spec: HS-38
func TestRespAfterARejectStillCompletes(t *testing.T) {
	e := newEnds(t, setting{})
	e.respond()
	for _, code := range []uint16{RejectFull, RejectStopping} { // two servers may refuse one INIT
		b := e.server.AppendReject(nil, rejectHeader(), &e.in, code, "")
		got, err := e.client.HandleReject(b, len(rejectHeader()))
		require.NoError(t, err)
		require.Equal(t, code, got.Code)
	}
	fin, client := e.deliver()
	server, err := e.half.HandleFin(fin, len(finHeader(Version1, serverID)))
	require.NoError(t, err)
	requireSame(t, client, server)
}
