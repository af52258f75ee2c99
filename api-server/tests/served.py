"""A running `huizhen serve` for tests from outside, with phones that get its SMS codes."""

import contextlib
import http.server
import json
import subprocess
import threading
import time

# How long the server may take to start and to end, seconds.
START_S = 120
END_S = 120


class Codes(http.server.BaseHTTPRequestHandler):
    """The phones: keeps the last code that each got, and answers `GET /<phone>` with it."""

    sent: dict[str, str] = {}

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.sent[message["phone"]] = message["code"]
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        code = self.sent.get(self.path[1:], "").encode()
        self.send_response(200 if code else 404)
        self.send_header("Content-Length", str(len(code)))
        self.end_headers()
        self.wfile.write(code)

    def log_message(self, *_):
        pass


class Served:
    """Where the server listens, its process and its log."""

    def __init__(self, url, phones, process, log):
        self.url = url
        self.phones = phones
        self.process = process
        self._log = log

    def log(self):
        return self._log.read_text()


@contextlib.contextmanager
def served(program, folder, *further):
    """Serves until the block ends, with rates that no test meets, and further arguments."""
    phones = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Codes)
    threading.Thread(target=phones.serve_forever, daemon=True).start()
    phones_url = f"http://127.0.0.1:{phones.server_address[1]}/"
    any_port = [f"--{name}-addr=127.0.0.1:0" for name in ("im", "ws", "rest", "admin")]
    ports, log = folder / "ports.json", folder / "log"
    process = subprocess.Popen(
        [
            program,
            "serve",
            "--data",
            folder / "data",
            *any_port,
            "--ports-file",
            ports,
            "--sms-provider=webhook",
            "--doctor-verification=none",
            f"--sms-webhook-url={phones_url}",
            "--requests-per-s-user=1000000",
            "--requests-per-s-address=1000000",
            "--sms-per-hour-address=1000000",
            "--wrong-logins-address=1000000",
            *further,
        ],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=log.open("w"),
    )
    try:
        end = time.monotonic() + START_S
        while not ports.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit("the server did not start:\n" + log.read_text())
            time.sleep(0.05)
        url = "http://" + json.loads(ports.read_text())["rest"]
        yield Served(url, phones_url, process, log)
    finally:
        process.terminate()
        process.wait(END_S)
        phones.shutdown()


