"""How much of what comes from outside is taken, at most: every limit that guards memory, time or the disk.

What exceeds one is refused with an error that names the file, what it holds and the limit. SECURITY.md lists them for
users; the tests hold that list and this file to each other. Nothing here is imported beyond the standard library.
"""

from __future__ import annotations

# Recordings ----------------------------------------------------------------------------------------------------------

MAX_SAMPLES = 1 << 30
"""Longest recording read, samples per channel: 74 hours at 4 kHz, 6 hours at 48 kHz. `run` and `data prepare` read it
a piece at a time."""

MAX_KEPT_SAMPLES = 1 << 29
"""Longest recording kept whole, samples at the rate at which it is kept: 2 GiB as float32, 1 GiB as `data prepare`
stores it (37 hours at 4 kHz, 9 hours at 16 kHz)."""

MAX_CHANNELS = 64
"""Most channels of a recording; they are averaged, or the loudest is taken where they cancel each other."""

MIN_SAMPLE_RATE_HZ = 100
"""Lowest sample rate, Hz: sound resampled from 1 Hz to 16 kHz would take 16,000 times the memory."""

MAX_SAMPLE_RATE_HZ = 1_000_000
"""Highest sample rate, Hz."""

FREE_SAMPLES = 1 << 24
"""Samples per channel that a file may hold however small it is: 64 MiB as float32 (70 minutes at 4 kHz)."""

MAX_SAMPLES_PER_BYTE = 1000
"""Samples per channel and byte of the file, beyond `FREE_SAMPLES`: a file that unpacks further is a trap. Speech in
Opus reaches 64, digital silence in FLAC 400."""

MAX_SAMPLES_IN_FLIGHT = 1 << 29
"""Samples that `data prepare` decodes at once, all its threads together; one recording may always be decoded."""

MAX_STANDARD_INPUT_BYTES = 4 << 30
"""Longest recording from standard input, bytes: it is kept in a temporary file."""

MAX_MISSING_PACKETS = 1 << 16
"""Sequence numbers of missing packets that a stream remembers; what comes for an older one counts as a duplicate."""

# Texts: recipes, manifests, JSON -------------------------------------------------------------------------------------

MAX_YAML_BYTES = 1 << 18
"""Longest YAML file, prompt or value of ``--set``, bytes (a recipe has about 2,000)."""

MAX_YAML_NODES = 1 << 13
"""Texts, numbers, lists and mappings in one YAML text."""

MAX_DEPTH = 64
"""How deep lists and mappings may lie in each other, in YAML and JSON."""

MAX_INTEGER = 1 << 64
"""Whole numbers in YAML and JSON stay below this, and above its negative."""

MAX_JSON_BYTES = 1 << 26
"""Longest JSON file, bytes, where nothing else is said: 64 MiB. Reading it takes up to 40 times as much memory."""

MAX_INDEX_BYTES = 1 << 30
"""Longest JSON file of a run's own cache, bytes; 40 per recording are usual."""

MAX_LINE_CHARACTERS = 1 << 20
"""Longest line of a manifest, a table or a file of JSON lines, characters."""

MAX_TABLE_BYTES = 4 << 30
"""Longest manifest, table or file of JSON lines, bytes. They are read line by line."""

MAX_ROWS = 1_000_000
"""Most rows of a manifest or a table."""

MAX_COLUMNS = 1000
"""Most columns of a manifest or a table."""

MAX_CELL_CHARACTERS = 1 << 17
"""Longest cell of a manifest or a table, characters."""

MAX_ID_CHARACTERS = 255
"""Longest id of a recording, a person or a data set, characters."""

MAX_PATH_CHARACTERS = 4096
"""Longest path in a manifest, characters."""

MAX_PARQUET_MEMORY_BYTES = 1 << 30
"""Address space of the process that decodes a Parquet manifest, bytes."""

MAX_PARQUET_CPU_S = 120
"""Processor time of the process that decodes a Parquet manifest, seconds; a million rows take about 20."""

FREE_CHARACTERS = 1 << 26
"""Characters (as JSON) that the rows of a Parquet manifest may unpack to however small the file is."""

MAX_CHARACTERS_PER_BYTE = 1000
"""Characters that its rows may unpack to per byte of the file, beyond `FREE_CHARACTERS`."""

MAX_WORKBOOK_BYTES = 1 << 24
"""Longest spreadsheet (.xls, .xlsx) and list of names (.npy), bytes: 16 MiB."""

