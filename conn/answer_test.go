package conn_test

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A question and its answer are a datagram each: the acknowledgement of the one travels with the other.
//
// spec: REL-43
func TestQuestionAndAnswerAreADatagramEach(t *testing.T) {
	const rounds = 100
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		go func() {
			question := make([]byte, 100)
			for {
				if _, err := io.ReadFull(s, question); err != nil {
					return
				}
				_, err := s.Write(make([]byte, 1000))
				require.NoError(t, err)
			}
		}()
		ask := func() {
			_, err := c.Write(make([]byte, 100))
			require.NoError(t, err)
			_, err = io.ReadFull(c, make([]byte, 1000))
			require.NoError(t, err)
		}
		ask()
		time.Sleep(time.Second) // what follows a handshake is over
		asked, answered := c.Stats().DatagramsSent, s.Stats().DatagramsSent
		for range rounds {
			ask()
		}
		require.InDelta(t, rounds, c.Stats().DatagramsSent-asked, 2, "datagrams of questions")
		require.InDelta(t, rounds, s.Stats().DatagramsSent-answered, 2, "datagrams of answers")
	})
}

// A reader that takes its time, and one that only listens, keep no acknowledgement back for longer than the
// session has promised.
//
// spec: REL-43
func TestAReaderThatDoesNotAnswerKeepsNoAcknowledgementBack(t *testing.T) {
	const promised = 10 * time.Millisecond // and a tick of the wheel
	for name, pause := range map[string]time.Duration{"listens": 0, "thinks": time.Minute} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, quick, nil, func(t *testing.T, w *world) {
				c, s := w.pair()
				var reader sync.WaitGroup
				reader.Go(func() {
					for b := make([]byte, 100); ; time.Sleep(pause) {
						if _, err := s.Read(b); err != nil {
							return
						}
					}
				})
				time.Sleep(time.Second)
				sent := s.Stats().DatagramsSent
				_, err := c.Write(make([]byte, 100))
				require.NoError(t, err)
				wait := quick.Delay
				if pause > 0 {
					wait += promised + 2*time.Millisecond
				}
				time.Sleep(wait + time.Millisecond)
				require.Equal(t, sent+1, s.Stats().DatagramsSent)
				require.NoError(t, c.Close())
				reader.Wait()
			})
		})
	}
}

// On a stream of its own, too, a question and its answer are a datagram each: the end travels with the last bytes,
// and the acknowledgements as on a stream that stays.
//
// spec: REL-43
func TestTheEndOfAStreamTravelsWithItsLastBytes(t *testing.T) {
	const rounds, few = 100, 10 // now and then the peer may open more streams, which takes one
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		go func() {
			for {
				in, err := s.AcceptStream(context.Background())
				if err != nil {
					return
				}
				question, err := io.ReadAll(in)
				require.NoError(t, err)
				require.Len(t, question, 100)
				_, err = in.WriteLast(make([]byte, 1000))
				require.NoError(t, err)
				require.NoError(t, in.Close())
			}
		}()
		ask := func() {
			out, err := c.OpenStream(t.Context())
			require.NoError(t, err)
			_, err = out.WriteLast(make([]byte, 100))
			require.NoError(t, err)
			answer, err := io.ReadAll(out)
			require.NoError(t, err)
			require.Len(t, answer, 1000)
			require.NoError(t, out.Close())
		}
		ask()
		time.Sleep(time.Second) // what follows a handshake is over
		asked, answered := c.Stats().DatagramsSent, s.Stats().DatagramsSent
		for range rounds {
			ask()
		}
		require.InDelta(t, rounds, c.Stats().DatagramsSent-asked, few, "datagrams of questions")
		require.InDelta(t, rounds, s.Stats().DatagramsSent-answered, few, "datagrams of answers")
		time.Sleep(time.Second)
		require.Zero(t, s.Stats().InFlight, "no answer is left without an acknowledgement")
	})
}
