"""The command ``acula-edge``: one thin file per verb, imported when that verb is asked for."""
