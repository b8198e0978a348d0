"""Boot files from upstream: where they come from, how they are fetched and taken over."""
