"""A stand-in of the hub's API, as far as an upload goes: it keeps the files of each commit and who asked."""

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_of_a_test"


class Hub(ThreadingHTTPServer):
    """`repos` holds what each repository was made with, `files` its files, `messages` its commits."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[str, dict[str, Any]] = {}
        self.files: dict[str, dict[str, bytes]] = {}
        self.messages: dict[str, list[str]] = {}
        self.large: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_PUT(self) -> None:
        content = self.body()
        self.server.large[self.path.rpartition("/")[2]] = content
        self.answer({})

    def do_POST(self) -> None:
        body = self.body()
        path = self.path.partition("?")[0]
        if path != "/api/validate-yaml" and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer({"error": "Invalid credentials"}, status=401)
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self.server.repos.setdefault(name, asked)
            self.answer({"url": f"{self.server.url}/{name}", "name": name})
        elif path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif path.endswith("/preupload/main"):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            self.answer({"files": files})
        elif path.endswith(".git/info/lfs/objects/batch"):
            upload = [
                {**asked, "actions": {"upload": {"href": f"{self.server.url}/large/{asked['oid']}"}}}
                for asked in json.loads(body)["objects"]
            ]
            self.answer({"transfer": "basic", "objects": upload})
        elif path.endswith("/commit/main"):
            self.commit("/".join(path.split("/")[3:5]), [json.loads(line) for line in body.splitlines()])
        else:
            self.answer({"error": f"no such endpoint {path}"}, status=404)

    def commit(self, repo: str, lines: list[dict[str, Any]]) -> None:
        files = self.server.files.setdefault(repo, {})
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.server.messages.setdefault(repo, []).append(value["summary"])
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                content = self.server.large[value["oid"]]
                assert hashlib.sha256(content).hexdigest() == value["oid"]
                files[value["path"]] = content
        self.answer({"commitUrl": f"{self.server.url}/{repo}/commit/1", "commitOid": "1" * 40, "success": True})
