package cli

import (
	"github.com/spf13/cobra"

	"github.com/godwit-net/godwit/crypto"
)

func newKeygenCommand() *cobra.Command {
	var psk bool
	cmd := &cobra.Command{
		Use:   "keygen [--psk] > FILE",
		Short: "Make a private key, or a pre-shared key",
		Long: `Writes a new private key to stdout, or with --psk a pre-shared key that both ends keep.

A file that stdout creates becomes readable for its owner alone. The public key that goes with a
private key comes from 'godwit pubkey < FILE'.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if psk {
				return printKey(cmd.OutOrStdout(), crypto.GeneratePresharedKey().Text())
			}
			return printKey(cmd.OutOrStdout(), crypto.GeneratePrivateKey().Text())
		},
	}
	cmd.Flags().BoolVar(&psk, "psk", false, "make a pre-shared key instead of a private key")
	return cmd
}
