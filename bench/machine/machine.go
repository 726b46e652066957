// Package machine says what figures were measured on and with, for the heads of reports.
package machine

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Text is a line about the processors, the system and Go.
func Text() string {
	return fmt.Sprintf("%d × %s, %s, %s", runtime.NumCPU(), processor(), system(), runtime.Version())
}

// processor is the name of the first processor, where the system tells.
func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// system is its name, with the release where it tells.
func system() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS
	}
	return "Linux " + strings.TrimSpace(string(release))
}

// Load is the load average of the last minute, where the system tells.
func Load() string {
	b, _ := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(b)); len(fields) > 0 {
		return fields[0]
	}
	return "–"
}

// Commit is what is measured, as far as git tells in the current folder.
func Commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude", "*").Output()
	if err != nil {
		return "unknown"
	}
	return string(bytes.TrimSpace(out))
}
