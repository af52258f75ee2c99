"""Schemathesis against a running `huizhen serve`: requests of all kinds, by each role, for a bounded time.

    target/schemathesis/bin/python api-server/tests/schemathesis/run.py target/debug/huizhen [SECONDS]

Fails when an answer is a 5xx, has a status or a content type that /openapi.json does not name, or does not fit its schema.
`./test` runs it. Accounts are made through REST, with codes that come to a webhook here; the operator is made by
`huizhen operator add`.
"""

import concurrent.futures
import copy
import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from served import Codes, served  # noqa: E402

# Everything that is asked; what a client must not do with a refusal is not judged here.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# Ends the session that the other requests need; the tests of api-server look at it.
LEFT_OUT = ["/account/logout"]
# Ids are drawn up to here instead of up to 2^53, so that many of them are of things that are there.
MAX_ID = 40
# How long a run may take beyond its time, seconds.
GRACE_S = 300


class Rest:
    def __init__(self, url):
        self.url = url
        self.phones = 0

    def post(self, path, body, token=""):
        return self.call("POST", path, json.dumps(body).encode(), token)

    def get(self, path, token):
        return self.call("GET", path, None, token)

    def call(self, method, path, data, token):
        headers = {"Content-Type": "application/json"}
        if token:
            headers["X-AUTH-TOKEN"] = token
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["result"]

    def person(self, role, name):
        self.phones += 1
        phone = f"+8613800{self.phones:06}"
        self.post("/account/code", {"phone": phone})
        body = {"phone": phone, "code": Codes.sent[phone], "name": name, "role": role}
        return self.post("/account/register", body | {"device_id": "phone", "platform": "ios"})


def people(rest, operator_password):
    """The access token of each role, with records of every kind around them."""
    owner = rest.person("doctor", "王医生")
    doctor = rest.person("doctor", "李医生")
    member = rest.person("member", "张三")
    token = owner["access_token"]
    team = rest.post(
        "/team",
        {
            "name": "儿科",
            "introduction": "",
            "agreement": "",
            "membership_fee_fen": 0,
            "consult_price_fen": 0,
            "max_open_consults": 1000,
        },
        token,
    )["team_id"]
    rest.post(f"/team/{team}/doctor", {"doctor_id": doctor["user_id"]}, token)
    invitation = rest.get("/invitation_list", doctor["access_token"])[0]["invitation_id"]
    rest.post(f"/invitation/{invitation}/accept", {}, doctor["access_token"])
    desk = {"device_id": "desk", "platform": "web"}
    assistant = rest.post(f"/team/{team}/assistant/login", desk, token)["access_token"]
    for number in range(6):
        patient = member["access_token"]
        consult = rest.post(
            "/consult",
            {
                "creator_member_id": member["user_id"],
                "target_member_id": member["user_id"],
                "team_id": team,
                "symptom_content": "头痛三天",
                "symptom_type": "text/plain",
            },
            patient,
        )["consultation_id"]
        for who in (owner, doctor):
            rest.post(f"/consult/{consult}/doctor", {"doctor_id": who["user_id"]}, assistant)
        for price in range(3):
            proposal = {"name": "视频复诊", "description": "", "price_fen": price}
            vas = rest.post(f"/consult/{consult}/vas", proposal, token)["vas_id"]
            if price:
                rest.post(f"/vas/{vas}/{'confirm' if price == 1 else 'decline'}", {}, patient)
        if number % 3 == 2:
            rest.post(f"/consult/{consult}/finish", {}, token)
    operator = rest.post("/operator/login", {"name": "张伟", "password": operator_password} | desk)
    # The operator comes last: who is disabled by it is asked no more.
    return {
        "doctor": token,
        "member": member["access_token"],
        "assistant": assistant,
        "operator": operator["access_token"],
    }


def near(document):
    """The document with ids that are likely to be there."""
    document = copy.deepcopy(document)

    def narrow(value):
        if isinstance(value, dict):
            if value.get("maximum") == 2**53 - 1:
                value["maximum"] = MAX_ID
            if value.get("in") == "path" and value.get("schema", {}).get("type") == "integer":
                value["schema"]["maximum"] = MAX_ID
            for inner in value.values():
                narrow(inner)
        elif isinstance(value, list):
            for inner in value:
                narrow(inner)

    # Answers keep their own bounds.
    for item in document["paths"].values():
        for operation in item.values():
            narrow(operation.get("parameters", []))
            narrow(operation.get("requestBody", {}))
    narrow(document["components"]["schemas"].get("Id", {}))
    narrow(document["components"].get("parameters", {}))
    return document


def run(schema, url, token, seconds, folder):
    folder.mkdir()
    # Accounts need a code by SMS, which it could not guess.
    (folder / "schemathesis.toml").write_text("[auth]\nauto-signup = false\n")
    command = [
        str(pathlib.Path(sys.executable).parent / "schemathesis"),
        "run",
        str(schema),
        "--url",
        url,
        "--checks",
        CHECKS,
        "--phases",
        "examples,coverage,fuzzing",
        "--max-time",
        str(seconds),
        "--header",
        f"X-AUTH-TOKEN:{token}",
        "--seed",
        "1",
        "--continue-on-failure",
        "--warnings",
        "off",
    ]
    for path in LEFT_OUT:
        command += ["--exclude-path", path]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds + GRACE_S)
    return done.returncode == 0, done.stdout + done.stderr


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 18
    with tempfile.TemporaryDirectory(prefix="huizhen-") as folder:
        folder = pathlib.Path(folder)
        made = subprocess.run(
            [program, "operator", "add", "张伟", "--data", folder / "data"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        password = next(line.split()[1] for line in made.stdout.splitlines() if line.startswith("password "))
        with served(program, folder) as server:
            url = server.url
            with urllib.request.urlopen(url + "/openapi.json", timeout=60) as answer:
                document = json.load(answer)
            schema = folder / "openapi.json"
            schema.write_text(json.dumps(near(document)))
            wrong = 0
            *others, operator = people(Rest(url), password).items()

            def ask(one):
                role, token = one
                return run(schema, url, token, seconds, folder / role)

            # Together: what it costs to ask keeps one core busy, and not the server.
            with concurrent.futures.ThreadPoolExecutor(len(others)) as pool:
                results = list(pool.map(ask, others))
            results.append(ask(operator))
            for (role, _), (right, output) in zip([*others, operator], results):
                lines = [line for line in output.splitlines() if line.strip()]
                print(f"== schemathesis as {role}: {'passed' if right else 'FAILED'}")
                print("\n".join(lines[-8:] if right else lines))
                wrong += not right
            if server.process.poll() is not None:
                sys.exit("the server has ended:\n" + server.log())
            if wrong:
                print("\n".join(server.log().splitlines()[-40:]))
            sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
