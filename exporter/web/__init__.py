"""The HTTP side: copies bytes that the poller made."""
