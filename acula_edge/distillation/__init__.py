"""Distillation: a student learns to give the aligned encoder's embedding, from a worse microphone."""
