package tunnel

import "strings"

// ParseListenRules reads rules for the ports that clients may have the server listen on: as ParseRules, but HOST is
// an address or a range of addresses of the server, and none stands for all of its addresses together.
func ParseListenRules(list []string) (Rules, error) {
	var whole []string
	for _, s := range list {
		if scheme, ports, ok := strings.Cut(s, "://:"); ok {
			whole = append(whole, scheme+"://0.0.0.0/0:"+ports, scheme+"://[::/0]:"+ports)
			continue
		}
		whole = append(whole, s)
	}
	rules, err := ParseRules(whole)
	if err != nil {
		return nil, err
	}
	for i, r := range rules {
		if !r.prefix.IsValid() {
			return nil, errListenName(whole[i])
		}
	}
	return rules, nil
}

// allowsListen tells whether a client may have the server listen on an address. All addresses together are the
// unspecified one, which a rule must cover as any other.
func (rules Rules) allowsListen(on Target) bool { // spec: TUN-62
	a := on.Addr.Unmap()
	if a.IsMulticast() || a == limitedBroadcast {
		return false
	}
	for _, r := range rules {
		if r.covers(on.Network, on.Port) && r.prefix.Contains(a) {
			return true
		}
	}
	return false
}
