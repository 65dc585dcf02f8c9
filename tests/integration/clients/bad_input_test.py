"""Bad input for every RPC: each row is a request and the documented answer. Afterwards the server is the same process
and still holds what was pushed before.

Bytes that are no message of the expected type, and text that is not UTF-8, are INVALID_ARGUMENT/BAD_FIELD as well. One answer
is gRPC's own, given before we see anything: a message above the size limit is RESOURCE_EXHAUSTED without ErrorInfo.
"""
import shutil
import struct
import tempfile
import unittest

import bad_requests
import harness as h


class BadInputTest(h.ServerTestCase):
    SETTINGS = ("identity.free_login_failures=1000",)  # wrong passwords are rows here, not attacks

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pid = cls.server.process.pid
        cls.kept = [h.sample("kept.value", float(i), 100 - i) for i in range(50)]
        cls.admin.call("Push", samples=cls.kept)
        cls.user_id = cls.admin.user.user_id

    def tearDown(self):
        self.assertTrue(self.server.alive(), self.server.log())
        self.assertEqual(self.server.process.pid, self.pid)
        expected = sorted((s.time.ToNanoseconds(), s.value) for s in self.kept)
        self.assertEqual(h.read_range(self.admin, "kept.value")["kept.value"], expected)

    def check(self, row):
        failed = self.admin.failure(row.method, row.request, row.metadata)
        if row.code == "OK":
            self.assertIsNone(failed, str(failed))
            return
        self.assertIsNotNone(failed, "was accepted")
        self.assertEqual((failed.code, failed.reason), (row.code, row.reason), str(failed))
        if row.field:
            self.assertIn(row.field, failed.fields, str(failed))
        if failed.reason:
            self.assertEqual(failed.domain, "pulseboard")
        if failed.reason == "BAD_FIELD":
            self.assertTrue(failed.fields, "BAD_FIELD names no field")
            self.assertTrue(failed.message)

    def check_all(self, rows):
        self.assertTrue(rows)
        for row in rows:
            with self.subTest(method=row.method, case=row.case):
                self.check(row)

    def test_auth(self):
        self.check_all(bad_requests.auth_rows())

    def test_users(self):
        self.check_all(bad_requests.user_rows(self.user_id))

    def test_preferences(self):
        self.check_all(bad_requests.preference_rows())

    def test_push(self):
        self.check_all(bad_requests.push_rows())

    def test_push_stream(self):
        self.check_all(bad_requests.push_stream_rows())

    def test_transfers(self):
        self.check_all(bad_requests.transfer_rows())

    def test_selectors(self):
        self.check_all(bad_requests.selector_rows())
        self.check_all(bad_requests.cardinality_rows())

    def test_events(self):
        self.check_all(bad_requests.event_rows())

    def test_alerts(self):
        self.check_all(bad_requests.alert_rows())

    def test_storage(self):
        self.check_all(bad_requests.storage_rows())

    def test_pages(self):
        for i in range(3):
            self.admin.call("Push", samples=[h.sample(f"page.m{i}", host=f"h{i}")])
            self.admin.call("CreateUser", user_name=f"page{i}", password="correct horse battery", role=h.user_pb2.ROLE_VIEWER)
        tokens = {m: self.admin.call(m, page_size=1, **extra).next_page_token
                  for m, extra in bad_requests.PAGED.items()}
        self.assertTrue(all(tokens.values()), tokens)
        self.check_all(bad_requests.page_rows(tokens))

    def test_ranges(self):
        self.check_all(bad_requests.range_rows())

    def test_columns_of_time(self):
        self.check_all(bad_requests.column_rows())

    def test_expressions(self):
        self.check_all(bad_requests.expression_rows())

    def test_subscriptions(self):
        self.check_all(bad_requests.subscribe_rows(self.resume_token("kept.value")))

    def resume_token(self, selector):
        call = self.admin.start("Subscribe", h.live_pb2.SubscribeRequest(queries=[h.live_pb2.LiveQuery(selector=selector)]))
        token = next(m.resume_token for m in call if m.resume_token)
        call.cancel()
        return token

    def test_every_rpc_meets_bad_tokens_noise_and_size(self):
        spent = h.Client(self.server)
        self.addCleanup(spent.close)
        spent.call("Logout")
        rows = bad_requests.rows_for_every_rpc(self.admin.session.tokens, spent.session.tokens)
        self.assertEqual({row.method for row in rows}, set(h.METHODS))
        self.check_all(rows)

    def test_refused_samples_are_reported_by_index(self):
        for case, bad, reason in bad_requests.refused_samples():
            with self.subTest(case=case):
                answer = self.admin.call("Push", samples=[h.sample("good.value"), bad, h.sample("good.value", 2, 1)])
                self.assertEqual(answer.accepted_count, 2)
                self.assertEqual([(r.sample_index, h.ingest_pb2.RefusalReason.Name(r.reason)) for r in answer.refusals],
                                 [(1, f"REFUSAL_REASON_{reason}")])
                self.assertTrue(answer.refusals[0].message)

    def test_refused_columns_are_reported_by_index(self):
        for sequence, (case, request, reason, count) in enumerate(bad_requests.refused_columns(), 1):
            with self.subTest(case=case):
                request.producer_id, request.sequence = "refused", sequence
                answers = self.admin.call("PushStream", [request])
                self.assertEqual(answers[-1].acked_sequence, sequence)
                counts = {h.ingest_pb2.RefusalReason.Name(c.reason): c.count for a in answers for c in a.refusal_counts}
                self.assertEqual(counts, {f"REFUSAL_REASON_{reason}": count})

    def test_noise_inside_a_stream_is_never_acknowledged(self):
        stream = [h.batch(1, [1.0], "noise.value", "noisy"), b"\xff", h.batch(2, [2.0], "noise.value", "noisy")]
        call, acked = self.admin.start("PushStream", stream), 0
        with self.assertRaises(h.grpc.RpcError) as caught:
            for answer in call:
                acked = answer.acked_sequence
        self.assertEqual(acked, 1)
        failed = h.Failure(caught.exception)
        self.assertEqual((failed.code, failed.reason), ("INVALID_ARGUMENT", "BAD_FIELD"), str(failed))
        self.assertEqual([v for _, v in h.read_range(self.admin, "noise.value")["noise.value"]], [1.0])

    def test_label_names_with_every_byte(self):
        """U+0001 to U+00FF as the middle of a label name: exactly the documented ones are taken."""
        allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/")
        names = [chr(i) for i in range(1, 256)]
        answer = self.admin.call("Push", samples=[h.sample("every.byte", **{f"a{c}b": "x"}) for c in names])
        refused = {r.sample_index: r.reason for r in answer.refusals}
        counts = {c.reason: c.count for c in answer.refusal_counts}
        expected = [i for i, c in enumerate(names) if c not in allowed]
        self.assertEqual(answer.accepted_count, len(allowed))
        self.assertEqual(counts, {h.ingest_pb2.REFUSAL_REASON_BAD_LABELS: len(expected)})
        self.assertEqual(sorted(refused), expected[:100])
        # As raw bytes above 0x7f they are not UTF-8, so no message at all.
        for byte in range(0x80, 0x100):
            entry = b"\x0a\x03a" + bytes([byte]) + b"b\x12\x01x"
            body = b"\x0a\x0aevery.byte" + b"\x12" + bytes([len(entry)]) + entry
            failed = self.admin.failure("Push", b"\x0a" + bytes([len(body)]) + body)
            self.assertIsNotNone(failed, f"byte {byte:#x} was accepted")
            self.assertEqual((failed.code, failed.reason), ("INVALID_ARGUMENT", "BAD_FIELD"), str(failed))

    def test_values_of_every_kind_of_double_come_back_bit_for_bit(self):
        patterns = [0x7FF8000000000001, 0x7FF0000000000000, 0xFFF0000000000000, 0x8000000000000000, 1, 0x7FEFFFFFFFFFFFFF]
        values = [struct.unpack("<d", struct.pack("<Q", p))[0] for p in patterns]
        self.admin.call("Push", samples=[h.sample("odd.doubles", v, 10 - i) for i, v in enumerate(values)])
        read = [struct.unpack("<Q", struct.pack("<d", v))[0] for _, v in h.read_range(self.admin, "odd.doubles")["odd.doubles"]]
        self.assertEqual(read, patterns)


