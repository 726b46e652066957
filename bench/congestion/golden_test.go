package congestion

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFiguresDoNotMoveUnseen plays a fifth of the grid under one seed. When a change is meant to move
// figures, read the differences and write the table anew:
//
//	go run ./cmd/congestion -controllers adaptive -short -golden bench/congestion/testdata/short -update
func TestFiguresDoNotMoveUnseen(t *testing.T) {
	var out, log bytes.Buffer
	status := Command([]string{"-controllers", "adaptive", "-short", "-golden", "testdata/short"}, &out, &log)
	var said []string
	for line := range strings.Lines(out.String() + log.String()) {
		if strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "+ ") || strings.HasPrefix(line, "congestion: ") {
			said = append(said, line)
		}
	}
	require.Zero(t, status, "%s", strings.Join(said, ""))
}
