"""A server on 127.0.0.1 that answers what `wandb sweep`, `wandb agent` and a logging run ask of Weights & Biases."""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

ENTITY = "laboratory"
SWEEP = "sweep001"
KEY = "0123456789abcdef" * 2 + "01234567"


@dataclass
class LoggedRun:
    """What one run sent to the server."""

    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    display_name: str | None = None
    sweep: str | None = None
    exit_code: int | None = None


class WandbServer:
    """One sweep, whose runs are those of a plan, handed out one by one; then agents are told to exit.

    Args:
        plan: the parameters of each run of the sweep.
        stop_when: a run for which this is true is told to stop, as early termination does.
    """

    def __init__(self, plan: list[dict[str, Any]], stop_when: Callable[[LoggedRun], bool] = lambda run: False) -> None:
        self.plan = plan
        self.stop_when = stop_when
        self.sweep_config: dict[str, Any] = {}
        self.project = ""
        self.runs: dict[str, LoggedRun] = {}
        self.started: list[str] = []
        self.unknown: list[str] = []
        self._lock = threading.RLock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self._answer(server.post(self.path, json.loads(self._body() or b"{}")))

            def do_PUT(self) -> None:
                server.put(self.path, self._body())
                self._answer({})

            def do_GET(self) -> None:
                server.unknown.append(f"GET {self.path}")
                self._answer({})

            def log_message(self, *arguments: Any) -> None:
                pass

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    parts = []
                    while size := int(self.rfile.readline(), 16):
                        parts.append(self.rfile.read(size))
                        self.rfile.readline()
                    self.rfile.readline()
                    return b"".join(parts)
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))

            def _answer(self, answer: Any) -> None:
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Http(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """W&B's programs drop their connections when they end."""

        self._http = Http(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> "WandbServer":
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def environment(self) -> dict[str, str]:
        """What W&B's programs must find in their environment to talk to this server alone."""
        return {
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": KEY,
            "WANDB_ERROR_REPORTING": "false",
            "WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL": "1",
        }

    # Requests.

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Answer a GraphQL operation or take in the lines of a run's files."""
        with self._lock:
            stream = re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", path)
            if stream:
                return self._file_stream(self.runs.setdefault(stream[1], LoggedRun()), body)
            operation = re.search(r"(?:query|mutation)\s+(\w+)", body.get("query", ""))
            if path != "/graphql" or operation is None:
                self.unknown.append(f"POST {path}")
                return {}
            answer = getattr(self, f"_on_{operation[1]}", None)
            if answer is None:
                self.unknown.append(operation[1])
                return {"errors": [{"message": f"this server does not know {operation[1]}"}], "data": None}
            return {"data": answer(body.get("variables") or {})}

    def put(self, path: str, content: bytes) -> None:
        """Keep an uploaded file."""
        _, _, run, name = path.split("/", 3)
        with self._lock:
            self.runs[run].files[name] = content

    def _file_stream(self, run: LoggedRun, body: dict[str, Any]) -> dict[str, Any]:
        for name, chunk in body.get("files", {}).items():
            lines = [json.loads(line) for line in chunk["content"]] if name.endswith((".json", ".jsonl")) else []
            if name == "wandb-history.jsonl":
                run.history += lines
            elif name == "wandb-summary.json" and lines:
                run.summary = lines[-1]
        if body.get("complete"):
            run.exit_code = body["exitcode"]
        return {"exitcode": None, "limits": {}}

    # Operations, by name.

    def _on_Viewer(self, variables: dict[str, Any]) -> Any:
        teams = {"edges": [{"node": {"name": ENTITY}}]}
        return {
            "viewer": {
                "id": "viewer", "entity": ENTITY, "username": ENTITY, "email": "", "name": ENTITY, "admin": False,
                "flags": "{}", "teams": teams, "apiKeys": {"edges": []}, "deletedAt": None,
            }
        }  # fmt: skip

    _on_GetViewer = _on_GetDefaultEntity = _on_Viewer

    def _on_ServerFeaturesQuery(self, variables: dict[str, Any]) -> Any:
        return {"serverInfo": {"features": []}}

    def _on_OrganizationCoreWeaveOrganizationID(self, variables: dict[str, Any]) -> Any:
        return {"entity": {"organization": {"coreWeaveOrganizationId": None}}}

    def _on_UpsertSweep(self, variables: dict[str, Any]) -> Any:
        self.sweep_config = yaml.safe_load(variables["config"])
        self.project = variables["projectName"]
        project = {"id": "project", "name": self.project, "entity": {"id": ENTITY, "name": ENTITY}}
        return {"upsertSweep": {"sweep": {"name": SWEEP, "project": project}, "configValidationWarnings": []}}

    def _on_SweepWithRuns(self, variables: dict[str, Any]) -> Any:
        sweep = {
            "id": "sweep", "name": SWEEP, "method": self.sweep_config["method"], "state": "RUNNING",
            "config": yaml.safe_dump(self.sweep_config), "controller": None, "scheduler": None, "description": None,
            "runs": {"edges": []},
        }  # fmt: skip
        return {"project": {"sweep": sweep}}

    def _on_CreateAgent(self, variables: dict[str, Any]) -> Any:
        return {"createAgent": {"agent": {"id": "agent"}}}

    def _on_Heartbeat(self, variables: dict[str, Any]) -> Any:
        commands: list[dict[str, Any]] = []
        running = [name for name, runs in json.loads(variables["runState"]).items() if runs]
        for name in running:
            if name in self.runs and self.stop_when(self.runs[name]):
                commands.append({"type": "stop", "run_id": name})
        if not running and len(self.started) == len(self.plan):
            commands.append({"type": "exit"})
        elif not running:
            parameters = self.plan[len(self.started)]
            name = f"run{len(self.started)}"
            self.started.append(name)
            arguments = {key: {"value": value} for key, value in parameters.items()}
            program = self.sweep_config.get("program")
            commands.append({"type": "run", "run_id": name, "args": arguments, "program": program})
        return {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": json.dumps(commands)}}

    def _on_RunResumeStatus(self, variables: dict[str, Any]) -> Any:
        return {"model": None}

    def _on_UpsertBucket(self, variables: dict[str, Any]) -> Any:
        run = self.runs.setdefault(variables["name"], LoggedRun())
        if variables.get("config"):
            run.config |= {key: each["value"] for key, each in json.loads(variables["config"]).items()}
        run.display_name = variables.get("displayName") or run.display_name
        run.sweep = variables.get("sweep") or run.sweep
        project = {"id": "project", "name": variables["project"], "entity": {"id": ENTITY, "name": ENTITY}}
        bucket = {
            "id": variables["name"], "name": variables["name"], "displayName": run.display_name, "description": None,
            "config": "{}", "sweepName": run.sweep, "project": project, "historyLineCount": len(run.history),
        }  # fmt: skip
        return {"upsertBucket": {"bucket": bucket, "inserted": True}}

    def _on_RunStoppedStatus(self, variables: dict[str, Any]) -> Any:
        return {"project": {"run": {"stopped": False}}}

    def _on_CreateRunFiles(self, variables: dict[str, Any]) -> Any:
        files = [
            {"name": name, "uploadUrl": f"{self.url}/upload/{variables['run']}/{name}"} for name in variables["files"]
        ]
        return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}

    def _on_ArtifactType(self, variables: dict[str, Any]) -> Any:
        return {"project": {"artifactType": {"name": variables["artifactTypeName"]}}}

    def _on_CreateArtifact(self, variables: dict[str, Any]) -> Any:
        sequence = {"id": "sequence", "latestArtifact": None}
        artifact = {"id": "artifact", "state": "COMMITTED", "artifactSequence": sequence}
        return {"createArtifact": {"artifact": artifact}}

    def _on_MarkRunFilesUploaded(self, variables: dict[str, Any]) -> Any:
        return {"markRunFilesUploaded": {"success": True}}
