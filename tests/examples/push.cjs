const grpc = require("@grpc/grpc-js"), loader = require("@grpc/proto-loader");
const files = ["pulseboard/v1/auth.proto", "pulseboard/v1/ingest.proto"];
const { pulseboard: { v1 } } = grpc.loadPackageDefinition(loader.loadSync(files, { includeDirs: ["protos"] }));

const to = [process.env.PULSEBOARD_SERVER || "127.0.0.1:7443", grpc.credentials.createInsecure()];
new v1.AuthService(...to).Login({ login: "admin", password: process.env.PULSEBOARD_PASSWORD }, (error, { tokens } = {}) => {
  if (error) throw error;
  const bearer = grpc.Metadata.fromHttp2Headers({ authorization: `Bearer ${tokens.accessToken}` });
  const sample = { metric: "demo.temperature", labels: { room: "kitchen" }, value: 21.5 };
  new v1.IngestService(...to).Push({ samples: [sample] }, bearer, (error, receipt) => console.log(error || receipt));
});
