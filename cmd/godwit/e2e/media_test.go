//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var mediaTime = flag.Duration("media.time", time.Minute, "how long the clips are that the test of media sends")

// The link and the budget of the test: 1.5 round trips beyond the one-way delay.
const (
	mediaLink   = "delay=50ms,loss=5%"
	mediaBudget = 150 * time.Millisecond
)

// show is a flow of media from one ffmpeg to another.
type show struct {
	name     string
	clip     string   // what is sent
	format   []string // arguments of ffmpeg, before the address
	ports    int      // 2 for RTP, whose RTCP goes to the next port
	tunnel   bool     // between them, or the link alone
	received string   // a file for what comes; empty: nobody looks at it

	*passage
	ssim     float64 // mean, of all pictures
	pictures int
}

// run sends the clip from start to end, past a meter on either side of what is between them.
func (s *show) run(t *testing.T) {
	in, out := meters(t, s.ports), meters(t, s.ports)
	entry := linkTo
	if s.tunnel {
		entry = tunnelTo
	}
	first := entry(t, out)
	for i, m := range in {
		m.pass(first[i])
	}
	var player *process
	switch {
	case s.received != "" && s.ports == 1:
		file, err := os.Create(s.received)
		require.NoError(t, err)
		defer file.Close()
		out[0].copyTo(file)
	case s.received != "":
		player = s.play(t, out)
	}
	url := fmt.Sprintf("udp://127.0.0.1:%d?pkt_size=1316", in[0].port())
	if s.ports == 2 {
		url = fmt.Sprintf("rtp://127.0.0.1:%d?pkt_size=1200", in[0].port())
	}
	ffmpeg(t, append(append([]string{"-re", "-i", s.clip, "-c", "copy"}, s.format...), url)...)
	time.Sleep(time.Second) // the last datagrams are on their way
	if player != nil {
		player.stop(syscall.SIGINT)
	}
	sent := in[0].stop()
	s.passage = compare(sent, out[0].stop())
}

// play starts an ffmpeg that receives RTP and writes what it understands to a file. It gets copies of what comes
// to the meters.
func (s *show) play(t *testing.T, out []*meter) *process {
	ports := freePorts(t, 2)
	sdp := filepath.Join(t.TempDir(), "session.sdp")
	// The description has what a receiver must know of the clip before it comes.
	ffmpeg(t, append(append([]string{"-i", s.clip, "-c", "copy", "-t", "0.1"}, s.format...),
		"-sdp_file", sdp, fmt.Sprintf("rtp://127.0.0.1:%d", ports[0]))...)
	player := start(t, "ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "error",
		"-protocol_whitelist", "file,udp,rtp", "-buffer_size", "4000000", "-i", sdp, "-copyts", "-c", "copy", s.received)
	require.Eventually(t, func() bool { return isTaken(ports[0]) && isTaken(ports[1]) }, patience, 20*time.Millisecond)
	for i, m := range out {
		m.pass(ports[i])
	}
	return player
}

// linkTo starts a link to each of the meters and returns the ports to send to.
func linkTo(t *testing.T, to []*meter) (ports []int) {
	for _, m := range to {
		ports = append(ports, portOf(t, mediaProxy(t, local(m.port()))))
	}
	return ports
}

// tunnelTo starts a tunnel through the link to the meters and returns the ports to send to.
func tunnelTo(t *testing.T, to []*meter) (ports []int) {
	ports = freePorts(t, len(to))
	last := len(to) - 1
	connectUDP(t, mediaProxy, fmt.Sprintf("udp://127.0.0.1:%d-%d=udp://127.0.0.1:%d-%d?deadline=%v",
		ports[0], ports[last], to[0].port(), to[last].port(), mediaBudget))
	return ports
}

// mediaProxy starts the link in a process of its own and returns its address.
func mediaProxy(t *testing.T, to string) (addr string) {
	return start(t, godwit, "link", "--listen", "127.0.0.1:0", "--to", to, "--link", mediaLink).wait(`listening on (\S+),`)
}

func TestMediaArrivesThroughTheTunnelInTime(t *testing.T) {
	clip, voice, dir := makeClip(t, *mediaTime), makeVoice(t, *mediaTime), t.TempDir()
	var shows []*show
	for _, tunnel := range []bool{true, false} {
		file := filepath.Join(dir, fmt.Sprintf("tunnel-%v-", tunnel))
		shows = append(shows,
			&show{name: "MPEG-TS", clip: clip, format: []string{"-f", "mpegts"}, ports: 1, tunnel: tunnel, received: file + "mpegts.ts"},
			&show{name: "RTP H.264", clip: clip, format: []string{"-f", "rtp"}, ports: 2, tunnel: tunnel, received: file + "rtp.ts"},
			&show{name: "RTP Opus", clip: voice, format: []string{"-f", "rtp"}, ports: 2, tunnel: tunnel})
	}
	var all sync.WaitGroup
	for _, s := range shows {
		all.Go(func() { s.run(t) })
	}
	all.Wait()
	for _, s := range shows {
		if s.received != "" {
			s.ssim, s.pictures = ssim(t, clip, s.received)
		}
	}
	t.Log("\n" + tableOf(shows))
	half := len(shows) / 2
	for i, s := range shows[:half] {
		alone := shows[half+i]
		require.Less(t, s.missing(), alone.missing(), s.name)
		require.GreaterOrEqual(t, s.ssim, alone.ssim, s.name)
	}
}

// tableOf shows what became of media, for people.
func tableOf(shows []*show) string {
	var b strings.Builder
	b.WriteString("| stream | through | datagrams | Mbit/s | missing | most in a row | late | beyond the quickest p50 / p99 / all, ms | longest silence, ms | pictures | SSIM |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range shows {
		through, similar := "the link alone", "– | –"
		if s.tunnel {
			through = "the tunnel"
		}
		if s.received != "" {
			similar = fmt.Sprintf("%d | %.4f", s.pictures, s.ssim)
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %.2f | %.3f %% | %d | %.3f %% | %d / %d / %d | %d | %s |\n", s.name, through, s.sent,
			s.rate/1e6, 100*s.missing(), s.hole, 100*s.late(mediaBudget), s.beyond(0.5).Milliseconds(), s.beyond(0.99).Milliseconds(),
			s.beyond(1).Milliseconds(), s.silence.Milliseconds(), similar)
	}
	return b.String()
}
