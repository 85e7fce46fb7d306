"""Writers of reports; every module registers one (see :mod:`acula_edge.clinical_text.writer`)."""
