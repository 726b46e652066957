package realtime

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFiguresDoNotMoveUnseen plays a tenth of the grid under one seed. When a change is meant to move
// figures, read the differences and write the table anew:
//
//	go run ./cmd/realtime -short -golden bench/realtime/testdata/short.txt -update
func TestFiguresDoNotMoveUnseen(t *testing.T) {
	var out, log bytes.Buffer
	status := Command([]string{"-short", "-golden", "testdata/short.txt"}, &out, &log)
	var said []string
	for line := range strings.Lines(out.String() + log.String()) {
		if strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "+ ") || strings.HasPrefix(line, "realtime: ") {
			said = append(said, line)
		}
	}
	require.Zero(t, status, "%s", strings.Join(said, ""))
}
