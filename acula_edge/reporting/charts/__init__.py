"""Charts as inline SVG, drawn twice where one layout cannot serve both a desktop and a phone."""

WIDE = 860
NARROW = 340
