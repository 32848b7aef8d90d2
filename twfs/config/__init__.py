"""The option table, and how flags, environment, files and defaults become one frozen, validated `Config`."""
