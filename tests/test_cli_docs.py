"""The generated pages: whole, the same on every machine, and checked."""

from trainwarden.entry import cli, pages
from trainwarden.resources import rules_dir


def run(capsys, *words):
    code = cli.main(["docs", *map(str, words)])
    out, err = capsys.readouterr()
    assert out == ""
    return code, err


def test_the_page_of_commands_has_every_command_and_flag():
    page = pages.commands()
    for command in cli.COMMANDS:
        assert f"\n## trainwarden {command.name}\n" in page
    for flag in ("`--base REV`", "`--staged`", "`--fail-on review or block`", "`--resume FILE`", "`FILE`"):
        assert f"| {flag} |" in page


def test_the_page_of_rules_has_every_rule_with_an_example():
    files = sorted(rules_dir().glob("*/*.yml"))
    page = pages.rules()
    assert files
    for file in files:
        assert f"\n### {file.stem}\n" in page
    assert page.count("```diff") >= len(files)


def test_the_page_does_not_depend_on_the_terminal(monkeypatch):
    before = pages.commands()
    monkeypatch.setenv("COLUMNS", "40")
    assert pages.commands() == before


def test_write_then_check_then_a_stale_page(capsys, tmp_path):
    assert run(capsys, "check", tmp_path)[0] == 1
    assert run(capsys, "write", tmp_path) == (0, "")
    assert run(capsys, "check", tmp_path) == (0, "")
    (tmp_path / "commands.md").write_text("old")
    code, err = run(capsys, "check", tmp_path)
    assert code == 1
    assert "commands.md is not up to date" in err


def test_no_such_directory_is_misuse(capsys, tmp_path):
    code, err = run(capsys, "write", tmp_path / "none")
    assert code == 2
    assert "is not a directory" in err
