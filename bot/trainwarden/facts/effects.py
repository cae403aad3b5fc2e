"""What code does to the world outside its tensors: processes, network, files, environment, code loading,
patches.

Callees are matched on resolved names, so aliases, ``getattr`` with foldable strings and ``importlib`` do not
hide them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from trainwarden.facts.reading import Call, CallHandler, Extractor, FactKind, Reading, every, last_part, words
from trainwarden.parse.names import normal
from trainwarden.parse.nodes import Node

# Fact -> dotted names (a name without a dot is a builtin or global function).
_CALLS: dict[str, str] = {
    "effect.exit": "sys.exit exit quit os._exit os.abort os.kill os.killpg signal.raise_signal"
    " signal.pthread_kill faulthandler._sigsegv psutil.Process().kill psutil.Process().terminate"
    " multiprocessing.Process().kill",
    "effect.signal": "signal.signal signal.alarm signal.setitimer signal.siginterrupt atexit.register",
    "effect.process": "os.system os.popen os.execv os.execve os.execvp os.execl os.execlp os.execle"
    " os.spawnl os.spawnv os.fork os.posix_spawn subprocess.run subprocess.Popen subprocess.call"
    " subprocess.check_call subprocess.check_output subprocess.getoutput subprocess.getstatusoutput"
    " pty.spawn multiprocessing.Process asyncio.create_subprocess_exec asyncio.create_subprocess_shell"
    " sh.bash pexpect.spawn pexpect.run",
    "effect.network": "requests.get requests.post requests.put requests.request requests.patch"
    " requests.Session urllib.request.urlopen urllib.request.urlretrieve urllib.request.Request"
    " urllib2.urlopen httpx.get httpx.post httpx.Client httpx.AsyncClient aiohttp.ClientSession"
    " socket.socket socket.create_connection socket.gethostbyname socket.getaddrinfo"
    " http.client.HTTPConnection http.client.HTTPSConnection ftplib.FTP smtplib.SMTP smtplib.SMTP_SSL"
    " paramiko.SSHClient boto3.client boto3.resource google.cloud.storage.Client telnetlib.Telnet"
    " xmlrpc.client.ServerProxy websocket.create_connection wget.download gdown.download"
    " torch.hub.download_url_to_file huggingface_hub.upload_file huggingface_hub.upload_folder"
    " huggingface_hub.hf_hub_download huggingface_hub.snapshot_download urllib3.PoolManager"
    " dns.resolver.resolve",
    "effect.delete": "os.remove os.unlink os.rmdir os.removedirs shutil.rmtree os.truncate tf.io.gfile.remove"
    " tensorflow.io.gfile.rmtree send2trash.send2trash",
    "effect.file": "os.rename os.replace os.renames shutil.move shutil.copy shutil.copy2 shutil.copyfile"
    " shutil.copytree os.symlink os.link os.chmod os.chown os.utime os.makedirs os.mkfifo"
    " shutil.make_archive tempfile.mkstemp",
    "effect.environment": "os.putenv os.unsetenv os.environ.update os.environ.setdefault os.environ.pop"
    " os.environ.clear",
    "effect.environment_read": "os.getenv os.environ.get os.environb.get",
    "effect.host": "socket.gethostname socket.getfqdn platform.node os.uname platform.uname getpass.getuser"
    " os.getlogin os.getuid pwd.getpwuid os.getppid",
    "load.exec": "eval exec compile execfile builtins.eval builtins.exec builtins.compile runpy.run_path"
    " runpy.run_module code.interact types.FunctionType types.CodeType",
    "load.unsafe": "pickle.load pickle.loads pickle.Unpickler _pickle.load _pickle.loads cPickle.load"
    " cPickle.loads dill.load dill.loads joblib.load cloudpickle.load cloudpickle.loads marshal.load"
    " marshal.loads shelve.open pandas.read_pickle yaml.load yaml.load_all yaml.unsafe_load yaml.full_load"
    " yaml.unsafe_load_all jsonpickle.decode torch.load numpy.load np.load torch.jit.load"
    " torch.package.PackageImporter keras.models.load_model tensorflow.keras.models.load_model",
    "load.module": "importlib.import_module __import__ importlib.__import__ importlib.reload"
    " importlib.util.spec_from_file_location importlib.util.module_from_spec"
    " importlib.machinery.SourceFileLoader imp.load_source imp.load_module torch.hub.load"
    " zipimport.zipimporter pkgutil.get_loader torch.utils.cpp_extension.load"
    " torch.utils.cpp_extension.load_inline",
    "load.native": "ctypes.CDLL ctypes.cdll.LoadLibrary ctypes.PyDLL ctypes.WinDLL cffi.FFI"
    " torch.ops.load_library torch.classes.load_library numpy.ctypeslib.load_library"
    " ctypes.pythonapi.Py_CompileString",
    "effect.obfuscation": "base64.b64decode base64.b32decode base64.b16decode base64.b85decode"
    " base64.a85decode base64.decodebytes base64.urlsafe_b64decode binascii.unhexlify binascii.a2b_hex"
    " binascii.a2b_base64 bytes.fromhex codecs.decode zlib.decompress lzma.decompress bz2.decompress"
    " gzip.decompress",
    "effect.sleep": "time.sleep asyncio.sleep torch.cuda.synchronize torch.cuda.empty_cache gc.collect"
    " cuda.synchronize torch.npu.synchronize torch.cuda._sleep",
    "effect.trace": "sys.settrace sys.setprofile threading.settrace gc.disable gc.freeze inspect.stack"
    " inspect.currentframe sys._getframe sys.setrecursionlimit inspect.getframeinfo inspect.getsource",
    "effect.thread": "threading.Thread threading.Timer _thread.start_new_thread"
    " concurrent.futures.ThreadPoolExecutor",
}
_METHODS = {
    "effect.delete": "unlink rmtree rmdir",
    "effect.file": "write_text write_bytes symlink_to hardlink_to chmod touch",
    "effect.exit": "send_signal terminate kill",
    "effect.network": "urlopen urlretrieve upload_file upload_fileobj put_object upload_folder push_to_hub"
    " upload_from_filename sendall download_url download_file",
    "load.module": "exec_module load_module import_module",
}


def _index() -> dict[str, list[tuple[str, str]]]:
    """Last part -> (dotted name, fact)."""
    index: dict[str, list[tuple[str, str]]] = {}
    for fact, names in _CALLS.items():
        for name in names.split():
            index.setdefault(last_part(name), []).append((name, fact))
    return index


_INDEX = _index()
_BY_METHOD = {method: fact for fact, methods in _METHODS.items() for method in methods.split()}


def _known(call: Call) -> str | None:
    """The fact a callee stands for, on its whole resolved name."""
    for name, fact in _INDEX.get(call.last, ()):
        if call.name == name or ("." in name and call.name.endswith("." + name)):
            return fact
    return None


def _effect(reading: Reading, call: Call) -> None:
    fact = _known(call)
    if fact == "load.unsafe" and _is_safe(reading, call):
        return
    if (
        fact == "load.module"
        and call.positional
        and call.positional[0].kind == "string"
        and "import" in call.last
    ):
        return
    if fact is not None:
        reading.add(fact, call.node, reading.arguments(call), call.name)
    elif call.last in _BY_METHOD and call.owner is not None and "." in call.name:
        owner = reading.text(call.owner)
        reading.add(_BY_METHOD[call.last], call.node, f"{call.last}({reading.arguments(call)})", owner)


def _is_safe(reading: Reading, call: Call) -> bool:
    """Loaders that read data only: YAML with a safe loader, arrays without pickles, tensors with ``weights_only``."""
    if call.last == "load" and call.name.endswith(("numpy.load", "np.load")):
        value = call.keywords.get("allow_pickle")
        return value is None or reading.text(value) == "False"
    if call.name.endswith(("yaml.load", "yaml.load_all")):
        loader = call.argument("Loader", 1)
        return loader is not None and "Safe" in last_part(loader.name)
    weights_only = call.keywords.get("weights_only")
    return call.name == "torch.load" and weights_only is not None and reading.text(weights_only) == "True"


def _open(reading: Reading, call: Call) -> None:
    """``open`` for writing, and of paths outside the run's own files."""
    method = call.owner is not None and call.name not in ("io.open", "codecs.open", "gzip.open", "os.open")
    mode = call.argument("mode", 0 if method else 1)
    shown = reading.text(mode) if mode is not None else "'r'"
    if any(letter in shown for letter in "wax+"):
        reading.add("effect.file", call.node, f"open({reading.arguments(call)})", call.name)


