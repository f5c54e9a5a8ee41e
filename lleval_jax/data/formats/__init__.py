"""The formats that can be read: one file a format, and their registry."""
