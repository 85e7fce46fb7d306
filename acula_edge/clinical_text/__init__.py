"""Clinical reports: facts from metadata, reports written of them, each read back and compared with its facts.

mapping.py        a data set's columns to typed facts, by one YAML file per data set
vocabulary/       which facts there are, and the words for them
phrasing.py       facts to clauses; writers/ make reports: template, local language model, HTTP endpoint
reading.py        a report to claims, negations included; faithfulness.py compares them with the facts
corpus.py         reports of many recordings: streamed, resumable, checked
"""