# -- environment, patches, paths

_ENVIRONMENT = re.compile(r"(^|\.)os\.environb?(\[|$)")
_HOOKS = re.compile(
    r"^sys\.(modules|meta_path|path_hooks|path_importer_cache|excepthook|stdout|stderr|displayhook)(\[|\.|$)"
)


def _assigned(reading: Reading, node: Node) -> None:
    value = node.children[-1]
    for target in node.children[:-1]:
        if target.kind == "subscript":
            _item(reading, node, target, value)
        elif target.kind == "attribute":
            _attribute(reading, node, target, value)


def _item(reading: Reading, node: Node, target: Node, value: Node) -> None:
    whole = target.children[0].name
    key = reading.text(target.children[1]) if len(target.children) > 1 else ""
    if _ENVIRONMENT.search(whole):
        reading.say("effect.environment", node, value, key.strip("'"))
    elif _HOOKS.search(whole):
        reading.add("patch.interpreter", node, reading.value(value), f"{whole}[{key}]")
    elif whole.endswith(".__dict__") and whole.split(".")[0] in _roots(reading):
        reading.add("patch.module", node, reading.value(value), f"{whole}[{key}]")


def _attribute(reading: Reading, node: Node, target: Node, value: Node) -> None:
    if _HOOKS.search(target.name):
        reading.add("patch.interpreter", node, reading.value(value), target.name)
    elif target.name == "sys.path" or target.name.startswith("sys.path."):
        reading.add("effect.import_path", node, reading.value(value), target.name)
    elif target.value.startswith("__") and target.value.endswith("__") and target.value in _DUNDERS:
        reading.add("patch.method", node, reading.value(value), reading.text(target))
    elif _is_patch(reading, target, value):
        reading.add("patch.module", node, reading.value(value), target.name)


