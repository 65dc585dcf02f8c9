"""Every method against every role: who may call what. A method that is missing in the table fails the test."""
import shutil
import tempfile
import unittest

import harness as h

ADMIN, EDITOR, VIEWER, INGEST = "ADMIN", "EDITOR", "VIEWER", "INGEST"
EVERYONE = {ADMIN, EDITOR, VIEWER, INGEST}
READERS = {ADMIN, EDITOR, VIEWER}
PUSHERS = {ADMIN, EDITOR, INGEST}
WRITERS = {ADMIN, EDITOR}

# Method -> roles that may call it. Methods without account (Login, RefreshSession, RegisterUser) let everyone in.
ALLOWED = {
    "Login": EVERYONE, "RefreshSession": EVERYONE, "Logout": EVERYONE, "WhoAmI": EVERYONE,
    "RegisterUser": EVERYONE, "CreateUser": {ADMIN}, "GetUser": {ADMIN}, "ListUsers": {ADMIN}, "UpdateProfile": {ADMIN},
    "SetRole": {ADMIN}, "SetActive": {ADMIN}, "ChangePassword": {ADMIN}, "GetPreferences": EVERYONE,
    "UpdatePreferences": EVERYONE, "Push": PUSHERS, "PushStream": PUSHERS, "ListMetrics": READERS, "ListSeries": READERS,
    "ListLabelValues": READERS, "GetCardinality": READERS, "QueryLatest": READERS, "QueryRange": READERS,
    "QueryExpression": READERS, "QueryTable": READERS, "QueryHistogram": READERS, "Forecast": READERS,
    "Subscribe": READERS, "Attach": READERS,
    "GetStorageStatus": {ADMIN}, "CreateBackup": {ADMIN}, "ListBackups": {ADMIN}, "PruneBackups": {ADMIN},
    "VerifyBackup": {ADMIN}, "VerifyStore": {ADMIN}, "DeleteSamples": {ADMIN}, "PreviewRetention": {ADMIN},
    "Import": PUSHERS, "Export": READERS,
    "PushEvents": PUSHERS, "ListEvents": READERS, "SubscribeEvents": READERS,
    "CreateRule": WRITERS, "UpdateRule": WRITERS, "DeleteRule": WRITERS, "ValidateRule": READERS, "GetRule": READERS,
    "ListRules": READERS, "ListAlerts": READERS, "ListTransitions": READERS, "WatchTransitions": READERS,
}
WITHOUT_ACCOUNT = {"Login", "RefreshSession", "RegisterUser"}
PASSWORD = "correct horse battery"


