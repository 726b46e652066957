package tunnel

// Apply replaces the configuration of a client that runs. What is in both configurations goes on with its
// connections, and those of the rest are reset. Another server or another key needs a new session, so that all
// connections are reset. On an error the old configuration stays in force.
func (c *Client) Apply(config ClientConfig) error {
	if err := config.Validate(); err != nil {
		return err
	}
	c.applying.Lock()
	defer c.applying.Unlock()
	if err := c.change(c.plans(&config)); err != nil {
		return err
	}
	old := c.config.Swap(config.withDefaults())
	if config.Server != old.Server || config.PeerKey != old.PeerKey ||
		!sameKeys(config.Identity, old.Identity, config.PresharedKey, old.PresharedKey) {
		c.keeper.redial()
	}
	return nil
}

// plans lists what a configuration asks for, in the order of Addrs.
func (c *Client) plans(config *ClientConfig) []plan {
	var plans []plan
	for _, f := range config.Forwards {
		plans = append(plans, plan{
			key: f.String(), listen: f.listenText(), what: f.Target.String(),
			open: func() (part, error) { return c.openForward(f) },
		})
	}
	for _, f := range config.Reverse {
		plans = append(plans, plan{
			key: "reverse " + f.String(), what: f.String(),
			open: func() (part, error) { return c.openReverse(f) },
		})
	}
	if at := config.Redirect; at != "" {
		plans = append(plans, plan{
			key: "redirect " + at, listen: "tcp://" + at, what: "redirected connections",
			open: func() (part, error) { return c.openPort("redirect "+at, at, c.serveRedirected) },
		})
	}
	if at := config.SOCKS5; at != "" {
		plans = append(plans, plan{
			key: "socks5 " + at, listen: "tcp://" + at, what: "SOCKS clients",
			open: func() (part, error) { return c.openSocks(at, config.SOCKS5Users != nil) },
		})
	}
	return plans
}
