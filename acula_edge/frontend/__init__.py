"""From sound to the input of encoders: one specification, and forms of it that agree.

``reference`` is NumPy, and what is right for OPERA's log-mel; the package ``torch`` holds the forms for training (any
length) and for export (one fixed length). What stands here beside it needs no torch.
"""
