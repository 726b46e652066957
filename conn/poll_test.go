package conn

import (
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn/udp"
)

// hears lets an answer come so many times, each after so long. Somebody polls whenever that is worth it.
func hears(d *dialogue, times int, took time.Duration) {
	for range times {
		d.said = true
		d.heard(took, d.lively())
	}
}

func TestADialogueIsLivelyOnceAnswersComeSoon(t *testing.T) {
	var d dialogue
	hears(&d, livelyAfter-1, soon)
	require.False(t, d.lively())
	hears(&d, 1, soon+1)
	hears(&d, livelyAfter-1, soon)
	require.False(t, d.lively(), "they must come soon in a row")
	hears(&d, 1, soon)
	require.True(t, d.lively())
	hears(&d, 10*maxVain, pollFor)
	require.True(t, d.lively())
}

// Whoever only listens, as the reader of a download does, is in no dialogue.
func TestWhoSaysNothingIsInNoDialogue(t *testing.T) {
	var d dialogue
	for range 10 * livelyAfter {
		d.heard(0, false)
	}
	require.False(t, d.lively())
	hears(&d, livelyAfter, 0)
	for range maxVain {
		require.True(t, d.lively())
		d.heard(0, true)
	}
	require.False(t, d.lively())
}

// Answers that come soon, but not as soon as a poll ends, are polled for more and more seldom.
func TestPollsInVainBecomeSeldom(t *testing.T) {
	var d dialogue
	trial := func() (before int) {
		for !d.lively() {
			hears(&d, 1, soon)
			before++
		}
		hears(&d, maxVain, pollFor+1)
		require.False(t, d.lively())
		return before
	}
	for _, before := range []int{8, 16, 32, 64, 128, 256, 512, 1024, livelyAfter + maxWary, livelyAfter + maxWary} {
		require.Equal(t, before, trial())
	}
	hears(&d, livelyAfter+maxWary, soon)
	hears(&d, 1, 0)
	require.Equal(t, uint16(0), d.wary, "a dialogue that is lively is no longer wary")
}

// Two who wait at once share one poll, which says nothing about the other's answers.
func TestWhoDoesNotPollLearnsNothingFromIt(t *testing.T) {
	var d dialogue
	hears(&d, livelyAfter, soon)
	for range 2 * maxVain {
		d.said = true
		d.heard(time.Second, false)
	}
	require.True(t, d.lively())
}

// askedLively makes readers of a session poll whatever its peer has done so far.
func askedLively(s *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialogue.vain = maxVain
}

// A reader that polls finds its data though the goroutine that reads the socket is busy.
func TestAReaderThatPollsFindsItsData(t *testing.T) {
	l, err := Listen("127.0.0.1:0", nil)
	require.NoError(t, err)
	defer l.Close()
	if !l.endpoint.shards[0].sock.CanPoll() {
		requirePlainWithoutPolls(t, l.endpoint.shards[0].sock)
		return
	}
	open := func() (client, server *Session) {
		client, err := Dial(t.Context(), l.Addr().String(), &Config{PeerKey: l.PublicKey()})
		require.NoError(t, err)
		t.Cleanup(func() { _ = client.Close() })
		server, err = l.AcceptSession(t.Context())
		require.NoError(t, err)
		return client, server
	}
	_, other := open()
	asker, server := open()

	busy, done := make(chan struct{}), make(chan struct{})
	defer close(done)
	require.NoError(t, other.SendMessage([]byte("?"), MessageOptions{Outcome: func(Outcome) {
		close(busy)
		<-done // in the goroutine that reads the socket, to which the acknowledgement came
	}}))
	<-busy

	_, err = asker.Write([]byte("!"))
	require.NoError(t, err)
	b := make([]byte, 1)
	for range 100 { // a poll that gets no processor may be over before it begins
		askedLively(server)
		require.NoError(t, server.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
		if _, err = server.Read(b); err == nil {
			break
		}
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	}
	require.NoError(t, err)
	require.Equal(t, "!", string(b))
}

// requirePlainWithoutPolls: where sockets are read by package net, there is nothing to poll.
func requirePlainWithoutPolls(t *testing.T, sock *udp.Socket) {
	t.Helper()
	msgs, err := sock.PollBatch(sock.NewReadBatch(1))
	require.NoError(t, err)
	require.Empty(t, msgs)
}

// Readers that poll, readers that sleep and the goroutine that reads the socket lose nothing between them.
func TestDialoguesThatPollAreWhole(t *testing.T) {
	s, near, far := openPair(t)
	stop := make(chan struct{})
	var nudge sync.WaitGroup
	nudge.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				askedLively(s)
				askedLively(far[0].session)
			}
		}
	})
	var wg sync.WaitGroup
	for i := range near {
		wg.Go(func() { echo(far[i]) })
		wg.Go(func() {
			for n := range 300 {
				question, answer := make([]byte, 1+n*31), make([]byte, 1+n*31)
				for j := range question {
					question[j] = byte(n + j)
				}
				_, err := near[i].Write(question)
				require.NoError(t, err)
				_, err = io.ReadFull(near[i], answer)
				require.NoError(t, err)
				require.Equal(t, question, answer)
			}
			require.NoError(t, near[i].CloseWrite())
		})
	}
	wg.Wait()
	close(stop)
	nudge.Wait()
}

// echo says on a stream what it hears there, until its end.
func echo(c net.Conn) {
	_, _ = io.Copy(c, c)
}
