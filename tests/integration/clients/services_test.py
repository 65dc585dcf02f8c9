"""A Python client generated from the protos uses every service, over plaintext loopback and over TLS."""
import hashlib
import io
import queue
import re
import ssl
import unittest
import zipfile

import grpc
import harness as h


class Services:
    """The tests; run once per transport by the classes below."""

    def test_login_refresh_and_logout(self):
        client = h.Client(self.server)
        self.addCleanup(client.close)
        self.assertEqual(client.user.role, h.user_pb2.ROLE_ADMIN)
        self.assertEqual(client.call("WhoAmI").user.user_name, "admin")
        renewed = client.call("RefreshSession", refresh_token=client.session.tokens.refresh_token)
        client.metadata = h.bearer(renewed.tokens.access_token)
        self.assertEqual(client.call("WhoAmI").user.user_id, client.user.user_id)
        client.call("Logout")
        self.assertEqual(client.failure("WhoAmI").reason, "TOKEN_INVALID")

    def test_refresh_token_used_twice_ends_the_session(self):
        client = h.Client(self.server)
        self.addCleanup(client.close)
        spent = client.session.tokens.refresh_token
        renewed = client.call("RefreshSession", refresh_token=spent)
        self.assertEqual(client.failure("RefreshSession", refresh_token=spent).reason, "TOKEN_INVALID")
        self.assertEqual(client.failure("WhoAmI", metadata=h.bearer(renewed.tokens.access_token)).reason, "TOKEN_INVALID")

    def test_cardinality_names_the_largest_metrics_and_labels(self):
        self.admin.call("Push", samples=[h.sample(f"count.m{i % 3}", pod=f"p{i}", zone="z") for i in range(10)])
        answer = self.admin.call("GetCardinality", selector='{zone="z",__name__=~"count.*"}', limit=2)
        self.assertEqual((answer.total.series_count, answer.total.created_last_hour_count), (10, 10))
        self.assertEqual([(m.name, m.counts.series_count) for m in answer.metrics], [("count.m0", 4), ("count.m1", 3)])
        self.assertEqual([(n.name, n.value_count) for n in answer.labels][0], ("pod", 10))
        first = answer.label_values[0]
        self.assertEqual((first.label, first.value, first.counts.created_last_day_count), ("zone", "z", 10))

    def test_push_is_acknowledged_durable_and_read_back(self):
        pushed = [h.sample("push.row", value, seconds_ago=10 - value, host="a") for value in (1.0, 2.5, -0.0)]
        response = self.admin.call("Push", samples=pushed)
        self.assertEqual((response.accepted_count, len(response.refusals)), (3, 0))
        self.assertEqual(response.ack_mode, h.ingest_pb2.ACK_MODE_FSYNCED)
        self.assertGreater(response.commit_sequence, 0)
        expected = sorted((s.time.ToNanoseconds(), s.value) for s in pushed)
        self.assertEqual(h.read_range(self.admin, 'push.row{host="a"}'), {"push.row": expected})

    def test_one_bad_sample_does_not_cost_the_batch(self):
        response = self.admin.call("Push", samples=[h.sample("good.one"), h.sample("bad one"), h.sample("good.two")])
        self.assertEqual(response.accepted_count, 2)
        self.assertEqual([(r.sample_index, r.reason) for r in response.refusals],
                         [(1, h.ingest_pb2.REFUSAL_REASON_BAD_METRIC)])

    def test_retried_batch_is_applied_once(self):
        request = h.ingest_pb2.PushRequest(samples=[h.sample("retry.value")], producer_id="retrier", sequence=7)
        self.assertFalse(self.admin.call("Push", request).duplicate)
        self.assertTrue(self.admin.call("Push", request).duplicate)
        self.assertEqual(len(h.read_range(self.admin, "retry.value")["retry.value"]), 1)

    def test_push_stream_acknowledges_each_batch(self):
        values = [[float(i) for i in range(1000)], [0.5] * 10]
        base = h.now_nanos() - 120 * 10**9
        batches = [h.batch(1, values[0], "stream.a", "streamer", 1, base),
                   h.batch(2, values[1], "stream.b", "streamer", 2, base)]
        answers = self.admin.call("PushStream", batches)
        self.assertEqual(answers[0].acked_sequence, 0)
        self.assertGreater(answers[0].max_unacked_batches, 0)
        self.assertEqual(answers[-1].acked_sequence, 2)
        self.assertEqual(sum(r.count for a in answers for r in a.refusal_counts), 0)
        found = h.read_range(self.admin, '{__name__=~"stream.[ab]"}')
        self.assertEqual([v for _, v in found["stream.a"]], values[0])
        self.assertEqual([v for _, v in found["stream.b"]], values[1])
        again = self.admin.call("PushStream", [batches[0]])
        self.assertEqual(again[0].acked_sequence, 2)  # where the producer stands
        self.assertEqual(sum(a.duplicate_batch_count for a in again), 1)

    def test_lists_are_paged_and_filtered(self):
        self.admin.call("Push", samples=[h.sample(f"list.m{i}", host=f"h{j}") for i in range(5) for j in range(3)])
        metrics, token = [], ""
        while True:
            page = self.admin.call("ListMetrics", selector='{__name__=~"list[.]m.*"}', page_size=2, page_token=token)
            self.assertLessEqual(len(page.metrics), 2)
            metrics += [(m.name, m.series_count) for m in page.metrics]
            token = page.next_page_token
            if not token:
                break
        self.assertEqual(metrics, [(f"list.m{i}", 3) for i in range(5)])
        series = self.admin.call("ListSeries", selector='list.m1{host!="h0"}').series
        self.assertEqual([{la.name: la.value for la in s.labels} for s in series], [{"host": "h1"}, {"host": "h2"}])
        values = self.admin.call("ListLabelValues", label="host", selector="list.m2").values
        self.assertEqual([(v.value, v.series_count) for v in values], [("h0", 1), ("h1", 1), ("h2", 1)])

    def test_latest_is_the_newest_sample(self):
        self.admin.call("Push", samples=[h.sample("latest.value", 1, 5), h.sample("latest.value", 2, 1),
                                         h.sample("latest.value", 3, 9)])
        samples = self.admin.call("QueryLatest", selector="latest.value").samples
        self.assertEqual([s.value for s in samples], [2])

    def test_max_points_keeps_the_peak(self):
        values = [0.0] * 20000
        values[12345] = 99.0
        self.admin.call("PushStream", [h.batch(1, values, "peak.value", "peaks")])
        reduced = h.read_range(self.admin, "peak.value", seconds=120, max_points=50)["peak.value"]
        self.assertLessEqual(len(reduced), 4 * 50)
        self.assertEqual(max(v for _, v in reduced), 99.0)

    def test_workbook_has_what_was_asked(self):
        pushed = [h.sample("book.value", value, seconds_ago=9 - i, host="a & b")
                  for i, value in enumerate((3.0, float("inf"), 1.5))]
        self.admin.call("Push", samples=pushed)
        request = h.transfer_pb2.ExportRequest(format=h.transfer_pb2.TEXT_FORMAT_XLSX, time_zone="Asia/Tokyo")
        for _ in range(2):
            query = request.queries.add(title="last: values").range
            query.selector = "book.value"
            query.start_time.FromNanoseconds(h.now_nanos() - 60 * 10**9)
        messages = list(self.admin.start("Export", request))
        self.assertEqual(messages[-1].summary.sample_count, 6)
        book = zipfile.ZipFile(io.BytesIO(b"".join(m.data for m in messages)))
        self.assertIsNone(book.testzip())
        names = re.findall(r'<sheet name="([^"]*)"', book.read("xl/workbook.xml").decode())
        self.assertEqual(names, ["About", "last_ values", "last_ values 2"])
        sheet = book.read("xl/worksheets/sheet2.xml").decode()
        rows = re.findall(r"<row r=\"(\d+)\".*?>(.*?)</row>", sheet, re.S)
        self.assertEqual([row for row, _ in rows], ["1", "2", "3", "4"])
        self.assertIn('book.value{host="a &amp; b"}', rows[1][1].replace("&quot;", '"'))
        self.assertIn("<v>3</v>", rows[1][1])
        self.assertIn("+Inf", rows[2][1])
        # Days since 1899-12-30, on Tokyo's clocks.
        serial = float(re.search(r"<v>([\d.]+)</v>", rows[3][1]).group(1))
        self.assertAlmostEqual((serial - 25569) * 86400, pushed[2].time.ToNanoseconds() / 1e9 + 9 * 3600, places=2)

    def test_subscriber_sees_backfill_then_pushes_then_resumes_without_hole_or_double(self):
        self.admin.call("Push", samples=[h.sample("live.value", 1, 30)])
        request = h.live_pb2.SubscribeRequest(queries=[h.live_pb2.LiveQuery(selector="live.value")])
        request.queries[0].backfill.FromSeconds(600)
        call = self.admin.start("Subscribe", request)
        seen, token = read_until(call, 1, done=True)
        self.admin.call("Push", samples=[h.sample("live.value", 2)])
        more, token = read_until(call, 1, token)
        seen += more
        call.cancel()
        # While nobody looks, two more; the token brings exactly these.
        self.admin.call("Push", samples=[h.sample("live.value", 3)])
        self.admin.call("Push", samples=[h.sample("live.value", 4)])
        request.resume_token = token
        call = self.admin.start("Subscribe", request)
        more, token = read_until(call, 2)
        self.admin.call("Push", samples=[h.sample("live.value", 5)])
        last, token = read_until(call, 1)
        call.cancel()
        self.assertEqual(seen + more + last, [1, 2, 3, 4, 5])
        self.assertTrue(token)

    def test_panels_of_an_attached_stream_change_without_a_reconnect(self):
        live = h.live_pb2
        self.admin.call("Push", samples=[h.sample("panel.a", 1), h.sample("panel.b", 2, 30)])
        messages = queue.Queue()
        messages.put(live.AttachRequest(subscribe=live.SubscribeRequest(
            queries=[live.LiveQuery(query_id="a", selector="panel.a")])))
        call = self.admin.start("Attach", iter(messages.get, None))
        read_until(call, 0, done=True)
        added = live.LiveQuery(query_id="b", selector="panel.b")
        added.backfill.FromSeconds(600)
        messages.put(live.AttachRequest(update=live.UpdateQueries(update_id=7, set_queries=[added])))
        answer = next(m for m in call if m.HasField("updated")).updated
        self.assertEqual((answer.update_id, answer.HasField("status")), (7, False))
        self.assertEqual(read_until(call, 1, done=True)[0], [2])
        self.admin.call("Push", samples=[h.sample("panel.a", 3)])
        self.assertEqual(read_until(call, 1)[0], [3])
        messages.put(live.AttachRequest(update=live.UpdateQueries(update_id=8, remove_query_ids=["none"])))
        answer = next(m for m in call if m.HasField("updated")).updated
        self.assertEqual(answer.status.code, h.grpc.StatusCode.INVALID_ARGUMENT.value[0])
        call.cancel()
        messages.put(None)

    def test_frames_tell_where_the_time_went(self):
        request = h.live_pb2.SubscribeRequest(queries=[h.live_pb2.LiveQuery(selector="times.value")])
        call = self.admin.start("Subscribe", request)
        read_until(call, 0, done=True)
        self.admin.call("Push", samples=[h.sample("times.value")])
        frame = next(m for m in call if m.HasField("samples"))
        call.cancel()
        times = frame.times
        self.assertGreater(times.received_unix_nanos, 0)
        self.assertLessEqual(times.received_unix_nanos, times.committed_unix_nanos)
        self.assertLessEqual(times.committed_unix_nanos, times.sent_unix_nanos)

    def test_accounts_are_administered(self):
        viewer = self.make_user(f"vera{int(self.TLS)}", h.user_pb2.ROLE_VIEWER)
        user_id = viewer.user.user_id
        names = [u.user_name for u in self.admin.call("ListUsers", search="VERA").users]
        self.assertEqual(names, [viewer.user.user_name])
        changed = self.admin.call("UpdateProfile", user_id=user_id, display_name="Vera", email="vera@example.org").user
        self.assertEqual((changed.display_name, changed.email), ("Vera", "vera@example.org"))
        # The session goes on under the new role.
        self.assertEqual(viewer.failure("Push", samples=[h.sample()]).reason, "ROLE_TOO_LOW")
        self.admin.call("SetRole", user_id=user_id, role=h.user_pb2.ROLE_EDITOR)
        self.assertEqual(viewer.call("Push", samples=[h.sample()]).accepted_count, 1)
        viewer.call("ChangePassword", user_id=user_id, current_password="correct horse battery", new_password="another long one")
        by_mail = h.Client(self.server, "VERA@example.org", "another long one")
        self.addCleanup(by_mail.close)
        self.admin.call("SetActive", user_id=user_id, active=False)
        self.assertEqual(by_mail.failure("WhoAmI").reason, "TOKEN_INVALID")
        failed = self.admin.failure("Login", login="vera@example.org", password="another long one", metadata=[])
        self.assertEqual((failed.code, failed.reason), ("UNAUTHENTICATED", "BAD_CREDENTIALS"))

    def test_preferences_guard_against_lost_updates(self):
        user = self.make_user(f"paul{int(self.TLS)}", h.user_pb2.ROLE_VIEWER)
        request = h.user_pb2.UpdatePreferencesRequest()
        request.preferences.update({"theme": "dark", "panels": [1, {"deep": None}], "on": True})
        self.assertEqual(user.call("GetPreferences").revision, 0)
        self.assertEqual(user.call("UpdatePreferences", request).revision, 1)
        self.assertEqual(user.call("GetPreferences").preferences, request.preferences)
        failed = user.failure("UpdatePreferences", request)
        self.assertEqual((failed.code, failed.reason), ("ABORTED", "REVISION_MISMATCH"))

    def test_health_is_told_for_the_server_and_each_service(self):
        stub = h.health_pb2_grpc.HealthStub(self.admin.channel)
        for service in ("", *(d.full_name for d in h.SERVICES.values())):
            answer = stub.Check(h.health_pb2.HealthCheckRequest(service=service), timeout=h.DEADLINE_S)
            self.assertEqual(answer.status, h.health_pb2.HealthCheckResponse.SERVING, service)
        first = next(stub.Watch(h.health_pb2.HealthCheckRequest(), timeout=h.DEADLINE_S))
        self.assertEqual(first.status, h.health_pb2.HealthCheckResponse.SERVING)
        with self.assertRaises(grpc.RpcError) as caught:
            stub.Check(h.health_pb2.HealthCheckRequest(service="no.such.Service"), timeout=h.DEADLINE_S)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_reflection_describes_every_service_under_both_names(self):
        for pb, stubs in ((h.reflection_v1, h.reflection_v1_grpc), (h.reflection_v1alpha, h.reflection_v1alpha_grpc)):
            with self.subTest(pb.DESCRIPTOR.package):
                stub = stubs.ServerReflectionStub(self.admin.channel)
                ask = pb.ServerReflectionRequest
                wanted = [d.full_name for d in h.SERVICES.values()] + [
                    "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
                requests = [ask(list_services="*")] + [ask(file_containing_symbol=name) for name in wanted]
                answers = list(stub.ServerReflectionInfo(iter(requests), timeout=h.DEADLINE_S))
                listed = {s.name for s in answers[0].list_services_response.service}
                self.assertLessEqual(set(wanted), listed)
                for name, answer in zip(wanted, answers[1:]):
                    files = [h.descriptor_pb2.FileDescriptorProto.FromString(f)
                             for f in answer.file_descriptor_response.file_descriptor_proto]
                    described = {f"{f.package}.{s.name}" for f in files for s in f.service}
                    self.assertIn(name, described)


def read_until(call, sample_count, token=b"", done=False):
    """Reads a subscription until `sample_count` samples (and, with `done`, BackfillDone) came: their values, last token."""
    values = []
    while len(values) < sample_count or done:
        message = next(call)
        assert not message.HasField("gap"), message
        for frame in (message.backfill, message.samples):
            for columns in frame.columns:
                values += list(columns.values)
        done = done and not message.HasField("backfill_done")
        token = message.resume_token or token
    return values, token


class PlaintextTest(Services, h.ServerTestCase):
    def test_unknown_method_is_unimplemented(self):
        call = self.admin.channel.unary_unary("/pulseboard.v1.QueryService/DropEverything")
        with self.assertRaises(grpc.RpcError) as caught:
            call(b"", timeout=h.DEADLINE_S)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)


class TlsTest(Services, h.ServerTestCase):
    TLS = True

    def test_printed_fingerprint_is_that_of_the_certificate(self):
        der = ssl.PEM_cert_to_DER_cert(self.server.root_certificate)
        digest = hashlib.sha256(der).hexdigest()
        self.assertEqual(self.server.fingerprint.replace(":", "").lower(), digest)

    def test_certificate_is_not_trusted_without_being_given(self):
        channel = grpc.secure_channel(self.server.address, grpc.ssl_channel_credentials())
        self.addCleanup(channel.close)
        with self.assertRaises(grpc.RpcError) as caught:
            h.health_pb2_grpc.HealthStub(channel).Check(h.health_pb2.HealthCheckRequest(), timeout=5)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)

    def test_plaintext_is_refused(self):
        channel = grpc.insecure_channel(self.server.address)
        self.addCleanup(channel.close)
        with self.assertRaises(grpc.RpcError):
            h.health_pb2_grpc.HealthStub(channel).Check(h.health_pb2.HealthCheckRequest(), timeout=5)


if __name__ == "__main__":
    unittest.main()
