"""The tables of bad_input_test.py: (method, case, request, answer). The comments of the protos are the contract."""
import collections

import harness as h

Row = collections.namedtuple("Row", "method case request code reason field metadata", defaults=(None, None, None))

WITHOUT_ACCOUNT = {"Login", "RefreshSession", "RegisterUser"}
PAGED = {"ListUsers": {}, "ListMetrics": {}, "ListSeries": {}, "ListLabelValues": {"label": "host"}}
PASSWORD = "correct horse battery"
FAR = 1 << 62


def as_stream(method, request):
    return [request] if h.METHODS[method].client_streaming else request


def bad_field(method, case, field, **fields):
    return Row(method, case, h.METHODS[method].request(**fields), "INVALID_ARGUMENT", "BAD_FIELD", field)


def auth_rows():
    def wrong(case, **fields):
        return Row("Login", case, h.auth_pb2.LoginRequest(**fields), "UNAUTHENTICATED", "BAD_CREDENTIALS", metadata=[])

    return [
        bad_field("Login", "empty", "login"),
        bad_field("Login", "no password", "password", login="admin"),
        bad_field("Login", "login too long", "login", login="a" * 255, password="x"),
        bad_field("Login", "7 MB login", "login", login="a" * (7 << 20), password="x"),
        bad_field("Login", "password too long", "password", login="admin", password="x" * 1025),
        wrong("wrong password", login="admin", password="wrong password!"),
        wrong("unknown user", login="nobody", password="wrong password!"),
        wrong("unknown tenant", login="admin", password="wrong password!", tenant="elsewhere"),
        wrong("tenant of the server itself", login="admin", password="wrong password!", tenant="_system"),
        wrong("every ASCII byte in the name", login="".join(map(chr, range(1, 128))), password="x"),
        bad_field("RefreshSession", "empty", "refresh_token"),
        Row("RefreshSession", "forged", h.auth_pb2.RefreshSessionRequest(refresh_token="forged"), "UNAUTHENTICATED",
            "TOKEN_INVALID", metadata=[]),
        bad_field("RefreshSession", "10 KB", "refresh_token", refresh_token="x" * 10240),
    ]


def user_rows(user_id):
    viewer = h.user_pb2.ROLE_VIEWER

    def create(case, field, **changed):
        fields = dict(user_name="zoe", password=PASSWORD, role=viewer)
        fields.update(changed)
        return bad_field("CreateUser", case, field, **fields)

    def unknown(method, case, request_user_id="no-such-user", **fields):
        request = h.METHODS[method].request(user_id=request_user_id, **fields)
        return Row(method, case, request, "NOT_FOUND", "USER_NOT_FOUND")

    rows = [
        create("no name", "user_name", user_name=""),
        create("name too long", "user_name", user_name="a" * 65),
        create("no password", "password", password=""),
        create("short password", "password", password="x" * 9),
        create("long password", "password", password="x" * 1025),
        create("no role", "role", role=0),
        create("unknown role", "role", role=99),
        create("negative role", "role", role=-1),
        create("long e-mail", "email", email="a@" + "b" * 254),
        create("e-mail without @", "email", email="nobody"),
        create("long display name", "display_name", display_name="x" * 129),
        Row("CreateUser", "taken, other case", h.user_pb2.CreateUserRequest(user_name="ADMIN", password=PASSWORD, role=viewer),
            "ALREADY_EXISTS", "USER_EXISTS"),
        Row("RegisterUser", "off", h.user_pb2.RegisterUserRequest(user_name="zoe", password=PASSWORD), "FAILED_PRECONDITION",
            "REGISTRATION_DISABLED"),
        bad_field("ListUsers", "long search", "search", search="x" * 257),
        bad_field("ListUsers", "unknown role", "role", role=99),
        bad_field("UpdateProfile", "long display name", "display_name", user_id=user_id, display_name="x" * 129),
        bad_field("UpdateProfile", "bad e-mail", "email", user_id=user_id, email="nobody"),
        bad_field("SetRole", "no role", "role", user_id=user_id),
        bad_field("SetRole", "unknown role", "role", user_id=user_id, role=99),
        bad_field("ChangePassword", "short password", "new_password", user_id=user_id, current_password="x", new_password="x"),
        bad_field("ChangePassword", "long password", "new_password", user_id=user_id, current_password="x",
                  new_password="x" * 1025),
        Row("ChangePassword", "wrong current password",
            h.user_pb2.ChangePasswordRequest(user_id=user_id, current_password="wrong password!", new_password=PASSWORD),
            "UNAUTHENTICATED", "BAD_CREDENTIALS"),
    ]
    rows += [create(f"name with {chr(i)!r}", "user_name", user_name=f"a{chr(i)}b") for i in (1, 9, 10, 32, 47, 92, 127, 128, 255)]
    for method, fields in (("GetUser", {}), ("UpdateProfile", {"display_name": "x"}), ("SetRole", {"role": viewer}),
                           ("SetActive", {"active": True}), ("ChangePassword", {"new_password": PASSWORD})):
        rows.append(bad_field(method, "no user_id", "user_id", **fields))
        rows.append(unknown(method, "unknown user_id", **fields))
        rows.append(bad_field(method, "long user_id", "user_id", user_id="x" * 65, **fields))
    return rows


