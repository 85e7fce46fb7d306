"""What a bundle shows for itself: provenance, bill of materials, criteria, model card, signature; and their check."""
