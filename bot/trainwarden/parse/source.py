"""The bytes of one file in; its kind, and the text of Python source as Python itself would read it, out.

Python honours byte order marks, coding cookies (PEP 263) and lone carriage returns, and each of them can
make code look like something else in an editor or a diff. What Python would read differently from what a
reviewer sees, or not at all, is a ``Refusal`` with the reason rather than a guess.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from encodings.aliases import aliases
from pathlib import PurePosixPath

from trainwarden.model import FileKind

MAX_BYTES = 2 * 1024 * 1024
MAX_LINE = 1024 * 1024

_SUFFIXES: tuple[tuple[FileKind, str], ...] = (
    ("python", ".py .pyi .pyw"),
    ("notebook", ".ipynb"),
    (
        "config",
        ".yaml .yml .json .jsonc .json5 .toml .ini .cfg .conf .gin .jsonnet .libsonnet .properties .env",
    ),
    ("shell", ".sh .bash .zsh .ksh .csh .fish .bat .cmd .ps1 .sbatch .slurm .pbs .lsf .mk .dockerfile"),
    ("native", ".c .cc .cpp .cxx .h .hh .hpp .hxx .inl .cu .cuh .cl .hip .metal .pyx .pxd .pxi .rs"),
    (
        "binary",
        ".pt .ptl .pkl .pickle .joblib .npy .npz .mat .safetensors .onnx .pb .tflite .h5 .hdf5 .keras",
    ),
    (
        "binary",
        ".ckpt .bin .msgpack .parquet .arrow .feather .tfrecord .gguf .ggml .db .sqlite .so .dll .dylib",
    ),
    (
        "binary",
        ".a .o .obj .exe .pyc .pyo .pyd .whl .egg .jar .class .zip .tar .gz .tgz .bz2 .xz .zst .7z .rar",
    ),
    ("binary", ".png .jpg .jpeg .gif .bmp .ico .tif .tiff .webp .pdf .mp3 .mp4 .wav .flac .ogg .avi .mov"),
    ("binary", ".ttf .otf .woff .woff2"),
)
_KIND_OF_SUFFIX: dict[str, FileKind] = {
    suffix: kind for kind, suffixes in _SUFFIXES for suffix in suffixes.split()
}
_WORKFLOW = re.compile(
    r"\.github/workflows/[^/]+\.ya?ml|(.*/)?action\.ya?ml|\.gitlab-ci\.yml|\.circleci/.+\.ya?ml"
    r"|(.*/)?jenkinsfile|azure-pipelines\.ya?ml|\.pre-commit-config\.yaml"
)
_REQUIREMENTS = re.compile(
    r"[^/]*(requirements|constraints)[^/]*\.(txt|in)|setup\.cfg|pyproject\.toml|pipfile|pip\.conf"
    r"|(poetry|uv|pdm|pipfile|pixi|conda)\.lock|conda-lock\.ya?ml|pixi\.toml|(environment|conda)[^/]*\.ya?ml"
)
_SHELL_NAMES = re.compile(
    r"(docker|container)file(\..*)?|(gnu)?makefile(\..*)?|justfile|\.(bash|zsh)(rc|_profile)|\.profile"
)
_SHEBANG = re.compile(rb"#![^\n]*?\b(?:(i?python|pypy)[0-9.]*|(?:ba|z|da|k|c|tc|fi)?sh)\b")
_IMPORT = re.compile(rb"(?:\s*#[^\n]*\n|\s*\n)*(?:import [A-Za-z_]|from [A-Za-z_.]+ import )")

# The text encodings Python source is honestly written in. Left out on purpose: codecs that transform (rot13,
# base64), that spell ASCII in other ways (utf-7, unicode_escape, iso-2022 and hz with shift states), EBCDIC.
_TEXT_ENCODINGS = frozenset(
    (
        *("utf_8", "utf_8_sig", "ascii", "latin_1", "mac_roman", "koi8_r", "koi8_u", "tis_620"),
        *("gbk", "gb2312", "gb18030", "big5", "big5hkscs", "euc_jp", "shift_jis", "cp932", "euc_kr", "cp949"),
        *("cp437", "cp850", "cp852", "cp866", "cp874", *(f"cp{page}" for page in range(1250, 1259))),
        *(f"iso8859_{part}" for part in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)),
    )
)
_WIDE_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# https://docs.python.org/3/reference/lexical_analysis.html#encoding-declarations
_COOKIE = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_BLANK_OR_COMMENT = re.compile(rb"[ \t\f]*(?:#.*)?\Z")


@dataclass(frozen=True, slots=True)
class Text:
    """Source text with ``\\n`` line ends only, numbered as Python does: a lone carriage return ends a line.

    ``lines`` is their number, without the empty one after a final line end. ``lone_returns`` counts carriage
    returns that git and most editors do not show as line ends.
    """

    text: str
    lines: int
    encoding: str
    lone_returns: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why bytes are not read as source text, in words for the report."""

    reason: str