MAX_WORKBOOK_UNPACKED_BYTES = 1 << 26
"""What the parts of an .xlsx file may unpack to in all, bytes: 64 MiB."""

# Model files: checkpoints, safetensors, ONNX -------------------------------------------------------------------------

MAX_CHECKPOINT_BYTES = 64 << 30
"""Longest checkpoint or safetensors file, bytes. What is read of one is never larger than the file."""

MAX_SAFETENSORS_HEADER_BYTES = 1 << 23
"""Longest header of a safetensors file, bytes (10,000 tensors need 1.5 million): 8 MiB. Reading it takes up to 30 times
as much memory."""

MAX_PICKLE_BYTES = 1 << 24
"""Longest pickle in a checkpoint, bytes: 16 MiB. It describes the tensors, whose numbers lie beside it."""

MAX_PICKLE_STEPS = 1_000_000
"""Most instructions of that pickle (a tensor takes about 40): some seconds of work."""

MAX_ARCHIVE_ENTRIES = 100_000
"""Most entries of a zip archive: a checkpoint's tensors, an .npz file's arrays."""

MAX_CONFIGURED_LAYERS = 1024
"""Largest number that a model's configuration may give for layers, blocks or depths."""

MAX_CONFIGURED_SIZE = 1 << 27
"""Largest whole number in a configuration: no width, vocabulary or position reaches it."""

MAX_MODEL_EXPANSION = 16
"""How many times its weight files a configured model may be, in memory: 4-bit weights unpack to 8 times their size."""

FREE_MODEL_BYTES = 1 << 28
"""What a configured model may take however small its weight files are, bytes: 256 MiB."""

MAX_ONNX_BYTES = (1 << 31) - 1
"""Longest ONNX file, bytes: protobuf's own limit, 2 GiB."""

MAX_ONNX_NODES = 50_000
"""Most nodes of an ONNX graph (a transformer of 12 layers has 700)."""

MAX_ONNX_FIELDS = 3_000_000
"""Most protobuf fields of an ONNX file that are looked at: some seconds of work."""

MAX_RANK = 8
"""Most dimensions of a tensor in an ONNX file, and of an array in an .npz file."""

MAX_FOLDED_ELEMENTS = 1 << 28
"""Elements that ONNX Runtime may compute from constants while it loads a model: 1 GiB as float32. Where a graph could
exceed it, constants are computed with everything else, within `MAX_MODEL_MEMORY_BYTES`."""

MAX_MODEL_MEMORY_BYTES = 4 << 30
"""What ONNX Runtime may take on the CPU to hold and run models, bytes, all models of a process together."""

MAX_MODEL_IO_ELEMENTS = 1 << 26
"""Most elements of a model's input or output, where its size is fixed: 256 MiB as float32."""

# Bundles -------------------------------------------------------------------------------------------------------------

MAX_BUNDLE_FILES = 1000
"""Most files that a bundle may list, and four times as many may lie in its folder."""

MAX_BUNDLE_JSON_BYTES = 1 << 22
"""Longest ``bundle.json`` and ``bundle.sig``, bytes: 4 MiB (one of 20 files and 2,000 persons has 60,000)."""

MAX_CARD_BYTES = 1 << 20
"""Longest model card of a bundle, bytes: 1 MiB."""

MAX_BUNDLE_FILE_BYTES = 8 << 30
"""Longest file of a bundle, bytes; all are read once for their checksums."""

MAX_ARRAY_BYTES = 4 << 30
"""What all arrays of one .npz file may unpack to, bytes."""

MAX_CACHE_BYTES = 64 << 30
"""The same for the kept embeddings of a run, bytes."""

FREE_ARRAY_BYTES = 1 << 26
"""What they may unpack to however small the file is, bytes: 64 MiB."""

MAX_ARRAY_EXPANSION = 100
"""Bytes per byte of the file that they may unpack to beyond that."""

MAX_WINDOW_SAMPLES = 1 << 24
"""Longest window of a bundle, samples: 64 MiB as float32 (70 minutes at 4 kHz)."""

MAX_WINDOW_OVERLAP = 256
"""Windows of a bundle that may overlap at any moment: a recording cut into them takes as many times its memory."""

MAX_EMBEDDING_DIM = 1 << 16
"""Widest embedding of a bundle."""

MAX_TASKS = 1000
"""Most tasks of a bundle; the same for columns of one task, and for further front ends."""