def preference_rows():
    def preferences(case, value, field="preferences.a"):
        request = h.user_pb2.UpdatePreferencesRequest()
        fill(request.preferences.fields["a"], value)
        return Row("UpdatePreferences", case, request, "INVALID_ARGUMENT", "BAD_FIELD", field)

    def fill(target, value):
        if isinstance(value, float):
            target.number_value = value
        elif isinstance(value, str):
            target.string_value = value
        elif isinstance(value, int):  # depth
            for _ in range(value):
                target = target.list_value.values.add()
            target.bool_value = True

    return [
        preferences("not a number", float("nan")),
        preferences("infinite", float("inf")),
        preferences("minus infinite", float("-inf")),
        preferences("above 64 KiB", "x" * (64 << 10), "preferences"),
        preferences("3 MB", "x" * (3 << 20), "preferences"),
        preferences("33 levels", 33, "preferences.a" + "[0]" * 31),
        preferences("value of no kind", None),
    ] + [Row("UpdatePreferences", f"revision {revision}", h.user_pb2.UpdatePreferencesRequest(revision=revision), "ABORTED",
             "REVISION_MISMATCH") for revision in (-1, 1, FAR)]


def push_rows():
    push = h.ingest_pb2.PushRequest
    good = h.sample("push.rows")
    return [
        bad_field("Push", "empty", "samples"),
        Row("Push", "10,001 samples", push(samples=[good] * 10001), "INVALID_ARGUMENT", "BAD_FIELD", "samples"),
        bad_field("Push", "producer without sequence", "sequence", samples=[good], producer_id="p"),
        bad_field("Push", "negative sequence", "sequence", samples=[good], producer_id="p", sequence=-1),
        bad_field("Push", "sequence without producer", "producer_id", samples=[good], sequence=1),
        bad_field("Push", "long producer", "producer_id", samples=[good], producer_id="x" * 129, sequence=1),
    ]


def push_stream_rows():
    def stream(case, reason, field, *batches):
        return Row("PushStream", case, list(batches), "INVALID_ARGUMENT", reason, field)

    def changed(change, **fields):
        request = h.batch(1, [1.0, 2.0], producer="rows")
        change(request)
        return request

    def drop(column):
        return changed(lambda r: getattr(r, column).pop())

    def rebound():
        other = h.batch(2, [1.0], "other.value", producer="rows-rebound")
        return stream("ref bound again", "BAD_FIELD", "definitions[0].ref", h.batch(1, [1.0], producer="rows-rebound"), other)

    def with_ref(ref):
        return changed(lambda r: setattr(r.definitions[0], "ref", ref))

    return [
        stream("refs shorter", "BAD_FIELD", None, drop("refs")),
        stream("times shorter", "BAD_FIELD", None, drop("time_offsets_nanos")),
        stream("values shorter", "BAD_FIELD", None, drop("values")),
        stream("no producer", "BAD_FIELD", "producer_id", h.batch(1, [1.0], producer="")),
        stream("long producer", "BAD_FIELD", "producer_id", h.batch(1, [1.0], producer="x" * 129)),
        stream("producer changes", "BAD_FIELD", "producer_id", h.batch(1, [1.0], producer="rows-a"),
               h.batch(2, [1.0], producer="rows-b")),
        stream("no sequence", "BAD_SEQUENCE", None, h.batch(0, [1.0], producer="rows")),
        stream("negative sequence", "BAD_SEQUENCE", None, h.batch(-1, [1.0], producer="rows")),
        stream("sequence stands still", "BAD_SEQUENCE", None, h.batch(5, [1.0], producer="rows-s"),
               h.batch(5, [1.0], producer="rows-s")),
        stream("sequence goes back", "BAD_SEQUENCE", None, h.batch(5, [1.0], producer="rows-t"),
               h.batch(4, [1.0], producer="rows-t")),
        stream("50,001 samples", "BAD_FIELD", None, h.batch(1, [1.0] * 50001, producer="rows")),
        stream("ref 0", "BAD_FIELD", "definitions[0].ref", with_ref(0)),
        stream("ref too large", "BAD_FIELD", "definitions[0].ref", with_ref(1 << 24)),
        rebound(),
    ]


