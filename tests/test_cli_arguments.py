"""The words of the command line: what is refused and how, what the help teaches."""

import pytest

from trainwarden.entry import cli, output


def run(capsys, *words):
    code = cli.main(list(words))
    out, err = capsys.readouterr()
    return code, out, err


MISUSES = [
    ((), "no command given"),
    (("nonsense",), "invalid choice: 'nonsense'"),
    (("scan",), "nothing to review was named"),
    (("scan", "--base", "main"), "nothing to review was named"),
    (("scan", "--head", "main"), "--head needs --base"),
    (("scan", "--staged", "--worktree"), "--staged and --worktree exclude each other"),
    (("scan", "--staged", "train.py"), "--staged and files exclude each other"),
    (("scan", "--patch", "a", "--base", "x", "--head", "y"), "--head and --patch exclude each other"),
    (("scan", "--bogus", "--staged"), "unknown argument: --bogus"),
    (("scan", "--stage"), "unknown argument: --stage"),
    (("scan", "--staged", "--format", "xml"), "invalid choice: 'xml'"),
    (("scan", "--staged", "--fail-on", "pass"), "invalid choice: 'pass'"),
    (("scan", "--staged", "--seconds", "nan"), "'nan' is not a number of seconds"),
    (("scan", "--staged", "--seconds", "-1"), "'-1' is not a number of seconds"),
    (("scan", "--staged", "--megabytes", "10"), "10 is less than"),
    (("scan", "--staged", "--repo", "/does/not/exist"), "/does/not/exist is not a directory"),
    (("scan", "--staged", "--rules", "/does/not/exist"), "--rules /does/not/exist: not a directory"),
    (("scan", "--staged", "--config", "/does/not/exist"), "--config /does/not/exist: not a file"),
    (("scan", "--patch", "/does/not/exist"), "cannot read the patch"),
    (("sweep",), "no changes were named"),
    (("sweep", "--commits", "0"), "'0' is not a whole number above 0"),
    (("sweep", "--commits", "x"), "'x' is not a whole number above 0"),
    (("sweep", "--ranges", "a", "--commits", "3"), "--ranges excludes --commits and --since"),
    (("sweep", "--ranges", "/does/not/exist"), "cannot read /does/not/exist"),
    (("sweep", "--commits", "1", "--format", "json"), "invalid choice: 'json'"),
]


@pytest.mark.parametrize(("words", "message"), MISUSES)
def test_misuse_is_one_line_and_a_hint_and_exits_with_2(capsys, words, message):
    code, out, err = run(capsys, *words)
    assert code == 2
    assert out == ""
    error, hint = err.splitlines()
    assert error.startswith("trainwarden: error: ")
    assert message in error
    assert hint.startswith("hint: ")


def test_what_the_user_typed_cannot_move_the_cursor(capsys):
    _, _, err = run(capsys, "scan", "--bogus\x1b[2J", "--staged")
    assert "\x1b" not in err


@pytest.mark.parametrize("words", [("--help",), ("scan", "--help"), ("sweep", "-h")])
def test_help_teaches(capsys, words):
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    for taught in (
        "examples:",
        "exit codes:",
        "130",
        "trainwarden scan" if words == ("--help",) else "default",
    ):
        assert taught in out
    assert max(map(len, out.splitlines())) <= 110


def test_version(capsys):
    code, out, _ = run(capsys, "--version")
    assert code == 0
    assert out.startswith("trainwarden 0.")


def test_a_defect_of_ours_is_one_line_too(capsys, monkeypatch):
    monkeypatch.setattr(cli, "_dispatch", lambda arguments: 1 // 0)
    code, out, err = run(capsys, "scan")
    assert (code, out) == (3, "")
    assert err.startswith("trainwarden: error: unexpected ZeroDivisionError")
    assert "Traceback" not in err
    monkeypatch.setenv("TRAINWARDEN_DEBUG", "1")
    assert "Traceback" in run(capsys, "scan")[2]


@pytest.mark.parametrize(
    ("verdict", "fail_on", "code"),
    [
        ("pass", "review", 0),
        ("pass", "block", 0),
        ("review", "block", 0),
        ("review", "review", 1),
        ("block", "block", 1),
        ("block", "review", 1),
        ("error", "block", 3),
        ("error", "review", 3),
    ],
)
def test_exit_codes(verdict, fail_on, code):
    assert output.exit_code(verdict, fail_on) == code


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "report"
    path.write_text("old")
    output.write("n\u00e9w \udcff", str(path))
    assert path.read_bytes() == "n\u00e9w \\udcff".encode()
    assert [each.name for each in tmp_path.iterdir()] == ["report"]


def test_a_link_keeps_pointing_where_it_does(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    output.write("new", str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_file_that_cannot_be_written_is_misuse(tmp_path):
    with pytest.raises(output.Misuse, match="cannot write"):
        output.write("x", str(tmp_path / "no" / "such"))