_DUNDERS = words(
    "__class__ __iter__ __getitem__ __len__ __call__ __reduce__ __setstate__ __code__ __torch_function__"
)
_CODE = frozenset({"lambda", "name", "attribute", "call"})
_CONFIGURED = re.compile(
    r"backends|flags|options|config|_C\b|cuda\.matmul|rcParams|environ|settings|FLAGS|args"
)


def _is_patch(reading: Reading, target: Node, value: Node) -> bool:
    """An attribute of something imported is given new code; flags and settings are no patches."""
    owner = target.children[0]
    root = owner
    while root.kind == "attribute":
        root = root.children[0]
    if (
        root.kind != "name"
        or normal(root.value) not in reading.scope.imports
        or reading.scope.is_local(normal(root.value))
    ):
        return False
    return value.kind in _CODE and not _CONFIGURED.search(target.name)


def _roots(reading: Reading) -> set[str]:
    return {name.split(".")[0] for name in reading.scope.imports.values()}


def _setattr(reading: Reading, call: Call) -> None:
    if len(call.positional) < 3:
        return
    owner, attribute, value = call.positional[:3]
    first = owner.name.split(".")[0]
    if owner.kind in ("name", "attribute") and first in _roots(reading) and first not in ("self", ""):
        shown = attribute.value if attribute.kind == "string" else reading.text(attribute)
        reading.add("patch.module", call.node, reading.value(value), f"{owner.name}.{shown}")


def _import_path(reading: Reading, call: Call) -> None:
    if call.name.startswith("sys.path."):
        reading.add("effect.import_path", call.node, reading.arguments(call), call.name)
    elif call.name.startswith(("sys.meta_path.", "sys.path_hooks.")):
        reading.add("patch.interpreter", call.node, reading.arguments(call), call.name)


def _patch_call(reading: Reading, call: Call) -> None:
    reading.add("patch.module", call.node, reading.arguments(call), call.name)


def _subscript(reading: Reading, node: Node) -> None:
    """``os.environ["X"]`` that is read."""
    parent = node.parent
    written = (
        parent is not None
        and parent.kind in ("assign", "augassign", "delete")
        and parent.children[-1] is not node
    )
    if _ENVIRONMENT.search(node.children[0].name) and len(node.children) > 1 and not written:
        reading.add("effect.environment_read", node, reading.text(node.children[1]), "os.environ")


def _attribute_read(reading: Reading, node: Node) -> None:
    """``os.environ`` as a whole: copied, passed on, iterated."""
    parent = node.parent
    if node.name not in ("os.environ", "os.environb") or parent is None or parent.kind == "attribute":
        return
    if parent.kind != "subscript" and not (parent.kind == "compare" and parent.children[-1] is node):
        reading.add("effect.environment_read", node, "all", "os.environ")


def _keyword(reading: Reading, node: Node) -> None:
    call = node.parent
    if (
        node.value not in _TRUST
        or call is None
        or call.kind != "call"
        or call.function.name.endswith("add_argument")
    ):
        return
    reading.say("load.trust", node, node.children[0], f"{last_part(call.function.name)} {node.value}")


_TRUST = frozenset(
    {"trust_remote_code", "trust_repo", "allow_pickle", "safe_serialization", "safe_mode", "verify"}
)

# -- exceptions that are swallowed

_QUIET = frozenset({"pass", "continue", "break", "return"})


