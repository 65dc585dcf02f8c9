"""Alerts through the real server: a rule made by RPC, samples pushed, transitions listed and watched, kill -9 in between."""
import time
import unittest

import harness as h

OK, PENDING, FIRING = h.alert_pb2.ALERT_STATE_OK, h.alert_pb2.ALERT_STATE_PENDING, h.alert_pb2.ALERT_STATE_FIRING


class AlertsTest(h.ServerTestCase):
    def ledger(self, rule, count):
        """The transitions of a rule, oldest first, once there are so many."""
        deadline = time.monotonic() + 60
        while True:
            found = self.admin.call("ListTransitions", filter=h.alert_pb2.TransitionFilter(rule_id=rule.rule_id)).transitions
            if len(found) >= count or time.monotonic() > deadline:
                self.assertEqual(len(found), count)
                return found[::-1]
            time.sleep(0.02)

    def push(self, metric, value):
        self.admin.call("Push", samples=[h.sample(metric, value, host="a")])

    def kill_and_start(self):
        self.server.process.kill()
        self.server.process.wait()
        self.server.process.stdout.close()
        self.server.start()
        self.admin.close()
        type(self).admin = h.Client(self.server)

    def test_a_pushed_sample_fires_and_the_next_resolves(self):
        rule = self.admin.call("CreateRule", rule=h.alert_rule("fires.value")).rule
        self.assertEqual(rule.revision, 1)
        self.push("fires.value", 95)
        self.push("fires.value", 10)
        fired, resolved = self.ledger(rule, 2)
        self.assertEqual((fired.to, fired.severity, fired.value), (FIRING, h.alert_pb2.ALERT_SEVERITY_CRITICAL, 95))
        self.assertEqual((fired.metric, dict(fired.labels)), ("fires.value", {"host": "a"}))
        self.assertEqual(resolved.to, OK)
        call = self.admin.start("WatchTransitions", h.alert_pb2.WatchTransitionsRequest(
            filter=h.alert_pb2.TransitionFilter(rule_id=rule.rule_id), after_sequence=fired.sequence))
        self.assertEqual([t.sequence for t in next(m.transitions for m in call if m.transitions)], [resolved.sequence])
        self.push("fires.value", 96)
        self.assertEqual([t.to for t in next(m.transitions for m in call if m.transitions)], [FIRING])
        call.cancel()
        alerts = self.admin.call("ListAlerts", rule_id=rule.rule_id, states=[FIRING]).alerts
        self.assertEqual([alert.value for alert in alerts], [96])

    def test_a_pending_clock_survives_a_kill(self):
        wanted = h.alert_rule("pending.value", pending_for=h.duration_pb2.Duration(seconds=8))
        rule = self.admin.call("CreateRule", rule=wanted).rule
        self.push("pending.value", 95)
        pending = self.ledger(rule, 1)[0]
        self.assertEqual(pending.to, PENDING)
        while time.time_ns() - pending.time.ToNanoseconds() < 4 * 10**9:  # it waits for some of its time
            time.sleep(0.05)
        self.kill_and_start()
        back = time.time_ns()
        self.push("pending.value", 96)
        fired = self.ledger(rule, 2)[1]
        self.assertEqual(fired.to, FIRING)
        self.assertEqual(fired.sequence, pending.sequence + 1)
        # Of the last second before the kill it may not be known; the time while nobody watched does not count.
        self.assertLess(fired.time.ToNanoseconds() - back, 6.5 * 10**9)
        self.assertGreaterEqual(fired.time.ToNanoseconds() - pending.time.ToNanoseconds(), 8 * 10**9)
        self.push("pending.value", 10)
        self.assertEqual(self.ledger(rule, 3)[2].to, OK)
        self.kill_and_start()
        self.ledger(rule, 3)

    def test_only_one_of_two_editors_changes_a_rule(self):
        rule = self.admin.call("CreateRule", rule=h.alert_rule("edited.value")).rule
        rule.name = "mine"
        self.assertEqual(self.admin.call("UpdateRule", rule=rule).rule.revision, 2)
        failed = self.admin.failure("UpdateRule", rule=rule)
        self.assertEqual((failed.code, failed.reason), ("ABORTED", "REVISION_MISMATCH"))
        self.admin.call("DeleteRule", rule_id=rule.rule_id, revision=2)
        self.assertEqual(self.admin.failure("GetRule", rule_id=rule.rule_id).reason, "RULE_NOT_FOUND")

    def test_a_rule_can_be_tried_before_it_is_kept(self):
        self.push("tried.value", 1)
        self.assertEqual(self.admin.call("ValidateRule", rule=h.alert_rule("tried.value")).series_count, 1)
        self.assertNotIn("tried.value", {r.condition.selector for r in self.admin.call("ListRules").rules})


if __name__ == "__main__":
    unittest.main()
