"""Validates /openapi.json with two tools, generates clients from it, compiles them strictly, and sends each on a tour.

    python3 api-server/tests/clients/run.py target/debug/huizhen
    python3 api-server/tests/clients/run.py --install

Python's tools and npm's are installed once, at the versions that `python/requirements.txt` and
`typescript/package-lock.json` name, into `target/clients`. `./test` runs it.
"""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import venv

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from served import served  # noqa: E402

TARGET = HERE.parents[2] / "target" / "clients"
# The longest that one step may take: an install over a slow line, seconds.
STEP_S = 600


def step(command, **options):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=STEP_S, **options
    )
    if done.returncode:
        raise SystemExit(f"FAILED: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def is_installed(folder, pinned):
    """Whether these very versions were installed there; the mark is written last."""
    mark = folder / "installed"
    return mark.exists() and mark.read_text() == pinned.read_text()


class Python:
    """openapi-spec-validator, openapi-python-client and mypy, in an environment of their own."""

    def __init__(self):
        self.folder = TARGET / "python"
        self.bin = self.folder / "venv" / "bin"

    def install(self):
        pinned = HERE / "python" / "requirements.txt"
        if is_installed(self.folder, pinned):
            return
        print("installing the tools of the Python client\n", end="", flush=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        venv.create(self.folder / "venv", with_pip=True)
        step([self.bin / "pip", "install", "-q", "-r", pinned])
        (self.folder / "installed").write_text(pinned.read_text())

    def validate(self, document):
        step([self.bin / "openapi-spec-validator", document])

    def compile(self, document):
        shutil.rmtree(self.folder / "tour", ignore_errors=True)
        (self.folder / "tour").mkdir()
        package = self.folder / "tour" / "huizhen_client"
        step(
            [
                self.bin / "openapi-python-client",
                "generate",
                "--path",
                document,
                "--meta",
                "none",
                "--output-path",
                package,
                "--config",
                HERE / "python" / "generator.yml",
                "--fail-on-warning",
            ]
        )
        shutil.copy(HERE / "python" / "tour.py", self.folder / "tour")
        cache = self.folder / "mypy"
        step(
            [self.bin / "mypy", "--strict", "--cache-dir", cache, "huizhen_client", "tour.py"],
            cwd=self.folder / "tour",
        )

    def tour(self, environment):
        return step([self.bin / "python", "tour.py"], cwd=self.folder / "tour", env=environment)


class TypeScript:
    """Redocly's rules, openapi-typescript, openapi-fetch and tsc."""

    def __init__(self):
        self.folder = TARGET / "typescript"

    def install(self):
        pinned = HERE / "typescript" / "package-lock.json"
        if not is_installed(self.folder, pinned):
            print("installing the tools of the TypeScript client\n", end="", flush=True)
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / "typescript" / name, self.folder)
            step(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=self.folder)
            (self.folder / "installed").write_text(pinned.read_text())
        for name in ("tsconfig.json", "lint.mjs", "tour.ts"):
            shutil.copy(HERE / "typescript" / name, self.folder)

    def validate(self, document):
        step(["node", "lint.mjs", document], cwd=self.folder)

    def compile(self, document):
        tools = self.folder / "node_modules"
        step(
            ["node", tools / "openapi-typescript" / "bin" / "cli.js", document, "-o", "api.d.ts"],
            cwd=self.folder,
        )
        step(["node", tools / "typescript" / "bin" / "tsc", "-p", "."], cwd=self.folder)

    def tour(self, environment):
        return step(["node", "out/tour.js"], cwd=self.folder, env=environment)


def install():
    TARGET.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for _ in pool.map(lambda language: language.install(), [Python(), TypeScript()]):
            pass


def main():
    if sys.argv[1] == "--install":
        return install()
    program = pathlib.Path(sys.argv[1]).resolve()
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="huizhen-") as folder:
        folder = pathlib.Path(folder)
        with served(program, folder, "--payment-providers=mockpay") as server:
            document = folder / "openapi.json"
            with urllib.request.urlopen(server.url + "/openapi.json", timeout=60) as answer:
                document.write_bytes(answer.read())
            environment = os.environ | {"HUIZHEN_URL": server.url, "HUIZHEN_PHONES": server.phones}

            def all_of(language):
                language.install()
                language.validate(document)
                language.compile(document)
                return language.tour(environment)

            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                for told in pool.map(all_of, [Python(), TypeScript()]):
                    print(told, end="")
            if server.process.poll() is not None:
                raise SystemExit("the server has ended:\n" + server.log())


if __name__ == "__main__":
    main()
