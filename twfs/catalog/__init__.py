"""What media exist: refresh, SQLite store of resources and probes, background probing. No network of its own."""
