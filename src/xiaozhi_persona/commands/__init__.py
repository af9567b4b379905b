"""The subcommands. What they share: --config, --json, --debug, logging, and how results are shown."""
