package spec

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layer says what a folder may import of this module, and of others. Folders are matched by their
// longest prefix. "..." at the end of an import stands for all below.
type layer struct {
	folder  string
	own     []string // folders of this module
	foreign []string // module paths beside the standard library
	pure    bool     // no clock, goroutine, lock, socket or global randomness
	why     string
}

var layers = []layer{
	{folder: "crypto", own: nil, foreign: []string{"golang.org/x/crypto", "golang.org/x/sys"},
		why: "crypto turns bytes into bytes and knows nothing of sessions"},
	{folder: "crypto/handshake", own: []string{"crypto"}, foreign: []string{"golang.org/x/crypto"},
		why: "the handshake knows messages, not sessions"},
	{folder: "protocol/monotime", pure: true, why: "the bottom of the pure packages"},
	{folder: "protocol/wire", pure: true, why: "the codec stands alone"},
	{folder: "protocol/congestion", own: []string{"protocol/monotime"}, pure: true, why: "controllers see samples, not packets"},
	{folder: "protocol/fec", foreign: []string{"github.com/klauspost/reedsolomon"}, pure: true, why: "codes work on blocks of bytes"},
	{folder: "protocol/trace", own: []string{"protocol/monotime", "protocol/wire"}, pure: true, why: "traces describe, they do not act"},
	{folder: "protocol", own: []string{"protocol/monotime", "protocol/wire", "protocol/congestion", "protocol/fec", "protocol/trace", "crypto", "crypto/handshake"},
		pure: true, why: "the core runs in virtual time"},
	{folder: "protocol/sim", own: []string{"protocol", "protocol/...", "crypto", "crypto/handshake"}, pure: true, why: "the simulator repeats every run by its seed"},
	{folder: "conn/udp", own: []string{"protocol/wire"}, foreign: []string{"golang.org/x/sys", "golang.org/x/net"}, why: "conn/udp holds the system calls and nothing else"},
	{folder: "conn/simnet", own: []string{"protocol/sim", "protocol/monotime", "protocol/wire"}, why: "a network for tests of conn"},
	{folder: "conn/tunnel", own: []string{"conn", "conn/udp", "crypto"}, foreign: []string{"golang.org/x/sys"}, why: "tunnels use what every user of conn has, and its sockets for local programs"},
	{folder: "conn", own: []string{"conn/udp", "protocol", "protocol/...", "crypto", "crypto/handshake"}, foreign: []string{"golang.org/x/sys", "golang.org/x/net"},
		why: "conn is a thin shell; tools' dependencies never reach it"},
	{folder: "bench/kernel", own: []string{"bench", "bench/...", "conn", "crypto", "protocol/..."}, foreign: []string{"golang.org/x/sys"}, why: "a program that measures as package bench does"},
	{folder: "bench/scale", own: []string{"bench/alarm", "conn", "crypto"}, foreign: []string{"github.com/HdrHistogram/hdrhistogram-go", "golang.org/x/sys"}, why: "a program that measures as package bench does"},
	{folder: "bench/realtime/sockets", own: []string{"bench", "bench/..."}, why: "a program that measures as package bench does"},
	{folder: "bench/profile", own: []string{"bench", "bench/...", "conn", "crypto"}, why: "a program that measures as package bench does"},
	{folder: "bench", own: []string{"bench/...", "conn", "conn/...", "protocol", "protocol/...", "crypto"}, foreign: []string{"github.com/HdrHistogram/hdrhistogram-go", "golang.org/x/sys"}, why: "measurements use the library as others do"},
	{folder: "cmd", own: []string{"cmd/...", "bench", "bench/...", "conn", "conn/...", "protocol", "protocol/...", "crypto", "spec/vectors"}, foreign: []string{
		"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/pelletier/go-toml/v2", "github.com/fsnotify/fsnotify", "github.com/HdrHistogram/hdrhistogram-go", "golang.org/x/sys"}, why: "programs stand on top"},
	{folder: "internal/testutil", foreign: []string{"go.uber.org/goleak"}, why: "tests alone use it"},
	{folder: "spec/vectors", why: "vectors are data for everybody"},
	{folder: "spec", why: "the specification imports nothing"},
}

// upward are imports that a layer must not have even where its pattern would match.
var upward = map[string][]string{
	"conn":  {"protocol/sim"},
	"bench": {"cmd/..."},
}

