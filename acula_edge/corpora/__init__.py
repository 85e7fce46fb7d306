"""What is known of each data set, found together.

    NAME.py             the release's layout, its reader, and the tasks on it
    NAME.yaml           which columns state which clinical facts
    NAME_miniature.py   the layout in miniature with generated sound, for rehearsals and tests

None imports another. Readers, tasks and miniatures register themselves, and a look-up imports every module
of this folder; mappings are found by name. ``own_recordings.py`` reads anybody's recordings from a list of them.
"""
