//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	mediaTime    = flag.Duration("media.time", time.Minute, "how long the clips are that the test of media sends")
	mediaResults = flag.String("media.results", "", "file for a table of what became of them, recorded on a machine that has nothing else to do")
)

// The link and the budget of the test: 1.5 round trips beyond the one-way delay.
const (
	mediaLink   = "delay=50ms,loss=5%"
	mediaBudget = 150 * time.Millisecond
)

// mediaTries is how often all is sent at most, because the machine paused meanwhile.
const mediaTries = 3

// show is a flow of media from one ffmpeg to another.
type show struct {
	name   string
	clip   string   // what is sent
	format []string // arguments of ffmpeg, before the address
	ports  int      // 2 for RTP, whose RTCP goes to the next port
	tunnel bool     // between them, or the link alone
	file   string   // a file for what comes; empty: nobody looks at it

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
	case s.file != "" && s.ports == 1:
		file, err := os.Create(s.file)
		require.NoError(t, err)
		defer file.Close()
		out[0].copyTo(file)
	case s.file != "":
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
		"-protocol_whitelist", "file,udp,rtp", "-buffer_size", "4000000", "-i", sdp, "-copyts", "-c", "copy", s.file)
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

// pause is the longest time in which the machine let nothing happen, as far as flows without the tunnel tell: nothing
// was sent, or nothing came through the link alone.
func pause(shows []*show) (longest time.Duration) {
	for _, s := range shows {
		longest = max(longest, s.pause)
		if !s.tunnel {
			longest = max(longest, s.silence)
		}
	}
	return longest
}

// runShows has all flows run at the same time, with the tunnel and without.
func runShows(t *testing.T, clip, voice string) (shows []*show) {
	dir := t.TempDir()
	for _, tunnel := range []bool{true, false} {
		file := filepath.Join(dir, fmt.Sprintf("tunnel-%v-", tunnel))
		shows = append(shows,
			&show{name: "MPEG-TS", clip: clip, format: []string{"-f", "mpegts"}, ports: 1, tunnel: tunnel, file: file + "mpegts.ts"},
			&show{name: "RTP H.264", clip: clip, format: []string{"-f", "rtp"}, ports: 2, tunnel: tunnel, file: file + "rtp.ts"},
			&show{name: "RTP Opus", clip: voice, format: []string{"-f", "rtp"}, ports: 2, tunnel: tunnel})
	}
	var all sync.WaitGroup
	for _, s := range shows {
		all.Go(func() { s.run(t) })
	}
	all.Wait()
	return shows
}

func TestMediaArrivesThroughTheTunnelInTime(t *testing.T) {
	clip, voice := makeClip(t, *mediaTime), makeVoice(t, *mediaTime)
	shows := runShows(t, clip, voice)
	for try := 1; try < mediaTries && pause(shows) > mediaBudget; try++ {
		t.Logf("the machine paused for %v, longer than any repair may take: once more", pause(shows))
		shows = runShows(t, clip, voice)
	}
	for _, s := range shows {
		if s.file != "" {
			s.ssim, s.pictures = ssim(t, clip, s.file)
		}
	}
	table := tableOf(shows)
	t.Log("\n" + table)
	missing, similar := 0.002, 0.99 // on a machine that has other work, whose pauses look like loss
	if *mediaResults != "" {
		missing, similar = 1e-4, 0.998
		record(t, table)
	}
	for _, s := range shows[:len(shows)/2] {
		assert.LessOrEqual(t, s.missing(), missing, s.name)
		assert.Less(t, s.silence, time.Second, s.name)
		assert.Zero(t, s.foreign, s.name)
		if s.file != "" {
			assert.GreaterOrEqual(t, s.ssim, similar, s.name)
		}
	}
}

// tableOf shows what became of media, for people.
func tableOf(shows []*show) string {
	var b strings.Builder
	b.WriteString("| stream | through | datagrams | Mbit/s | missing | in the first second | most in a row | delay p50 / p99 / all, ms | longest silence, ms | pictures | SSIM |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range shows {
		through, similar := "the link alone", "– | –"
		if s.tunnel {
			through = "the tunnel"
		}
		if s.file != "" {
			similar = fmt.Sprintf("%d | %.4f", s.pictures, s.ssim)
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %.2f | %d (%.3f %%) | %d | %d | %d / %d / %d | %d | %s |\n", s.name, through, s.sent,
			s.rate/1e6, s.sent-s.received, 100*s.missing(), s.early, s.hole, s.beyond(0.5).Milliseconds(), s.beyond(0.99).Milliseconds(),
			s.beyond(1).Milliseconds(), s.silence.Milliseconds(), similar)
	}
	return b.String()
}

// record writes the table with what is needed to judge it.
func record(t *testing.T, table string) {
	load, err := os.ReadFile("/proc/loadavg")
	require.NoError(t, err)
	commit, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	require.NoError(t, err)
	text := fmt.Sprintf(`# Media through the tunnel

Written by `+"`make media`"+`, in real time, one run. ffmpeg sends %v of a moving test picture (720p, %d pictures a second, a key
picture a second) as MPEG-TS in datagrams of 1,316 bytes and as RTP, and a voice (Opus, a packet every 20 ms) as RTP.
The link is `+"`%s`"+`, so a round trip is 100 ms and 5 %% of the datagrams are lost in each direction; the tunnel
is told `+"`deadline=%v`"+` and nothing else. All six flows run at the same time.

"Missing" counts datagrams that never came; the first second is told apart, in which the tunnel learns the path: its rate
and its loss. Delay is beyond that of the quickest datagram. SSIM is the mean over all pictures, compared with what
was sent; a picture that did not come counts as the one before it.

%s, %s, %d processors, commit %s, load %s.

%s`, *mediaTime, frameRate, mediaLink, mediaBudget, time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(),
		strings.TrimSpace(string(commit)), strings.Fields(string(load))[0], table)
	require.NoError(t, os.WriteFile(*mediaResults, []byte(text), 0o644))
}
