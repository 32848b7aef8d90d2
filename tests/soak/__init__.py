"""Many readers of one mount in bad weather, for minutes: what is read is right, in time, and nothing grows."""
