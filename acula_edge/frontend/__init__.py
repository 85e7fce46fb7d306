"""What encoders listen through: one specification, and forms of it that agree.

``reference`` (NumPy, what is right for OPERA's log-mel) and ``forms`` (torch: any length for training, one fixed
length exported to the device), which put ``torch_mel`` or ``graph`` (mel power) before ``levels`` (its logarithm).
"""
