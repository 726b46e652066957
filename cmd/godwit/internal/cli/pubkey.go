package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/godwit-net/godwit/crypto"
)

func newPubkeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pubkey < FILE",
		Short: "Print the public key of a private key",
		Long:  "Reads a private key from stdin and writes its public key to stdout, for --peer-key and for files of authorized keys.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := readKey(cmd.InOrStdin(), "stdin", keygenCommand, crypto.ParsePrivateKey)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), key.Public())
			return err
		},
	}
}