def _handler(reading: Reading, node: Node) -> None:
    block = node.children[-1]
    if not block.children or not all(map(_is_quiet, block.children)):
        return
    caught = reading.text(node.children[0]) if len(node.children) > 1 else "everything"
    tried = node.parent.children[0] if node.parent is not None else block
    how = block.children[-1].kind
    reading.add(
        "exception.swallowed",
        node,
        f"{caught}: {'logged' if how == 'expr' else how}",
        ", ".join(_callees(tried)),
    )


def _is_quiet(statement: Node) -> bool:
    """Statements that do nothing about an error: leave, or tell somebody."""
    if statement.kind == "return":
        return not statement.children or statement.children[0].kind == "constant"
    if statement.kind == "expr":
        inner = statement.children[0]
        return inner.kind == "constant" or (inner.kind == "call" and bool(_TELLS.search(inner.function.name)))
    return statement.kind in _QUIET or statement.kind == "docstring"


_TELLS = re.compile(r"(^|[._])(rank0_)?(print|log|debug|info|warn|error|exception|print_exc)[a-z_0-9]*$")


def _callees(block: Node, most: int = 3) -> list[str]:
    found: list[str] = []
    for node in block.walk():
        if node.kind == "call" and node.function.name and len(found) < most:
            found.append(last_part(node.function.name))
    return found


def _reduce(reading: Reading, node: Node) -> None:
    """A class that tells pickle what to call when it is loaded."""
    if node.value in ("__reduce__", "__reduce_ex__", "__setstate__"):
        reading.add("load.reduce", node, node.value, reading.member_name)


def _table() -> Iterator[tuple[str, CallHandler]]:
    for last in {*_INDEX, *_BY_METHOD}:
        yield last, _effect


EXTRACTOR = Extractor(
    name="effects",
    facts=(
        FactKind(
            "effect.exit",
            "a process is ended or sent a signal; subject: the function",
            "arguments",
            watched=True,
        ),
        FactKind("effect.signal", "a signal or exit handler is set; subject: the function", "arguments"),
        FactKind(
            "effect.process", "another program is run; subject: the function", "arguments", watched=True
        ),
        FactKind("effect.thread", "a thread or timer is started; subject: the class", "arguments"),
        FactKind("effect.network", "the network is used; subject: the function", "arguments", watched=True),
        FactKind(
            "effect.delete", "files are deleted; subject: the function or path", "arguments", watched=True
        ),
        FactKind(
            "effect.file",
            "files are written, moved, linked or given rights; subject: the function",
            "arguments",
        ),
        FactKind("effect.environment", "an environment variable is written; subject: which"),
        FactKind("effect.environment_read", "an environment variable is read", "name"),
        FactKind("effect.host", "host, user or machine are asked for; subject: the function", "arguments"),
        FactKind("effect.import_path", "the module search path is changed; subject: how", "arguments"),
        FactKind(
            "effect.obfuscation", "data are decoded or decompressed; subject: the function", "arguments"
        ),
        FactKind(
            "effect.sleep",
            "execution waits or is made to wait for the device; subject: the function",
            "arguments",
            watched=True,
        ),
        FactKind(
            "effect.trace",
            "frames, source, tracing or garbage collection are touched; subject: the function",
            "arguments",
        ),
        FactKind("load.exec", "text or code objects are executed; subject: the function", "arguments"),
        FactKind(
            "load.unsafe", "data are loaded in a format that can run code; subject: the function", "arguments"
        ),
        FactKind(
            "load.module",
            "modules are imported by a name or path that is computed; subject: the function",
            "arguments",
        ),
        FactKind("load.native", "native libraries are loaded; subject: the function", "arguments"),
        FactKind(
            "load.trust",
            "remote or pickled code is trusted, or checks are off; subject: callee and keyword",
            "True or False",
        ),
        FactKind("load.reduce", "a class tells pickle what to run; subject: the method", "method"),
        FactKind("patch.module", "code of an imported module or class is replaced; subject: what"),
        FactKind("patch.method", "a special method or class of an object is replaced; subject: what"),
        FactKind(
            "patch.interpreter", "modules, import hooks or standard streams are replaced; subject: what"
        ),
        FactKind(
            "exception.swallowed",
            "an exception is caught and nothing is done; subject: the calls it covers",
            "what and how",
        ),
    ),
    calls={
        **dict(_table()),
        **every("open", _open),
        **every("setattr", _setattr),
        **every("insert append extend remove", _import_path),
        **every("patch_all monkeypatch wrap_function_wrapper", _patch_call),
    },
    kinds={
        "assign": _assigned,
        "subscript": _subscript,
        "keyword": _keyword,
        "handler": _handler,
        "function": _reduce,
        "attribute": _attribute_read,
    },
)
