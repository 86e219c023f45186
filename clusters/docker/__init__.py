"""Real clusters: containers behind a per-link Toxiproxy mesh."""
