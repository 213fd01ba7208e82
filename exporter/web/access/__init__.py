"""Access control: TLS, users, rate limits, and reloading them."""
