"""Generated heart, lung and cough sounds with known labels: what the demo and the tests hear."""
