package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheTargetsOfAFileAreFound(t *testing.T) {
	names, err := targetsOf("../../protocol/wire/varint_test.go")
	require.NoError(t, err)
	require.Equal(t, []string{"FuzzVarint"}, names)
}

func TestTheLastCountOfExecutionsIsReported(t *testing.T) {
	require.Equal(t, "3627 execs", executions("fuzz: elapsed: 0s, execs: 12 (9/sec)\nfuzz: elapsed: 3s, execs: 3627 (1209/sec), new interesting: 52\nPASS"))
	require.Equal(t, "seeds only", executions("PASS"))
}

func TestOnlyPackagesOfThisModuleAreInstrumented(t *testing.T) {
	require.True(t, ours([]string{"-o", "x", "-p", "github.com/godwit-net/godwit/crypto", "-d=libfuzzer"}))
	require.False(t, ours([]string{"-o", "x", "-p", "net/http", "-d=libfuzzer"}))
	require.False(t, ours([]string{"-V=full"}))
}
