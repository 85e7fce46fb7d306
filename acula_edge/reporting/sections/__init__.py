"""One module per part of the report; each turns evidence into blocks."""
