"""What the tests share: clusters to look at, and the tools to make them."""
