"""Log-mel front end: one specification, and three forms of it that agree.

``reference`` (NumPy, what is right), ``torch_mel`` (training, any device), ``graph`` (exported to the device).
"""
