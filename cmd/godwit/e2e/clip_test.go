//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const frameRate = 30

// makeClip encodes a moving test picture of 720p at about 5 Mbit/s, a key frame a second.
func makeClip(t *testing.T, length time.Duration) (path string) {
	path = filepath.Join(t.TempDir(), "clip.ts")
	ffmpeg(t, "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=1280x720:rate=%d", frameRate), "-t", seconds(length),
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", strconv.Itoa(frameRate),
		"-b:v", "5000k", "-maxrate", "5000k", "-bufsize", "1000k", "-f", "mpegts", path)
	return path
}

// makeVoice encodes a beeping tone with Opus, a packet every 20 ms.
func makeVoice(t *testing.T, length time.Duration) (path string) {
	path = filepath.Join(t.TempDir(), "voice.ogg")
	ffmpeg(t, "-f", "lavfi", "-i", "sine=frequency=300:beep_factor=4", "-t", seconds(length),
		"-c:a", "libopus", "-b:a", "32k", "-frame_duration", "20", path)
	return path
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// ffmpeg runs ffmpeg to its end and returns what it said.
func ffmpeg(t *testing.T, args ...string) string {
	t.Helper()
	return must(t, "ffmpeg", append([]string{"-hide_banner", "-nostdin", "-nostats", "-loglevel", "info"}, args...)...)
}

var ssimLine = regexp.MustCompile(`SSIM .*All:([0-9.]+)`)

// ssim compares what a viewer sees with the original, picture by picture: what is missing shows as the picture
// before it. It returns the mean of the structural similarity, and how many pictures were received.
func ssim(t *testing.T, original, received string) (mean float64, pictures int) {
	t.Helper()
	if info, err := os.Stat(received); err != nil || info.Size() == 0 {
		return 0, 0
	}
	out := ffmpeg(t, "-copyts", "-i", original, "-copyts", "-i", received, "-lavfi", "[0:v][1:v]ssim", "-f", "null", "-")
	found := ssimLine.FindStringSubmatch(out)
	require.NotNil(t, found, out)
	mean, err := strconv.ParseFloat(found[1], 64)
	require.NoError(t, err)
	count := must(t, "ffprobe", "-loglevel", "quiet", "-count_packets", "-select_streams", "v:0",
		"-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", received)
	pictures, err = strconv.Atoi(strings.Trim(strings.SplitN(count, "\n", 2)[0], ", "))
	require.NoError(t, err)
	return mean, pictures
}
