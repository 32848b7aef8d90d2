"""The commands: from argv to calls. The only place that prints or exits."""
