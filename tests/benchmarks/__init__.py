"""The bench: twfs and its peers, measured side by side; `python -m tests.benchmarks --help`."""
