"""What texts and model files from outside must show before anything is made of them. The base install only, no torch.

Nothing here trusts a number in a file: every size is held against what the file really has before anything is
allocated. The limits are those of :mod:`acula_edge.limits`; what exceeds one is an
:class:`~acula_edge.errors.ArtifactError` that names the file.
"""
