"""Run by the judge's own environment: writes a tiny model of random weights and serves it as llama.cpp does.

``python llama_server.py FOLDER PORT [KEY]``. The vocabulary is the 256 bytes, so it can say anything, and what it says
is nonsense: only a grammar makes JSON of it. Ends when its standard input does.
"""

import sys
from pathlib import Path

import gguf
import numpy
import xllamacpp

NAME = "tiny"
WIDTH, HEADS, LAYERS, INNER, CONTEXT = 32, 2, 1, 64, 16384
SPECIAL = (
    ("<unk>", gguf.TokenType.UNKNOWN),
    ("<s>", gguf.TokenType.CONTROL),
    ("</s>", gguf.TokenType.CONTROL),
)
TEMPLATE = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"


def write(path: Path) -> None:
    """A Llama of one layer whose weights are noise from a fixed seed."""
    words = [(name, kind) for name, kind in SPECIAL]
    words += [(f"<0x{byte:02X}>", gguf.TokenType.BYTE) for byte in range(256)]
    rng = numpy.random.default_rng(3)
    out = gguf.GGUFWriter(str(path), "llama")
    out.add_name(NAME)
    out.add_context_length(CONTEXT)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(INNER)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_vocab_size(len(words))
    out.add_tokenizer_model("llama")
    out.add_token_list([name for name, _ in words])
    out.add_token_scores([0.0] * len(words))
    out.add_token_types([kind for _, kind in words])
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_unk_token_id(0)
    out.add_chat_template(TEMPLATE)
    for name, shape in shapes(len(words)):
        spread = 0.15 if name.startswith("blk.") else 0.5
        noise = rng.normal(0, spread, shape) if len(shape) > 1 else numpy.ones(shape)
        if name == "token_embd.weight":
            noise[:, 0] = 2  # a direction that every state has
        if name.endswith(("attn_output.weight", "ffn_down.weight")):
            noise[0] = 0  # and that no layer changes
        if name == "output.weight":
            noise[:, 0] = [_lean(place - len(SPECIAL)) for place in range(len(words))]
        out.add_tensor(name, noise.astype(numpy.float32))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def _lean(byte: int) -> float:
    """How much a byte is liked: none beyond ASCII (half a letter each), blanks little, quotes much: texts end soon."""
    return (
        -8.0
        if byte > 126 or byte < 0
        else {'"': 1.5, " ": -2.0, "\t": -8.0, "\n": -8.0, "`": -8.0}.get(chr(byte), 0.0)
    )


def shapes(words: int) -> list[tuple[str, tuple[int, ...]]]:
    """The tensors of the model, by llama.cpp's names."""
    listed: list[tuple[str, tuple[int, ...]]] = [
        ("token_embd.weight", (words, WIDTH)),
        ("output_norm.weight", (WIDTH,)),
        ("output.weight", (words, WIDTH)),
    ]
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        listed += [(f"{block}{part}_norm.weight", (WIDTH,)) for part in ("attn", "ffn")]
        listed += [(f"{block}attn_{part}.weight", (WIDTH, WIDTH)) for part in ("q", "k", "v", "output")]
        listed += [(f"{block}ffn_{part}.weight", (INNER, WIDTH)) for part in ("gate", "up")]
        listed.append((f"{block}ffn_down.weight", (WIDTH, INNER)))
    return listed


def main(folder: str, port: str, key: str = "") -> None:
    """Serves until standard input ends."""
    path = Path(folder) / "tiny.gguf"
    write(path)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = int(port)
    params.n_ctx = 3 * CONTEXT
    params.n_parallel = 3
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.warmup = False
    params.n_gpu_layers = 0
    if key:
        params.api_keys = [key]
    server = xllamacpp.Server(params)
    assert server.listening_address
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
