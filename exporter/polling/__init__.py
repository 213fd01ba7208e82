"""The loop that runs the sources and publishes the result."""
