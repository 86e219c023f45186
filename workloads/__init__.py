"""Candidates, the recipes that they elect by, and the resource that a leader protects."""
