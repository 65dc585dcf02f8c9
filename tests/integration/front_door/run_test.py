"""./dev run without a display: first start, the printed calls, a second run beside it, Ctrl-C, and a start after that."""
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(os.environ["PULSEBOARD_ROOT"])
LIMIT_S = 120  # for one start, on a busy machine


class Run:
    """One `./dev run`, its output read as it comes."""

    def __init__(self, state):
        env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
        self.started = time.monotonic()
        self.process = subprocess.Popen([ROOT / "dev", "run"], env={**env, "XDG_STATE_HOME": state, "HOME": state},
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.timer = threading.Timer(LIMIT_S, self.process.kill)
        self.timer.start()
        self.output = ""

    def read_until(self, text):
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return time.monotonic() - self.started
        raise AssertionError(f"{text!r} never came:\n{self.output}")

    def stop(self, by=signal.SIGINT):
        self.process.send_signal(by)
        self.output += self.process.stdout.read()
        self.timer.cancel()
        code = self.process.wait(60)
        self.process.stdout.close()
        return code

    def clean_up(self):
        """After a test that failed in between: nothing may stay."""
        self.timer.cancel()
        if self.process.poll() is None:
            self.stop(signal.SIGTERM)


def processes_under(state):
    """Command lines of living processes that name the state directory."""
    found = []
    for directory in pathlib.Path("/proc").iterdir():
        if directory.name.isdigit():
            try:
                line = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if state in line:
                found.append(line)
    return found


class RunTest(unittest.TestCase):
    def setUp(self):
        self.state = tempfile.mkdtemp(prefix="pulseboard-run-")
        self.addCleanup(shutil.rmtree, self.state, True)
        self.secrets = pathlib.Path(self.state) / "pulseboard" / "secrets"
        self.picture = ROOT / "pulseboard.png"

    def start(self):
        run = Run(self.state)
        self.addCleanup(run.clean_up)
        return run

    def printed_buf_calls(self, output):
        """The printed buf lines as one shell script; the last, which never ends, for some seconds."""
        lines = [line.strip() for line in output.splitlines() if re.match(r"  (TOKEN=\$\(buf|buf) ", line)]
        self.assertEqual(len(lines), 5)
        lines[-1] = "timeout 5 " + lines[-1]
        tools = ROOT / "build" / "tools" / "node_modules" / ".bin"
        return "\n".join([f"PATH={tools}:$PATH", *(f"{line}; echo @@@" for line in lines)])

    def check_calls(self, output):
        done = subprocess.run(["bash", "-c", self.printed_buf_calls(output)], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "HOME": self.state})
        _, methods, pushed, latest, live, _ = done.stdout.split("@@@")
        self.assertIn("pulseboard.v1.LiveService/Subscribe", methods, done.stderr)
        self.assertEqual(json.loads(pushed)["acceptedCount"], "1")
        self.assertEqual(json.loads(latest)["samples"][0]["value"], 21.5)
        self.assertIn("system.cpu.usage", live)
        self.assertIn('"samples"', live, "no live sample within 5 s")

    def test_first_start_shows_all_and_leaves_nothing_behind(self):
        self.picture.unlink(missing_ok=True)
        run = self.start()
        run.read_until("Running until Ctrl-C")
        password = (self.secrets / "admin-password").read_text().strip()
        self.assertEqual(run.output.count(password), 1)
        for path in self.secrets.iterdir():
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path)
        self.assertIn(str(self.picture), run.output)
        self.assertEqual(self.picture.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
        self.check_calls(run.output)
        self.assertFalse([line for line in processes_under(self.state) if password in line])

        beside = self.start()
        beside.read_until("using it")
        beside.output += beside.process.stdout.read()
        beside.timer.cancel()
        self.assertEqual(beside.process.wait(LIMIT_S), 0, beside.output)
        beside.process.stdout.close()
        self.assertEqual(len([line for line in processes_under(self.state) if " agent " in line]), 1)

        self.assertEqual(run.stop(), 130, run.output)
        self.assertEqual(processes_under(self.state), [])

        again = self.start()
        ready = again.read_until("ready on")
        self.assertLess(ready, 5)
        self.assertNotIn(password, again.output)
        again.read_until("Feeding in")
        self.assertEqual(again.stop(signal.SIGTERM), 143, again.output)
        self.assertEqual(processes_under(self.state), [])


if __name__ == "__main__":
    unittest.main()
