"""Verdicts and histories for people and for CI."""
