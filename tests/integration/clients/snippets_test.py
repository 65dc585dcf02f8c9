"""The snippets of README.md are the files of tests/examples/, and each pushes what it says."""
import os
import pathlib
import re
import shutil
import subprocess
import unittest

import harness as h

SNIPPETS = {"sh": "push.sh", "python": "push.py", "js": "push.cjs", "cpp": "push.cc"}


class SnippetsTest(h.ServerTestCase):
    def run_snippet(self, command, **env):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=h.ROOT, env={
            **os.environ, "PULSEBOARD_SERVER": self.server.address, "PULSEBOARD_PASSWORD": self.server.admin_password, **env})
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        samples = self.admin.call("QueryLatest", selector='demo.temperature{room="kitchen"}').samples
        self.assertEqual([s.value for s in samples], [21.5])

    def test_readme_shows_the_tested_files(self):
        blocks = re.findall(r"```(\w+)\n(.*?)```", (h.ROOT / "README.md").read_text(), re.S)
        for language, name in SNIPPETS.items():
            with self.subTest(name):
                text = (h.ROOT / "tests" / "examples" / name).read_text()
                self.assertIn(text, [body for kind, body in blocks if kind == language])

    def test_python_pushes(self):
        self.run_snippet(["/usr/bin/python3", "tests/examples/push.py"], PYTHONPATH=h.STUBS)

    def test_node_pushes(self):
        modules = pathlib.Path(h.BUF).parent.parent
        self.run_snippet(["node", "tests/examples/push.cjs"], NODE_PATH=str(modules))

    def test_cpp_pushes(self):
        self.run_snippet([os.environ["PUSH_EXAMPLE"]])

    def test_shell_pushes(self):
        """With grpcurl where it is installed (Debian has none), else with its twin: the same calls through buf curl."""
        tools = pathlib.Path(self.server.directory) / "bin"
        if not shutil.which("grpcurl"):
            tools.mkdir()
            twin = tools / "grpcurl"
            twin.write_text(GRPCURL_BY_BUF.format(buf=h.BUF))
            twin.chmod(0o755)
        self.run_snippet(["sh", "tests/examples/push.sh"], PATH=f"{tools}:{os.environ['PATH']}")


# grpcurl's flags of the snippet, answered by buf curl: -plaintext, -H, -d, then the server and the method.
GRPCURL_BY_BUF = """#!/bin/bash
while [ $# -gt 0 ]; do
  case "$1" in
    -plaintext) ;;
    -H | -d) flags+=("$1" "$2"); shift ;;
    *) words+=("$1") ;;
  esac
  shift
done
{buf} curl --protocol grpc --http2-prior-knowledge "${{flags[@]}}" "http://${{words[0]}}/${{words[1]}}" |
  sed 's/":"/": "/g; s/,"/,\\n"/g; s/{{"/{{\\n"/g'
"""

if __name__ == "__main__":
    unittest.main()