class RolesTest(h.ServerTestCase):
    @classmethod
    def settings(cls):
        cls.backups = tempfile.mkdtemp(prefix="pulseboard-backups-")
        cls.addClassCleanup(shutil.rmtree, cls.backups, True)
        return ("identity.self_registration=true", f"storage.backup_directory={cls.backups}/backups")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.clients = {}
        for role in (ADMIN, EDITOR, VIEWER, INGEST):
            cls.admin.call("CreateUser", user_name=f"role-{role.lower()}", password=PASSWORD,
                           role=h.user_pb2.Role.Value(f"ROLE_{role}"))
            cls.clients[role] = h.Client(cls.server, f"role-{role.lower()}", PASSWORD)
        cls.made = 0
        cls.admin.call("CreateBackup", h.storage_pb2.CreateBackupRequest(name="kept"))

    @classmethod
    def tearDownClass(cls):
        for client in cls.clients.values():
            client.close()
        super().tearDownClass()

    def log_in(self, role):
        client = h.Client(self.server, f"role-{role.lower()}", PASSWORD)
        self.addCleanup(client.close)
        return client

    def somebody(self):
        """A fresh account to act upon."""
        type(self).made += 1
        return self.admin.call("CreateUser", user_name=f"somebody{self.made}", password=PASSWORD,
                               role=h.user_pb2.ROLE_VIEWER).user.user_id

    def some_rule(self):
        return self.admin.call("CreateRule", rule=h.alert_rule()).rule

    def request(self, method, role):
        """A request that is right in everything but, perhaps, the role of its sender."""
        selector = "roles.value"
        subscribe = h.live_pb2.SubscribeRequest(queries=[h.live_pb2.LiveQuery(selector=selector)])
        query_range = h.query_pb2.QueryRangeRequest(selector=selector)
        query_range.start_time.FromNanoseconds(h.now_nanos() - 10**9)
        user_name = f"fresh-{method.lower()}-{role.lower()}"
        fields = {
            "Login": lambda: dict(login=f"role-{role.lower()}", password=PASSWORD),
            "RefreshSession": lambda: dict(refresh_token=self.log_in(role).session.tokens.refresh_token),
            "RegisterUser": lambda: dict(user_name=user_name, password=PASSWORD),
            "CreateUser": lambda: dict(user_name=user_name, password=PASSWORD, role=h.user_pb2.ROLE_VIEWER),
            "GetUser": lambda: dict(user_id=self.somebody()),
            "UpdateProfile": lambda: dict(user_id=self.somebody(), display_name="x"),
            "SetRole": lambda: dict(user_id=self.somebody(), role=h.user_pb2.ROLE_EDITOR),
            "SetActive": lambda: dict(user_id=self.somebody(), active=False),
            "ChangePassword": lambda: dict(user_id=self.somebody(), new_password="another long one"),
            "UpdatePreferences": lambda: dict(
                revision=self.clients[role].call("GetPreferences").revision, preferences={}),
            "Push": lambda: dict(samples=[h.sample(selector)]),
            "ListLabelValues": lambda: dict(label="host"),
            "PushEvents": lambda: dict(events=[h.events_pb2.Event(source="roles", text="x")]),
            "CreateRule": lambda: dict(rule=h.alert_rule()),
            "ValidateRule": lambda: dict(rule=h.alert_rule()),
            "GetRule": lambda: dict(rule_id=self.some_rule().rule_id),
            "UpdateRule": lambda: dict(rule=self.some_rule()),
            "DeleteRule": lambda: dict(rule_id=self.some_rule().rule_id),
            "PruneBackups": lambda: dict(keep=1000),
            "VerifyBackup": lambda: dict(name="kept"),
            "DeleteSamples": lambda: dict(selector="roles.value", dry_run=True),
            "QueryLatest": lambda: dict(selector=selector),
            "QueryExpression": lambda: dict(expression=f"sum({selector})"),
        }
        if method == "Subscribe":
            return subscribe
        if method == "Attach":
            return [h.live_pb2.AttachRequest(subscribe=subscribe)]
        if method == "QueryRange":
            return query_range
        if method == "QueryTable":
            return h.query_pb2.QueryTableRequest(selector=selector, start_time=query_range.start_time)
        if method == "QueryHistogram":
            request = h.query_pb2.QueryHistogramRequest(selector=selector, start_time=query_range.start_time)
            request.step.FromSeconds(60)
            return request
        if method == "Forecast":
            request = h.query_pb2.ForecastRequest(expression=selector)
            request.step.FromSeconds(60)
            return request
        if method == "Import":
            return h.import_text("time,metric,value\n", f"role-{role}")
        if method == "Export":
            request = h.transfer_pb2.ExportRequest(selector=selector, format=h.transfer_pb2.TEXT_FORMAT_CSV)
            request.start_time.FromNanoseconds(h.now_nanos() - 10**9)
            return request
        if method == "PushStream":
            return [h.batch(1, [1.0], producer=f"role-{role}")]
        return h.METHODS[method].request(**fields.get(method, dict)())

    def test_table_names_every_method(self):
        self.assertEqual(set(ALLOWED), set(h.METHODS))

    def test_each_method_lets_in_exactly_the_roles_of_the_table(self):
        for method in sorted(ALLOWED):
            for role, client in self.clients.items():
                with self.subTest(method=method, role=role):
                    if method == "Logout":  # ends the session: not the one the other methods use
                        client = self.log_in(role)
                    failed = client.failure(method, self.request(method, role))
                    if role in ALLOWED[method]:
                        self.assertIsNone(failed, str(failed))
                    else:
                        self.assertIsNotNone(failed, "was let in")
                        self.assertEqual((failed.code, failed.reason), ("PERMISSION_DENIED", "ROLE_TOO_LOW"), str(failed))

    def test_nobody_gets_in_without_an_account(self):
        for method in sorted(set(ALLOWED) - WITHOUT_ACCOUNT):
            with self.subTest(method=method):
                failed = self.admin.failure(method, self.request(method, ADMIN), metadata=[])
                self.assertIsNotNone(failed, "was let in")
                self.assertEqual((failed.code, failed.reason), ("UNAUTHENTICATED", "TOKEN_INVALID"), str(failed))

    def test_everyone_sees_and_changes_the_own_account(self):
        for role in (EDITOR, VIEWER, INGEST):
            with self.subTest(role=role):
                client = self.make_user(f"own-{role.lower()}", h.user_pb2.Role.Value(f"ROLE_{role}"), PASSWORD)
                me = client.user.user_id
                self.assertEqual(client.call("GetUser", user_id=me).user.user_id, me)
                self.assertEqual(client.call("UpdateProfile", user_id=me, display_name="I").user.display_name, "I")
                refused = client.failure("SetRole", user_id=me, role=h.user_pb2.ROLE_ADMIN)
                self.assertEqual((refused.code, refused.reason), ("PERMISSION_DENIED", "ROLE_TOO_LOW"))
                self.assertIsNone(client.failure("ChangePassword", user_id=me, current_password=PASSWORD,
                                                 new_password="another long one"))

    def test_only_an_admin_reads_the_self_metrics_tenant(self):
        tenant = [("x-pulseboard-tenant", "_system")]
        self.assertIsNone(self.admin.failure("ListMetrics", metadata=self.admin.metadata + tenant))
        viewer = self.clients[VIEWER]
        failed = viewer.failure("ListMetrics", metadata=viewer.metadata + tenant)
        self.assertEqual((failed.code, failed.reason), ("PERMISSION_DENIED", "ROLE_TOO_LOW"))
        other = [("x-pulseboard-tenant", "someone-else")]
        failed = self.admin.failure("ListMetrics", metadata=self.admin.metadata + other)
        self.assertEqual((failed.code, failed.reason), ("PERMISSION_DENIED", "TENANT_UNKNOWN"))


class FreshServerTest(h.ServerTestCase):
    def test_last_admin_stays(self):
        me = self.admin.user.user_id
        for method, fields in (("SetRole", {"role": h.user_pb2.ROLE_VIEWER}), ("SetActive", {"active": False})):
            failed = self.admin.failure(method, user_id=me, **fields)
            self.assertEqual((failed.code, failed.reason), ("FAILED_PRECONDITION", "LAST_ADMIN"), method)
        self.assertEqual(self.admin.call("WhoAmI").user.role, h.user_pb2.ROLE_ADMIN)

    def test_registration_is_off_by_default(self):
        failed = self.admin.failure("RegisterUser", user_name="newcomer", password=PASSWORD, metadata=[])
        self.assertEqual((failed.code, failed.reason), ("FAILED_PRECONDITION", "REGISTRATION_DISABLED"))


if __name__ == "__main__":
    unittest.main()
