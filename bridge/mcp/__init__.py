"""Tools that others lend the chat model by MCP: those of the device, and those of the owner's own MCP servers."""