def transfer_rows():
    pb = h.transfer_pb2
    text = "time,metric,value\n"

    def imported(case, field, *messages):
        return Row("Import", case, list(messages), "INVALID_ARGUMENT", "BAD_FIELD", field)

    def spec(case, field, body=text, **fields):
        producer = fields.pop("producer_id", f"rows {case}")
        return imported(case, field, *h.import_text(body, producer, **fields))

    def csv(case, field, **fields):
        return spec(f"csv: {case}", field, csv=pb.CsvOptions(**fields))

    def chunk(offset, data=b"1,m,1\n"):
        return pb.ImportRequest(chunk=pb.ImportChunk(offset=offset, data=data))

    def exported(case, field, start=(h.now_nanos() // 10**9 - 10, 0), end=None, **fields):
        request = pb.ExportRequest(**{"selector": "kept.value", "format": pb.TEXT_FORMAT_CSV, **fields})
        for name, value in (("start_time", start), ("end_time", end)):
            if value is not None:
                getattr(request, name).seconds, getattr(request, name).nanos = value
        return Row("Export", case, request, "INVALID_ARGUMENT", "BAD_FIELD", field)

    some_query = pb.ExportQuery(expression=h.query_pb2.QueryExpressionRequest(expression="kept.value"))
    ended = h.import_text(text, "rows")
    good = ended[:-1]
    bad_time = h.import_text(text, "rows")
    bad_time[0].spec.default_time.seconds = -1
    return [
        imported("nothing", "spec"),
        imported("empty message", "spec", pb.ImportRequest()),
        imported("chunk first", "spec", good[1]),
        imported("spec twice", "spec", good[0], good[0]),
        imported("message of no kind", "message", good[0], pb.ImportRequest()),
        imported("chunk out of order", "chunk.offset", *good, chunk(5)),
        imported("negative offset", "chunk.offset", good[0], chunk(-1)),
        imported("first chunk in the middle", "chunk.offset", good[0], chunk(7)),
        imported("empty chunk", "chunk.data", *good, chunk(len(text), b"")),
        imported("context after a chunk", "context", *good, pb.ImportRequest(context=pb.ImportContext(data=b"x"))),
        imported("chunk after the end", "message", *ended, chunk(len(text))),
        imported("end twice", "message", *ended, ended[-1]),
        imported("bad default time", "default_time", *bad_time),
        spec("no producer", "producer_id", producer_id=""),
        spec("long producer", "producer_id", producer_id="x" * 121),
        spec("no format", "format", format=0),
        spec("unknown format", "format", format=99),
        spec("unknown ack mode", "ack_mode", ack_mode=7),
        spec("negative max_refused_lines", "max_refused_lines", max_refused_lines=-1),
        spec("no header", "csv.header", body="\n"),
        spec("quote of the header not closed", "csv.header", body="\"time"),
        csv("unknown layout", "csv.layout", layout=9),
        csv("unknown time", "csv.time", time=-1),
        csv("long separator", "csv.separator", separator=",,"),
        csv("odd separator", "csv.separator", separator="|"),
        csv("pattern missing", "csv.time_pattern", time=pb.CSV_TIME_PATTERN),
        csv("pattern too many", "csv.time_pattern", time_pattern="%Y"),
        csv("unknown zone", "csv.time_zone", time_zone="Mars/Olympus"),
        csv("zone as path", "csv.time_zone", time_zone="../../../etc/passwd"),
        csv("no such time column", "csv.time_column", time_column="when"),
        csv("no such value column", "csv.value_column", value_column="reading"),
        csv("no such column", "csv.columns", columns=[pb.CsvColumn(name="nope", ignored=True)]),
        csv("column without meaning", "csv.columns[0].meaning", columns=[pb.CsvColumn(name="value")]),
        csv("column twice", "csv.columns[1].name", columns=[pb.CsvColumn(name="value", ignored=True)] * 2),
        csv("10,001 columns", "csv.columns", columns=[pb.CsvColumn(name=str(i), ignored=True) for i in range(10001)]),
        exported("no format", "format", format=0),
        exported("query of nothing", "queries[0].query", selector="", queries=[pb.ExportQuery()]),
        exported("selector beside queries", "selector", queries=[some_query]),
        exported("two queries as CSV", "queries", selector="", queries=[some_query] * 2),
        exported("33 queries", "queries", selector="", queries=[some_query] * 33, format=pb.TEXT_FORMAT_JSON_LINES),
        exported("two families of one name", "queries[1].title", selector="", queries=[some_query] * 2,
                 format=pb.TEXT_FORMAT_OPENMETRICS),
        exported("queries as wide CSV", "csv.layout", selector="", queries=[some_query],
                 csv=pb.CsvOptions(layout=pb.CSV_LAYOUT_WIDE)),
        exported("zone of no name", "time_zone", format=pb.TEXT_FORMAT_XLSX, time_zone="/etc/passwd"),
        exported("format only for import", "format", format=pb.TEXT_FORMAT_PROMETHEUS),
        exported("unknown format", "format", format=-7),
        exported("odd separator", "csv.separator", csv=pb.CsvOptions(separator="|")),
        exported("time by pattern", "csv.time", csv=pb.CsvOptions(time=pb.CSV_TIME_PATTERN)),
        exported("unknown layout", "csv.layout", csv=pb.CsvOptions(layout=7)),
        exported("no start", "start_time", start=None),
        exported("ends before it starts", "end_time", end=(1, 0)),
        exported("start in year 9999", "start_time", start=(253402300799, 0)),
        exported("negative nanos", "start_time", start=(1, -1)),
    ]


def refused_samples():
    """(case, sample, reason) for Push."""
    def at(seconds, nanos=0):
        built = h.sample("refused.value")
        built.time.seconds, built.time.nanos = seconds, nanos
        return built

    now = h.now_nanos() // 10**9
    many = h.sample("refused.value", **{f"l{i}": "x" for i in range(65)})
    very_many = h.sample("refused.value", **{f"l{i}": "x" for i in range(10000)})
    rows = [
        ("no metric", h.sample(""), "BAD_METRIC"),
        ("long metric", h.sample("a" * 201), "BAD_METRIC"),
        ("7 MB metric", h.sample("a" * (7 << 20)), "BAD_METRIC"),
        ("metric starts with a digit", h.sample("1a"), "BAD_METRIC"),
        ("year 1", at(-62135596800), "BAD_TIME"),
        ("year 9999", at(253402300799), "BAD_TIME"),
        ("largest time", at((1 << 63) - 1), "BAD_TIME"),
        ("smallest time", at(-(1 << 63)), "BAD_TIME"),
        ("negative nanos", at(now, -1), "BAD_TIME"),
        ("too many nanos", at(now, 10**9), "BAD_TIME"),
        ("1971", at(365 * 86400), "TOO_OLD"),
        ("tomorrow", at(now + 86400), "IN_FUTURE"),
        ("year 2200", at(7258118400), "IN_FUTURE"),
        ("65 labels", many, "BAD_LABELS"),
        ("10,000 labels", very_many, "BAD_LABELS"),
        ("empty label name", h.sample("refused.value", **{"": "x"}), "BAD_LABELS"),
        ("reserved label name", h.sample("refused.value", __name__="x"), "BAD_LABELS"),
        ("long label name", h.sample("refused.value", **{"a" * 129: "x"}), "BAD_LABELS"),
        ("long label value", h.sample("refused.value", a="x" * 1025), "BAD_LABELS"),
    ]
    rows += [(f"metric with {chr(i)!r}", h.sample(f"a{chr(i)}b"), "BAD_METRIC") for i in (1, 9, 10, 32, 34, 92, 123, 127, 128, 255)]
    return rows


def refused_columns():
    """(case, request without producer and sequence, reason, refused count) for PushStream."""
    def labelled(labels):
        return h.batch(0, [1.0, 2.0], "refused.columns", labels=labels)

    unknown = h.batch(0, [1.0, 2.0, 3.0], "refused.columns")
    unknown.refs[1] = 77
    overflow = h.batch(0, [1.0], "refused.columns", base=(1 << 63) - 1)
    overflow.time_offsets_nanos[0] = (1 << 63) - 1
    underflow = h.batch(0, [1.0], "refused.columns", base=-(1 << 63))
    underflow.time_offsets_nanos[0] = -(1 << 63)
    return [
        ("unknown ref", unknown, "UNKNOWN_REF", 1),
        ("bad metric", h.batch(0, [1.0, 2.0], "not a metric"), "BAD_METRIC", 2),
        ("long metric", h.batch(0, [1.0], "a" * (1 << 20)), "BAD_METRIC", 1),
        ("10,000 labels", labelled([(f"l{i}", "x") for i in range(10000)]), "BAD_LABELS", 2),
        ("repeated label", labelled([("a", "x"), ("a", "y")]), "BAD_LABELS", 2),
        ("time above 64 bits", overflow, "BAD_TIME", 1),
        ("time below 64 bits", underflow, "BAD_TIME", 1),
        ("before 1970", h.batch(0, [1.0], "refused.columns", base=-(10**18)), "BAD_TIME", 1),
        ("1971", h.batch(0, [1.0], "refused.columns", base=10**16 * 3), "TOO_OLD", 1),
        ("year 2200", h.batch(0, [1.0], "refused.columns", base=7258118400 * 10**9), "IN_FUTURE", 1),
    ]


BAD_SELECTORS = (
    ("unclosed", "a{"), ("no operator", "a{b}"), ("no quotes", "a{b=c}"), ("unclosed quote", 'a{b="c}'), ("rest", 'a{b="c"}d'),
    ("bad regex", 'a{b=~"["}'), ("bad repetition", 'a{b=~"*"}'), ("exploding regex", 'a{b=~"(((x{1000}){1000}){1000})"}'),
    ("backreference", 'a{b=~"(x)\\\\1"}'), ("matches everything", '{b=""}'), ("matches everything by regex", '{b=~".*"}'),
    ("only negative", '{b!="c"}'), ("33 matchers", "a{" + ",".join(f'l{i}="x"' for i in range(33)) + "}"),
    ("4097 bytes", "a" * 4097), ("control byte", "a\x01b"), ("NUL", "a\x00b"), ("not ASCII", "größe"), ("space", "a b"),
    ("1 MB", "x" * (1 << 20)),
)


def with_selector(method, selector):
    if method == "Subscribe":
        return h.live_pb2.SubscribeRequest(queries=[h.live_pb2.LiveQuery(selector=selector)])
    if method == "Export":
        request = h.transfer_pb2.ExportRequest(selector=selector, format=h.transfer_pb2.TEXT_FORMAT_CSV)
        request.start_time.FromSeconds(h.now_nanos() // 10**9 - 10)
        return request
    request = h.METHODS[method].request(selector=selector, **({"label": "host"} if method == "ListLabelValues" else {}))
    if method in ("QueryRange", "QueryTable", "QueryHistogram"):
        request.start_time.FromSeconds(h.now_nanos() // 10**9 - 10)
    if method == "QueryHistogram":
        request.step.FromSeconds(1)
    return request


def selector_rows():
    methods = ("ListMetrics", "ListSeries", "ListLabelValues", "GetCardinality", "QueryLatest", "QueryRange", "QueryTable",
               "QueryHistogram", "Subscribe", "Export")
    rows = [Row(method, case, with_selector(method, selector), "INVALID_ARGUMENT", "BAD_SELECTOR")
            for method in methods for case, selector in BAD_SELECTORS]
    # Where a selector is required, none is as wrong as a bad one.
    return rows + [Row(method, "empty selector", with_selector(method, ""), "INVALID_ARGUMENT", "BAD_SELECTOR")
                   for method in ("QueryLatest", "QueryRange", "QueryTable", "QueryHistogram", "Subscribe", "Export")]


def cardinality_rows():
    return [bad_field("GetCardinality", "negative limit", "limit", limit=-1),
            bad_field("GetCardinality", "unknown order", "order", order=99),
            Row("GetCardinality", "huge limit is coerced", h.query_pb2.GetCardinalityRequest(limit=(1 << 31) - 1), "OK")]


def page_rows(tokens):
    rows = [bad_field("ListLabelValues", "no label", "label")]
    rows += [bad_field("ListLabelValues", f"label {name[:9]!r}", "label", label=name) for name in ("1a", "a b", "x" * 129)]
    for method, extra in PAGED.items():
        def bad_token(case, token, **changed):
            fields = {**extra, **changed}
            return Row(method, case, h.METHODS[method].request(page_token=token, **fields), "INVALID_ARGUMENT", "BAD_PAGE_TOKEN")

        rows += [bad_field(method, "negative page size", "page_size", page_size=-1, **extra),
                 bad_field(method, "smallest page size", "page_size", page_size=-(1 << 31), **extra),
                 Row(method, "huge page size is coerced", h.METHODS[method].request(page_size=(1 << 31) - 1, **extra), "OK"),
                 bad_token("noise", "no page token"), bad_token("1 MB", "x" * (1 << 20)), bad_token("not ASCII", "größe"),
                 bad_token("cut", tokens[method][:-1]), bad_token("longer", tokens[method] + "A")]
        rows += [bad_token(f"token of {other}", token) for other, token in tokens.items() if other != method]
        changed = {"search": "page"} if method == "ListUsers" else {"selector": '{__name__=~"page.*"}'}
        rows.append(bad_token("other fields changed", tokens[method], **changed))
    return rows


def range_rows():
    def query(case, field, start=None, end=None, max_points=0):
        request = h.query_pb2.QueryRangeRequest(selector="kept.value", max_points=max_points)
        for name, value in (("start_time", start), ("end_time", end)):
            if value is not None:
                getattr(request, name).seconds, getattr(request, name).nanos = value
        return Row("QueryRange", case, request, "INVALID_ARGUMENT", "BAD_FIELD", field)

    now = h.now_nanos() // 10**9
    return [
        query("no start", "start_time"),
        query("ends before it starts", "end_time", (now, 0), (now - 1, 0)),
        query("start in year 1", "start_time", (-62135596800, 0)),
        query("start in year 9999", "start_time", (253402300799, 0)),
        query("end in year 9999", "end_time", (now, 0), (253402300799, 0)),
        query("largest start", "start_time", ((1 << 63) - 1, 0)),
        query("smallest start", "start_time", (-(1 << 63), 0)),
        query("negative nanos", "start_time", (now, -1)),
        query("too many nanos", "start_time", (now, 10**9)),
        query("negative max_points", "max_points", (now - 10, 0), max_points=-1),
        query("too many max_points", "max_points", (now - 10, 0), max_points=100001),
    ]


def column_rows():
    """Columns of time, tables and histograms."""
    q = h.query_pb2
    aggregate, table_column = q.Aggregate, q.TableColumn
    max_column = table_column(aggregate=aggregate(function=q.AGGREGATE_FUNCTION_MAX))
    second = {"seconds": 1}

    def row(method, case, field, **fields):
        fields.setdefault("selector", "kept.value")
        fields.setdefault("start_time", {"seconds": h.now_nanos() // 10**9 - 10})
        return bad_field(method, case, field, **fields)

    def ranged(case, field, **fields):
        return row("QueryRange", case, field, **fields)

    def table(case, field, **fields):
        return row("QueryTable", case, field, **fields)

    def histogram(case, field, **fields):
        fields.setdefault("step", second)
        return row("QueryHistogram", case, field, **fields)

    return [
        ranged("aggregates without step", "step", aggregates=[aggregate()]),
        ranged("fill without step", "step", fill=q.FILL_POLICY_ZERO),
        ranged("step and max_points", "max_points", step=second, max_points=5),
        ranged("step and calendar", "calendar", step=second, calendar={"unit": q.CALENDAR_UNIT_DAY}),
        ranged("step of zero", "step", step={}),
        ranged("negative step", "step", step={"seconds": -1}),
        ranged("step of a nanosecond", "step", step={"nanos": 1}),
        ranged("largest step", "step", step={"seconds": (1 << 63) - 1}),
        ranged("too many columns", "step", step={"nanos": 10**6}, start_time={"seconds": 0}),
        ranged("calendar without unit", "calendar.unit", calendar={}),
        ranged("unknown unit", "calendar.unit", calendar={"unit": 99}),
        ranged("negative count", "calendar.count", calendar={"unit": 1, "count": -1}),
        ranged("1001 days", "calendar.count", calendar={"unit": 1, "count": 1001}),
        ranged("day 8 of a week", "calendar.first_day_of_week", calendar={"unit": 2, "first_day_of_week": 8}),
        ranged("no zone", "calendar.time_zone", calendar={"unit": 1, "time_zone": "Mars/Olympus"}),
        ranged("path for a zone", "calendar.time_zone", calendar={"unit": 1, "time_zone": "/etc/passwd"}),
        ranged("file for a zone", "calendar.time_zone", calendar={"unit": 1, "time_zone": "file:/etc/passwd"}),
        ranged("path upwards for a zone", "calendar.time_zone", calendar={"unit": 1, "time_zone": "../../../etc/passwd"}),
        ranged("17 aggregates", "aggregates", step=second, aggregates=[aggregate()] * 17),
        ranged("unknown aggregate", "aggregates[0].function", step=second, aggregates=[aggregate(function=99)]),
        ranged("quantile above 1", "aggregates[0].quantile", step=second,
               aggregates=[aggregate(function=q.AGGREGATE_FUNCTION_QUANTILE, quantile=1.5)]),
        ranged("quantile of a sum", "aggregates[0].quantile", step=second, aggregates=[aggregate(quantile=0.5)]),
        ranged("unknown group function", "group.function", step=second, group={"function": 99}),
        ranged("33 labels", "group.labels", step=second, group={"labels": [f"l{i}" for i in range(33)]}),
        ranged("unknown fill", "fill", step=second, fill=99),
        ranged("compared with nothing", "compare", step=second, compare={}),
        ranged("compared by both", "compare.calendar", step=second, compare={"offset": second, "calendar": {"unit": 1}}),
        table("no start", "start_time", start_time=None),
        table("17 columns", "columns", columns=[max_column] * 17),
        table("no such column", "sort_column", sort_column=1),
        table("negative column", "sort_column", sort_column=-1),
        table("negative limit", "limit", limit=-1),
        table("earlier than nothing", "columns[0].earlier", columns=[table_column(earlier=True)]),
        table("33 filters", "filters", filters=[q.TableFilter(comparison=1)] * 33),
        table("filter without comparison", "filters[0].comparison", filters=[q.TableFilter()]),
        table("filter of no column", "filters[0].column", filters=[q.TableFilter(column=7, comparison=1)]),
        table("filter by NaN", "filters[0].value", filters=[q.TableFilter(comparison=1, value=float("nan"))]),
        histogram("no step", "step", step=None),
        histogram("bounds that fall", "bounds[1]", bounds=[2.0, 1.0]),
        histogram("infinite bound", "bounds[0]", bounds=[float("inf")]),
        histogram("1000 bounds", "bounds", bounds=[float(i) for i in range(1000)]),
        histogram("1001 buckets", "bucket_count", bucket_count=1001),
        histogram("unknown scale", "scale", scale=99),
        histogram("17 quantiles", "quantiles", quantiles=[0.5] * 17),
        histogram("quantile below 0", "quantiles[0]", quantiles=[-0.1]),
    ]


BAD_EXPRESSIONS = (
    ("empty", ""), ("only space", " "), ("unclosed", "sum(a"), ("no operand", "a + "), ("no function", "summ(a)"),
    ("range at the top", "a[5m]"), ("vector for a range", "rate(a)"), ("no unit", "rate(a[5])"), ("set of numbers", "1 and 2"),
    ("matches everything", '{b=""}'), ("bad regex", 'a{b=~"["}'), ("exploding regex", 'a{b=~"(((x{1000}){1000}){1000})"}'),
    ("bad label regex", 'label_replace(a, "b", "", "c", "(")'), ("deep", "(" * 5000), ("deep minus", "-" * 5000 + "a"),
    ("many", "+".join("a" * 600)), ("8193 bytes", "a" * 8193), ("control byte", "a\x01b"), ("NUL", "a\x00b"), ("not ASCII", "größe"),
    ("huge subquery", "max_over_time(a[10y:1ms])"), ("1 MB", "x" * (1 << 20)),
)


def expression_rows():
    def query(case, field, start=None, end=None, step=None, max_points=0):
        request = h.query_pb2.QueryExpressionRequest(expression="kept.value", max_points=max_points)
        for name, value in (("start_time", start), ("end_time", end), ("step", step)):
            if value is not None:
                getattr(request, name).seconds, getattr(request, name).nanos = value
        return Row("QueryExpression", case, request, "INVALID_ARGUMENT", "BAD_FIELD", field)

    now = h.now_nanos() // 10**9
    rows = [Row("QueryExpression", case, h.query_pb2.QueryExpressionRequest(expression=text), "INVALID_ARGUMENT", "BAD_EXPRESSION")
            for case, text in BAD_EXPRESSIONS]
    return rows + [
        query("ends before it starts", "end_time", (now, 0), (now - 1, 0)),
        query("no step", "step", (now - 10, 0)),
        query("step of zero", "step", (now - 10, 0), step=(0, 0)),
        query("negative step", "step", (now - 10, 0), step=(-1, 0)),
        query("largest step", "step", (now - 10, 0), step=((1 << 63) - 1, 0)),
        query("too many instants", "step", (now - 10, 0), step=(0, 1)),
        query("step and max_points", "max_points", (now - 10, 0), step=(1, 0), max_points=5),
        query("start in year 1", "start_time", (-62135596800, 0)),
        query("end in year 9999", "end_time", (now, 0), (253402300799, 0)),
        query("negative max_points", "max_points", (now - 10, 0), max_points=-1),
        query("too many max_points", "max_points", (now - 10, 0), max_points=100001),
    ]


def subscribe_rows(resume_token):
    query, request = h.live_pb2.LiveQuery, h.live_pb2.SubscribeRequest

    def bad(case, field, *queries):
        return bad_field("Subscribe", case, field, queries=queries)

    def backfill(seconds, nanos=0):
        built = query(selector="kept.value")
        built.backfill.seconds, built.backfill.nanos = seconds, nanos
        return built

    def bad_token(case, token, selector="kept.value"):
        return Row("Subscribe", case, request(queries=[query(selector=selector)], resume_token=token), "INVALID_ARGUMENT",
                   "BAD_RESUME_TOKEN")

    flipped = bytes([resume_token[0] ^ 1]) + resume_token[1:]
    return [
        bad("empty", "queries"),
        bad("65 queries", "queries", *[query(query_id=str(i), selector="kept.value") for i in range(65)]),
        bad("query_id twice", "queries[1].query_id", *[query(query_id="q", selector="kept.value")] * 2),
        bad("two without query_id", "queries[0].query_id", *[query(selector="kept.value")] * 2),
        bad("long query_id", "queries[0].query_id", query(query_id="x" * 65, selector="kept.value")),
        bad("negative backfill", "queries[0].backfill", backfill(-1)),
        bad("backfill of 401 days", "queries[0].backfill", backfill(401 * 86400)),
        bad("largest backfill", "queries[0].backfill", backfill((1 << 63) - 1)),
        bad("bad nanos", "queries[0].backfill", backfill(1, 10**9)),
        bad("negative max_points", "queries[0].max_points", query(selector="kept.value", max_points=-1)),
        bad("too many max_points", "queries[0].max_points", query(selector="kept.value", max_points=100001)),
        bad_token("noise", b"no resume token"),
        bad_token("1 MB", b"x" * (1 << 20)),
        bad_token("one byte", b"\x00"),
        bad_token("first bit flipped", flipped),
        bad_token("cut", resume_token[:-1]),
        bad_token("longer", resume_token + b"\x00"),
        bad_token("of another subscription", resume_token, "other.value"),
        Row("Attach", "update first", [h.live_pb2.AttachRequest(update=h.live_pb2.UpdateQueries(update_id=1))],
            "INVALID_ARGUMENT", "BAD_FIELD", "message"),
        Row("Attach", "says nothing", [h.live_pb2.AttachRequest()], "INVALID_ARGUMENT", "BAD_FIELD", "message"),
        Row("Attach", "ends before its first message", [], "INVALID_ARGUMENT", "BAD_FIELD", "message"),
        Row("Attach", "no query", [h.live_pb2.AttachRequest(subscribe=request())], "INVALID_ARGUMENT", "BAD_FIELD", "queries"),
        Row("Attach", "bad selector", [h.live_pb2.AttachRequest(subscribe=request(queries=[query(selector="{")]))],
            "INVALID_ARGUMENT", "BAD_SELECTOR"),
        Row("Subscribe", "odd sizes are coerced", request(queries=[query(selector="kept.value")], max_buffer_bytes=-1,
                                                          max_frames_per_second=-FAR >> 40), "OK"),
    ]


def storage_rows():
    """For a server without backups."""
    def time(seconds, nanos=0):
        return h.google_time(seconds, nanos)

    rows = [bad_field("DeleteSamples", "no selector", "selector"),
            bad_field("DeleteSamples", "time before 1970", "start_time", selector="kept.value", start_time=time(-1)),
            bad_field("DeleteSamples", "time after 2262", "end_time", selector="kept.value", end_time=time(FAR >> 20)),
            bad_field("DeleteSamples", "nanos out of range", "end_time", selector="kept.value", end_time=time(1, -1)),
            bad_field("DeleteSamples", "end at start", "end_time", selector="kept.value", start_time=time(5), end_time=time(5)),
            bad_field("PreviewRetention", "negative size", "max_byte_count", max_byte_count=-1),
            bad_field("PreviewRetention", "no time at all", "raw_retention_nanos", raw_retention_nanos=0),
            bad_field("PreviewRetention", "not tiers", "tiers", tiers="1m"),
            bad_field("PreviewRetention", "a tier that is not kept", "tiers", tiers="5m:100d"),
            bad_field("PreviewRetention", "a tier kept for less than the samples", "tiers", tiers="1m:1d"),
            bad_field("PreviewRetention", "not a retention", "tenant_retention", tenant_retention="default: raw=7"),
            bad_field("PreviewRetention", "not a tenant", "tenant_retention", tenant_retention="nobody: raw=7d"),
            bad_field("PruneBackups", "keep none", "keep"),
            bad_field("PruneBackups", "keep less than none", "keep", keep=-1),
            bad_field("PruneBackups", "keep too many", "keep", keep=100_001)]
    rows += [Row("DeleteSamples", f"selector {text[:20]!r}", h.storage_pb2.DeleteSamplesRequest(selector=text),
                 "INVALID_ARGUMENT", "BAD_SELECTOR") for text in ("{", "a{b=~\"(\"}", "{a=\"\"}", "x" * 4097)]
    off = {"CreateBackup": {}, "ListBackups": {}, "PruneBackups": {"keep": 1}, "VerifyBackup": {"name": "../x"}}
    rows += [Row(method, "no backups here", h.METHODS[method].request(**fields), "FAILED_PRECONDITION", "BACKUPS_OFF")
             for method, fields in off.items()]
    return rows


def event_rows():
    def event(case, field, **changed):
        fields = dict(source="bad", text="x")
        fields.update(changed)
        return bad_field("PushEvents", case, f"events[0].{field}", events=[h.events_pb2.Event(**fields)])

    def listing(case, field, **fields):
        return bad_field("ListEvents", case, field, **fields)

    rows = [
        bad_field("PushEvents", "none", "events"),
        bad_field("PushEvents", "too many", "events", events=[h.events_pb2.Event(source="bad", text="x")] * 1001),
        bad_field("PushEvents", "long request_id", "request_id", request_id="x" * 129,
                  events=[h.events_pb2.Event(source="bad", text="x")]),
        event("no source", "source", source=""),
        event("source with a space", "source", source="a b"),
        event("source too long", "source", source="a" * 201),
        event("no text", "text", text=""),
        event("text too long", "text", text="x" * 8193),
        event("text with NUL", "text", text="a\0b"),
        event("unknown severity", "severity", severity=6),
        event("negative severity", "severity", severity=-1),
        event("reserved label name", "labels", labels={"__name__": "x"}),
        event("label value too long", "labels", labels={"a": "x" * 1025}),
        event("too many labels", "labels", labels={f"a{i}": "x" for i in range(65)}),
        event("before 1970", "time", time=h.google_time(-1)),
        event("long ago", "time", time=h.google_time(1)),
        event("far ahead", "time", time=h.google_time(4 * 10**9)),
        event("nanos out of range", "time", time=h.google_time(1, -1)),
        listing("time before 1970", "start_time", start_time=h.google_time(-1)),
        listing("end before start", "end_time", start_time=h.google_time(5), end_time=h.google_time(4)),
        listing("negative page size", "page_size", page_size=-1),
        listing("unknown severity", "filter.min_severity", filter=h.events_pb2.EventFilter(min_severity=9)),
        listing("long text", "filter.text_contains", filter=h.events_pb2.EventFilter(text_contains="x" * 1025)),
        Row("ListEvents", "huge page size is coerced", h.events_pb2.ListEventsRequest(page_size=(1 << 31) - 1), "OK"),
        bad_field("SubscribeEvents", "unknown severity", "filter.min_severity",
                  filter=h.events_pb2.EventFilter(min_severity=-1)),
    ]
    rows += [Row("ListEvents", f"page token {token[:9]!r}", h.events_pb2.ListEventsRequest(page_token=token),
                 "INVALID_ARGUMENT", "BAD_PAGE_TOKEN") for token in ("no page token", "x" * (1 << 20), "00")]
    rows += [Row("SubscribeEvents", f"resume token {token[:9]!r}",
                 h.events_pb2.SubscribeEventsRequest(resume_token=token), "INVALID_ARGUMENT", "BAD_RESUME_TOKEN")
             for token in ("no token", "x" * (1 << 20), "00")]
    return rows + [Row(method, f"selector {text[:20]!r}",
                       h.METHODS[method].request(filter=h.events_pb2.EventFilter(selector=text)), "INVALID_ARGUMENT",
                       "BAD_SELECTOR")
                   for method in ("ListEvents", "SubscribeEvents") for text in ("{", "a{b=~\"(\"}", "{a=\"\"}", "x" * 4097)]


def alert_rows():
    """Rules, alerts and their ledger. What of a rule is not allowed is the unit test's; here one of each kind."""
    def rule(case, field, **changed):
        return [bad_field(method, case, f"rule.{field}", rule=h.alert_rule(**changed))
                for method in ("CreateRule", "UpdateRule", "ValidateRule")]

    long, odd = h.duration_pb2.Duration(seconds=1 << 40), h.duration_pb2.Duration(seconds=1, nanos=-1)
    rows = [
        *rule("no name", "name", name=""), *rule("name too long", "name", name="x" * 201),
        *rule("reserved label name", "labels", labels={"__name__": "x"}),
        *rule("waits for ever", "pending_for", pending_for=long), *rule("odd duration", "missing_for", missing_for=odd),
        *rule("unknown policy", "missing", missing=9), *rule("negative policy", "missing", missing=-1),
        *rule("no condition", "condition.signal", condition=h.alert_pb2.AlertCondition()),
        bad_field("ListRules", "negative page size", "page_size", page_size=-1),
        bad_field("ListRules", "huge page size", "page_size", page_size=1001),
        bad_field("ListAlerts", "huge page size", "page_size", page_size=1001),
        bad_field("ListAlerts", "unknown state", "states", states=[9]),
        bad_field("ListTransitions", "huge page size", "page_size", page_size=1001),
        bad_field("ListTransitions", "end before start", "end_time", start_time=h.google_time(5), end_time=h.google_time(4)),
        bad_field("ListTransitions", "time before 1970", "start_time", start_time=h.google_time(-1)),
        bad_field("ListTransitions", "unknown state", "filter.to", filter=h.alert_pb2.TransitionFilter(to=[-1])),
        bad_field("WatchTransitions", "unknown severity", "filter.min_severity",
                  filter=h.alert_pb2.TransitionFilter(min_severity=3)),
        bad_field("WatchTransitions", "negative position", "after_sequence", after_sequence=-1),
    ]
    rows += [Row(method, f"selector {text[:20]!r}", h.METHODS[method].request(rule=h.alert_rule(selector=text)),
                 "INVALID_ARGUMENT", "BAD_SELECTOR")
             for method in ("CreateRule", "UpdateRule", "ValidateRule") for text in ("", "{", "a{b=~\"(\"}", "x" * 4097)]
    rows += [Row(method, "selector", h.METHODS[method].request(filter=h.alert_pb2.TransitionFilter(selector="{")),
                 "INVALID_ARGUMENT", "BAD_SELECTOR") for method in ("ListTransitions", "WatchTransitions")]
    rows += [Row(method, f"page token {token[:9]!r}", h.METHODS[method].request(page_token=token), "INVALID_ARGUMENT",
                 "BAD_PAGE_TOKEN")
             for method in ("ListRules", "ListAlerts", "ListTransitions") for token in ("no page token", "x" * (1 << 20))]
    unknown = h.alert_rule()
    unknown.rule_id = "no-such-rule"
    return rows + [Row(method, "unknown", request, "NOT_FOUND", "RULE_NOT_FOUND") for method, request in (
        ("GetRule", h.alert_pb2.GetRuleRequest(rule_id="no-such-rule")), ("GetRule", h.alert_pb2.GetRuleRequest()),
        ("UpdateRule", h.alert_pb2.UpdateRuleRequest(rule=unknown)),
        ("DeleteRule", h.alert_pb2.DeleteRuleRequest(rule_id="x\0" * 1000)))]


def backup_rows():
    """For a server with backups, one of them called `taken`."""
    rows = [bad_field(method, f"name {name[:20]!r}", "name", name=name)
            for method in ("CreateBackup", "VerifyBackup")
            for name in ("files", "LOCK", ".", "..", "../x", "/x", "a/b", ".new", "-x", "a b", "\u00fc", "a\n", "a" * 65)]
    return rows + [
        bad_field("VerifyBackup", "no name", "name"),
        Row("VerifyBackup", "unknown", h.storage_pb2.VerifyBackupRequest(name="unknown"), "NOT_FOUND", "BACKUP_NOT_FOUND"),
        Row("CreateBackup", "taken", h.storage_pb2.CreateBackupRequest(name="taken"), "ALREADY_EXISTS", "BACKUP_EXISTS"),
    ]


def rows_for_every_rpc(tokens, spent):
    """Forged tokens, noise and too much, for each method."""
    access = tokens.access_token
    other = ("B" if access[-2] == "A" else "A") + access[-1]
    forged = {
        "no token": [], "empty": [("authorization", "")], "no scheme": [("authorization", access)],
        "other scheme": [("authorization", f"Basic {access}")], "empty bearer": [("authorization", "Bearer ")],
        "noise": h.bearer("x" * 43), "4 KB": h.bearer("x" * 4096), "one character changed": h.bearer(access[:-2] + other),
        "cut": h.bearer(access[:-1]), "longer": h.bearer(access + "A"), "refresh token": h.bearer(tokens.refresh_token),
        "logged out": h.bearer(spent.access_token),
    }
    rows = []
    for name, method in h.METHODS.items():
        if name not in WITHOUT_ACCOUNT:
            rows += [Row(name, f"token: {case}", as_stream(name, method.request()), "UNAUTHENTICATED", "TOKEN_INVALID",
                         metadata=metadata) for case, metadata in forged.items()]
        rows += noise_rows(name, method)
    return rows


def noise_rows(name, method):
    """Bytes that are no message, and too many of them."""
    field = "batch" if method.client_streaming and name != "Attach" else "request"
    noise = {"cut varint": b"\xff", "length beyond the end": b"\x0a\x7fabc", "group never closed": b"\x0b\x08\x01"}
    return [Row(name, case, as_stream(name, data), "INVALID_ARGUMENT", "BAD_FIELD", field) for case, data in noise.items()] + [
        Row(name, "10 MB string", as_stream(name, b"\x0a\x80\x80\x80\x05" + b"x" * (10 << 20)), "RESOURCE_EXHAUSTED"),
    ]