class BackupTest(h.ServerTestCase):
    @classmethod
    def settings(cls):
        cls.backups = tempfile.mkdtemp(prefix="pulseboard-backups-")
        cls.addClassCleanup(shutil.rmtree, cls.backups, True)
        return (f"storage.backup_directory={cls.backups}",)

    def test_backup_names(self):
        self.admin.call("CreateBackup", h.storage_pb2.CreateBackupRequest(name="taken"))
        for row in bad_requests.backup_rows():
            with self.subTest(method=row.method, case=row.case):
                failed = self.admin.failure(row.method, row.request)
                self.assertIsNotNone(failed, "was accepted")
                self.assertEqual((failed.code, failed.reason), (row.code, row.reason), str(failed))
                if row.field:
                    self.assertIn(row.field, failed.fields, str(failed))
        self.assertEqual([b.name for b in self.admin.call("ListBackups").backups], ["taken"])


class ExpiredTokenTest(h.ServerTestCase):
    SETTINGS = ("identity.access_token_life=1s",)

    def test_every_rpc_refuses_an_expired_token(self):
        expired = h.Client(self.server)
        self.addCleanup(expired.close)
        while expired.failure("WhoAmI") is None:  # until the second is over
            pass
        for name in sorted(set(h.METHODS) - bad_requests.WITHOUT_ACCOUNT):
            with self.subTest(method=name):
                request = bad_requests.as_stream(name, h.METHODS[name].request())
                failed = expired.failure(name, request)
                self.assertIsNotNone(failed, "was let in")
                self.assertEqual((failed.code, failed.reason), ("UNAUTHENTICATED", "TOKEN_EXPIRED"), str(failed))

    def test_subscription_ends_when_its_token_does(self):
        viewer = h.Client(self.server)
        self.addCleanup(viewer.close)
        request = h.live_pb2.SubscribeRequest(queries=[h.live_pb2.LiveQuery(selector="some.value")])
        with self.assertRaises(h.grpc.RpcError) as caught:
            list(viewer.start("Subscribe", request))
        failed = h.Failure(caught.exception)
        self.assertEqual((failed.code, failed.reason), ("UNAUTHENTICATED", "TOKEN_EXPIRED"), str(failed))


if __name__ == "__main__":
    unittest.main()
