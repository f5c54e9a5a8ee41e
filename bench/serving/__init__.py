"""Serving many adapters: speed against their number, and the endpoint under load and under faults."""
