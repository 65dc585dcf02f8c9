"""Events as any client sees them: pushed once, listed by pages, followed from the list on, and through kill -9."""
import os
import signal
import threading
import unittest

import harness as h


class EventsTest(h.ServerTestCase):
    def push(self, text, request_id="", source="deploy", client=None):
        event = h.events_pb2.Event(source=source, text=text, labels={"service": "api"})
        return (client or self.admin).call("PushEvents", events=[event], request_id=request_id)

    def texts(self, client=None, **fields):
        found, request = [], h.events_pb2.ListEventsRequest(page_size=7, **fields)
        while True:
            page = (client or self.admin).call("ListEvents", request)
            found += [event.text for event in page.events]
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return found, page.resume_token

    def follow(self, client, token, count, **filters):
        """The texts of the next events that match, and the position after them."""
        request = h.events_pb2.SubscribeEventsRequest(resume_token=token, filter=h.events_pb2.EventFilter(**filters))
        call, found = client.start("SubscribeEvents", request), []
        for message in call:
            found += [event.text for event in message.events]
            token = message.resume_token
            if len(found) >= count:
                break
        call.cancel()
        return found, token

    def test_what_was_answered_is_there_once_and_followed_without_a_hole(self):
        first = self.push("event 0", "request 0")
        for i in range(1, 40):
            self.push(f"event {i}", f"request {i}", source="deploy" if i % 2 else "syslog")
        again = self.push("event 0", "request 0")
        self.assertTrue(again.duplicate)
        self.assertEqual(again.event_ids, first.event_ids)
        listed, position = self.texts()
        self.assertEqual(listed, [f"event {i}" for i in range(40)])
        odd, _ = self.texts(filter=h.events_pb2.EventFilter(selector='deploy{service="api"}', text_contains="EVENT"))
        self.assertEqual(odd, ["event 0"] + [f"event {i}" for i in range(1, 40, 2)])

        late = threading.Thread(target=lambda: [self.push(text) for text in ("wanted 1", "other", "wanted 2")])
        late.start()
        found, position = self.follow(self.admin, position, 2, text_contains="WANTED")
        late.join()
        self.assertEqual(found, ["wanted 1", "wanted 2"])

        self.push("wanted 3")
        os.kill(self.server.process.pid, signal.SIGKILL)
        self.server.process.wait()
        self.server.process.stdout.close()
        self.server.start()
        client = h.Client(self.server)
        self.addCleanup(client.close)
        self.assertEqual(len(self.texts(client)[0]), 44)
        self.assertTrue(self.push("event 7", "request 7", client=client).duplicate)
        self.assertEqual(self.follow(client, position, 1, text_contains="wanted")[0], ["wanted 3"])


if __name__ == "__main__":
    unittest.main()
