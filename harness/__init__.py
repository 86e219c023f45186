"""Scenarios, runs, their store, and the command line."""
