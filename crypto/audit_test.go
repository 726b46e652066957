//go:build godwit_audit

package crypto

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	auditing = false
	os.Exit(m.Run())
}

func TestAttack20TheAuditFindsANonceThatComesBack(t *testing.T) {
	auditing = true
	defer func() { auditing = false }()
	seal := func(secret byte, path uint32, pn uint64, payload string) {
		p := &pair{t: t, send: NewSender(AES256GCM, testSecret(secret))}
		p.seal(path, pn, payload)
	}
	seal(200, 0, 1, "one run")
	require.NotPanics(t, func() { seal(200, 0, 1, "one run") }, "a second run of one seed")
	require.Panics(t, func() { seal(200, 0, 1, "another") })
	ResetAudit()
	require.NotPanics(t, func() { seal(200, 0, 1, "another world of the same seed") })
	require.NotPanics(t, func() { seal(200, 1, 1, "another"); seal(200, 0, 2, "another"); seal(201, 0, 1, "another") })
}