def kind_of(path: str, mode: int, data: bytes) -> FileKind:
    """The kind of a file, by its place and name first, then by what it starts with.

    A name that Python, a shell or a build would act on counts whatever the contents: bytes that do not fit
    it are for the reader of that kind to refuse. ``mode`` tells scripts (executable) apart where the
    contents are thin.
    """
    lowered = path.lower()
    name = PurePosixPath(lowered).name
    if _WORKFLOW.fullmatch(lowered):
        return "workflow"
    if _REQUIREMENTS.fullmatch(name) or ("requirements/" in lowered and name.endswith(".txt")):
        return "requirements"
    if _SHELL_NAMES.fullmatch(name):
        return "shell"
    by_suffix = _KIND_OF_SUFFIX.get(PurePosixPath("x" + name).suffix)
    return by_suffix or _kind_of_contents(name, mode, data[:8192])


def _kind_of_contents(name: str, mode: int, start: bytes) -> FileKind:
    shebang = _SHEBANG.match(start)
    if shebang:
        return "python" if shebang[1] else "shell"
    if b"\0" in start:
        return "binary"
    if "." in name or start.startswith(b"#!"):
        return "text"
    # Without a suffix: code for python NAME, or, being executable, what a shell runs for lack of a shebang.
    return "python" if _IMPORT.match(start) else "shell" if mode & 0o111 else "text"


def decode_python(data: bytes) -> Text | Refusal:
    """The text of Python source as Python would decode it, or why it is not read. Raises nothing."""
    if refusal := _oversized(data) or _not_text(data):
        return refusal
    marked = data.startswith(codecs.BOM_UTF8)
    body = data.removeprefix(codecs.BOM_UTF8)
    body = body.replace(b"\r\n", b"\n")
    encoding = _encoding(body.replace(b"\r", b"\n"), marked)
    if isinstance(encoding, Refusal):
        return encoding
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        line = body[: error.start].replace(b"\r", b"\n").count(b"\n") + 1
        return Refusal(f"line {line} is not valid {error.encoding}: the bytes cannot be decoded")
    return _text(text, encoding)


def _oversized(data: bytes) -> Refusal | None:
    if len(data) > MAX_BYTES:
        return Refusal(f"{len(data)} bytes, more than the {MAX_BYTES} of source that are read")
    longest = max(map(len, re.split(rb"[\r\n]", data)), default=0) if len(data) > MAX_LINE else 0
    return Refusal(f"a line of {longest} bytes, more than {MAX_LINE}") if longest > MAX_LINE else None


def _not_text(data: bytes) -> Refusal | None:
    if data.startswith(_WIDE_MARKS):
        return Refusal("UTF-16 or UTF-32, which Python does not read as source")
    if b"\0" in data:
        line = len(re.findall(rb"\r\n|\r|\n", data[: data.index(b"\0")])) + 1
        return Refusal(f"a NUL byte in line {line}: not Python source")
    return None


def _encoding(body: bytes, marked: bool) -> str | Refusal:
    cookie = _cookie(body)
    if cookie is None:
        return "utf_8"
    name = _canonical(cookie)
    if name not in _TEXT_ENCODINGS:
        return Refusal(
            f"declares the encoding {cookie[:40]!r}, which is not a plain text encoding that is read"
        )
    if marked and name not in ("utf_8", "utf_8_sig"):
        return Refusal(f"starts with a UTF-8 mark but declares the encoding {cookie[:40]!r}")
    return name


def _cookie(body: bytes) -> str | None:
    """The encoding named in a comment on the first or, below a blank or comment line, the second line."""
    for line in body.split(b"\n", 2)[:2]:
        if found := _COOKIE.match(line):
            return found[1].decode("ascii", "replace")
        if not _BLANK_OR_COMMENT.match(line):
            return None
    return None


def _canonical(cookie: str) -> str:
    """The name of the codec as Python's own modules have it, found without importing what the file names."""
    name = cookie.lower().replace("-", "_").replace(".", "_")
    # The tokenizer reads these as utf-8 and latin-1 whatever follows (get_normal_name in its source).
    if name == "utf_8" or name.startswith("utf_8_"):
        return "utf_8"
    if re.match(r"(latin_1|iso_8859_1|iso_latin_1)(_|\Z)", name):
        return "latin_1"
    return aliases.get(name, name)


def _text(text: str, encoding: str) -> Text | Refusal:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return Refusal("a lone surrogate: not a character")
    lone_returns = text.count("\r")
    text = text.replace("\r", "\n")
    lines = text.count("\n") + (not text.endswith("\n") and text != "")
    return Text(text, lines, encoding, lone_returns)
