import os, grpc
from pulseboard.v1 import auth_pb2, auth_pb2_grpc, ingest_pb2, ingest_pb2_grpc

channel = grpc.insecure_channel(os.environ.get("PULSEBOARD_SERVER", "127.0.0.1:7443"))
login = auth_pb2.LoginRequest(login="admin", password=os.environ["PULSEBOARD_PASSWORD"])
token = auth_pb2_grpc.AuthServiceStub(channel).Login(login).tokens.access_token
sample = ingest_pb2.Sample(metric="demo.temperature", labels={"room": "kitchen"}, value=21.5)
print(ingest_pb2_grpc.IngestServiceStub(channel).Push(
    ingest_pb2.PushRequest(samples=[sample]), metadata=[("authorization", f"Bearer {token}")]))