func layerOf(folder string) *layer {
	var best *layer
	for i := range layers {
		l := &layers[i]
		if (folder == l.folder || strings.HasPrefix(folder, l.folder+"/")) && (best == nil || len(l.folder) > len(best.folder)) {
			best = l
		}
	}
	return best
}

func matches(pattern, folder string) bool {
	if base, all := strings.CutSuffix(pattern, "/..."); all {
		return strings.HasPrefix(folder, base+"/")
	}
	return pattern == folder
}

func anyMatches(patterns []string, folder string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, folder) })
}

func TestImportsPointDownward(t *testing.T) {
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		l := layerOf(f.pkg)
		if l == nil {
			t.Errorf("%s: folder %s has no layer: give it one in layers_test.go", f.path, f.pkg)
			continue
		}
		for _, i := range f.tree.Imports {
			path, _ := strconv.Unquote(i.Path.Value)
			if folder, own := strings.CutPrefix(path, module+"/"); own {
				if folder != f.pkg && (!anyMatches(l.own, folder) || anyMatches(upward[l.folder], folder)) && !strings.HasPrefix(folder, f.pkg+"/internal") {
					t.Errorf("%s imports %s: %s", f.path, folder, l.why)
				}
				continue
			}
			if strings.Contains(strings.Split(path, "/")[0], ".") && !slices.ContainsFunc(l.foreign, func(m string) bool { return path == m || strings.HasPrefix(path, m+"/") }) {
				t.Errorf("%s imports %s: %s", f.path, path, l.why)
			}
		}
	}
}

// impure are the packages and names that bring a clock, a lock, a socket, global randomness or
// printing into a package. An empty list forbids the package.
var impure = map[string][]string{
	"sync":         {"Mutex", "RWMutex", "WaitGroup", "Once", "Cond", "Map"}, // sync.Pool holds buffers
	"sync/atomic":  nil,
	"os":           nil,
	"log":          nil,
	"log/slog":     nil,
	"net":          nil,
	"context":      nil,
	"crypto/rand":  nil,
	"math/rand":    nil,
	"math/rand/v2": {"Int", "IntN", "Int32", "Int32N", "Int64", "Int64N", "Uint32", "Uint32N", "Uint64", "Uint64N", "UintN", "N", "Float32", "Float64", "Perm", "Shuffle", "NormFloat64", "ExpFloat64"},
	"time":         {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"},
	"fmt":          {"Print", "Printf", "Println"},
}

func TestPurePackagesHaveNoClockLockSocketOrGlobalRandomness(t *testing.T) {
	for _, f := range sources(t) {
		l := layerOf(f.pkg)
		if f.test || l == nil || !l.pure {
			continue
		}
		names := make(map[string]string) // local name to path
		for _, i := range f.tree.Imports {
			path, _ := strconv.Unquote(i.Path.Value)
			banned, known := impure[path]
			if known && banned == nil {
				t.Errorf("%s imports %s: the package is pure, take what you need as an argument", f.path, path)
			}
			name := path[strings.LastIndex(path, "/")+1:]
			if name == "v2" {
				name = "rand"
			}
			if i.Name != nil {
				name = i.Name.Name
			}
			names[name] = path
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s:%d starts a goroutine: the package is pure", f.path, line(f, n.Pos()))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && slices.Contains(impure[names[x.Name]], n.Sel.Name) {
					t.Errorf("%s:%d uses %s.%s: the package is pure, take what you need as an argument", f.path, line(f, n.Pos()), x.Name, n.Sel.Name)
				}
			case *ast.CallExpr:
				if x, ok := n.Fun.(*ast.Ident); ok && (x.Name == "println" || x.Name == "print") {
					t.Errorf("%s:%d prints", f.path, line(f, n.Pos()))
				}
			}
			return true
		})
	}
}

// TestAttack15NoCompression: compression beside secrets leaks them by length (CRIME), and compressed
// input from strangers explodes. The protocol has none.
func TestAttack15NoCompression(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || strings.HasPrefix(f.pkg, "cmd") || strings.HasPrefix(f.pkg, "bench") || f.pkg == "protocol/sim" {
			continue
		}
		for _, i := range f.tree.Imports {
			if path, _ := strconv.Unquote(i.Path.Value); strings.HasPrefix(path, "compress/") || strings.Contains(path, "/compress/") {
				t.Errorf("%s imports %s: the library compresses nothing, see chapter 11", f.path, path)
			}
		}
	}
}

func line(f sourceFile, p token.Pos) int { return f.fset.Position(p).Line }
