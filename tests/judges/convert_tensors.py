# SPDX-License-Identifier: Apache-2.0
"""llama.cpp's convert_hf_to_gguf.py on folders whose tokenizers it does not know: everything but the vocabulary.

    convert_tensors.py SCRIPT [FOLDER TYPE OUT.gguf]..."""
import importlib
import pkgutil
import sys
from pathlib import Path

script, *jobs = sys.argv[1:]
sys.path.insert(0, str(Path(script).parent))
import conversion  # noqa: E402
import convert_hf_to_gguf  # noqa: E402
from conversion.base import ModelBase  # noqa: E402

for module in pkgutil.iter_modules(conversion.__path__):
    importlib.import_module(f"conversion.{module.name}")


def leave_out_vocabulary(model):
    if "set_vocab" in vars(model):
        model.set_vocab = lambda self: None
    for derived in model.__subclasses__():
        leave_out_vocabulary(derived)


leave_out_vocabulary(ModelBase)
for folder, kind, out in zip(jobs[::3], jobs[1::3], jobs[2::3]):
    sys.argv = [script, folder, "--outfile", out, "--outtype", kind]
    convert_hf_to_gguf.main()
