"""Released files are fetched from a server on this machine, checked, noted, and refused where they are not right."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import typer

from caebench.cli.assets import fetch, list_assets, verify
from caebench.execution import assets
from caebench.specs.families import BY_NAME
from caebench.specs.site import Assets
from tests.helpers import read

CONTENT = bytes(range(256)) * 5000
SHA256, MD5 = hashlib.sha256(CONTENT).hexdigest(), hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch):
    """Serves CONTENT as /whole, half of it as /half, and nothing else."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path not in ("/whole", "/half"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT if self.path == "/whole" else CONTENT[: len(CONTENT) // 2])

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture
def manifest(tmp_path):
    def write(url, **fields):
        values = {"file": "x.pth", "url": url, "licence": "MIT", "purpose": "a test", "source": "here", **fields}
        lines = [
            f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for key, value in values.items()
        ]
        path = tmp_path / "manifest.toml"
        path.write_text("\n".join(["[x]", *lines]) + "\n", encoding="utf8")
        return path

    return write


def run(command, tmp_path, manifest, names=("x",)):
    """Its exit status."""
    try:
        command(list(names), folder=tmp_path / "assets", manifest=manifest)
    except typer.Exit as end:
        return end.exit_code
    return 0


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"sha256": SHA256},
        {"published": f"md5:{MD5[:6]}"},
        {"published": f"sha256:{SHA256[:8]}"},
        {"bytes": len(CONTENT)},
    ],
)
def test_a_file_is_fetched_checked_and_noted(server, manifest, tmp_path, fields, capsys):
    path = manifest(f"{server}/whole", family="mae", **fields)
    assert run(fetch, tmp_path, path) == 0
    assert (tmp_path / "assets" / "x.pth").read_bytes() == CONTENT
    said = capsys.readouterr().out
    assert SHA256 in said and "caebench ckpt import" in said
    assert ("no source publishes it" in said) == ("sha256" not in fields)
    noted = read(tmp_path / "assets" / "assets.json")["x"]
    assert (noted["sha256"], noted["bytes"]) == (SHA256, len(CONTENT))
    assert list((tmp_path / "assets").glob("*.partial")) == []


def test_what_is_here_is_used_offline(server, manifest, tmp_path):
    run(fetch, tmp_path, manifest(f"{server}/whole"))
    offline = manifest("http://127.0.0.1:9/whole")
    assert run(fetch, tmp_path, offline) == 0
    assert run(verify, tmp_path, offline, ()) == 0


@pytest.mark.parametrize(
    ("page", "fields", "said"),
    [
        ("/gone", {}, "HTTP Error 404"),
        ("/half", {}, "it ended after 640000 of 1280000 bytes"),
        ("/whole", {"sha256": "0" * 64}, f"has SHA-256 {SHA256}, not the manifest's"),
        ("/whole", {"published": "md5:beef"}, f"has md5 {MD5}, and the project publishes beef"),
        ("/whole", {"bytes": 7}, "has 1280000 bytes, not 7"),
        ("/whole", {"by_hand": True}, "needs a browser"),
    ],
)
def test_what_is_not_right_is_named_with_the_way_by_hand(server, manifest, tmp_path, page, fields, said, capsys):
    assert run(fetch, tmp_path, manifest(server + page, **fields)) == 1
    text = capsys.readouterr().out
    assert said in text
    assert f"by hand: from {server}{page} to {tmp_path}/assets/x.pth; then `caebench assets verify x`" in text
    assert list((tmp_path / "assets").glob("*")) == []


def test_a_dead_server_is_named(manifest, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert run(fetch, tmp_path, manifest("http://127.0.0.1:9/x")) == 1
    assert "http://127.0.0.1:9/x cannot be fetched" in capsys.readouterr().out


def test_a_file_that_changed_since_its_first_fetch_is_refused(server, manifest, tmp_path, capsys):
    path = manifest(f"{server}/whole")
    run(fetch, tmp_path, path)
    (tmp_path / "assets" / "x.pth").write_bytes(CONTENT[:-1] + b"!")
    assert run(verify, tmp_path, path) == 1
    assert "not the one of its first fetch" in capsys.readouterr().out


def test_a_file_put_there_by_hand_is_noted_when_it_is_verified(manifest, tmp_path, capsys):
    path = manifest("https://example.org/x", by_hand=True)
    assert run(verify, tmp_path, path) == 1
    assert "no such file" in capsys.readouterr().out
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "x.pth").write_bytes(CONTENT)
    assert run(verify, tmp_path, path) == 0
    assert read(tmp_path / "assets" / "assets.json")["x"]["sha256"] == SHA256


def test_an_unknown_name_and_a_wrong_manifest_are_explained(manifest, tmp_path):
    with pytest.raises(ValueError, match="asset 'y': unknown"):
        run(fetch, tmp_path, manifest("https://example.org/x"), ("y",))
    with pytest.raises(ValueError, match="give --all"):
        run(fetch, tmp_path, None, ())
    with pytest.raises(ValueError, match=r"x.url"):
        run(verify, tmp_path, manifest("file:///etc/passwd"))
    with pytest.raises(ValueError, match=r"x.file"):
        run(verify, tmp_path, manifest("https://example.org/x", file="../x"))


def test_the_manifest_names_a_source_a_licence_and_a_use_for_every_file(capsys):
    entries = assets.read_manifest()
    assert len({asset.file for asset in entries.values()}) == len(entries)
    assert {asset.family for asset in entries.values()} - {None} <= BY_NAME.keys()
    without_family = {name for name, asset in entries.items() if asset.family is None}
    assert without_family <= Assets.model_fields.keys(), "what is no encoder has a place in the site file"
    list_assets()
    assert "CC-BY-NC-4.0" in capsys.readouterr().out
